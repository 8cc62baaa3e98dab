import json
import random
import re
import signal
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
from support.mutations import drive, from_file, mutated_bytes, mutated_json

from codesign.search.joint_search import read_progress
from codesign.search.journal import open_journal
from codesign.search.pareto import PricedPairs
from codesign.search.problem import SearchSettings
from codesign.search.study import (
    SearchTask,
    StudyLocation,
    find_study,
    fitting_front,
    make_trials,
    open_study,
    read_front,
    read_pairs,
    storage_errors,
)
from cost_models.resources import RESOURCES, check_fits
from hw_templates.foundation.errors import InvalidValueError, ResourceError, StorageError


@pytest.fixture
def identity(problem):
    location, settings = StudyLocation("unused", "unused"), SearchSettings()
    return SearchTask(
        location=location, problem=problem, oracle=None, accuracy_name="digest-1", settings=settings
    ).identity


@pytest.fixture(params=["journal", "sqlite"])
def location(request, tmp_path):
    path = tmp_path / "study.db"
    return StudyLocation(str(path) if request.param == "journal" else f"sqlite:///{path}", "search")


def some_pairs(joint, count):
    rng = np.random.default_rng(0)
    accelerators = joint.accelerators.encode(joint.accelerators.sample(rng, count))
    rows = np.concatenate([joint.space.sample_genes(rng, count), accelerators], axis=1)
    return PricedPairs(rows, rng.random((count, 3)))


def trials_of(joint, pairs, excess):
    return make_trials(joint, pairs, joint.available + excess, 0)


def test_a_new_study_is_ready_for_anyone(location, identity):
    study = open_study(location, identity)
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE", "MINIMIZE"]
    assert study.metric_names == ["accuracy", "latency_ms", "energy_mj"]
    assert study.user_attrs == {
        "space": "tiny",
        "parameters": identity["parameters"],
        "board": "pynq-z2",
        "coefficients": "prior",
        "implementation": "hls",
        "accuracy": "digest-1",
        "format_version": 1,
    }


def test_trials_come_back_as_they_went(location, identity, joint):
    pairs = some_pairs(joint, 4)
    needs = np.arange(20).reshape(4, 5)
    open_study(location, identity).add_trials(make_trials(joint, pairs, needs, 0))
    trials = open_study(location, identity).trials
    again = read_pairs(joint, trials)
    assert np.array_equal(again.rows, pairs.rows)
    assert np.array_equal(again.values, pairs.values)
    assert trials[1].user_attrs == {"dsp": 5, "bram_18k": 6, "uram": 7, "lut": 8, "ff": 9, "worker": 0}
    assert trials[1].constraints == dict(zip(RESOURCES, (needs[1] - joint.available).tolist(), strict=True))


def test_best_trials_are_the_feasible_front(location, identity, joint):
    pairs = some_pairs(joint, 12)
    # The trials that would win on their values do not fit.
    best = pairs.values[:, 0] > 0.5
    excess = np.where(best[:, None], [[3, -1, -1, -1, -1]], -1)
    study = open_study(location, identity)
    study.add_trials(trials_of(joint, pairs, excess))
    feasible = pairs.take(~best).front()
    found = read_pairs(joint, study.best_trials)
    assert {tuple(values) for values in found.values} == {tuple(values) for values in feasible.values}
    assert all(max(trial.constraints.values()) <= 0 for trial in study.best_trials)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("space", "imagenet"),
        ("parameters", "0123"),
        ("board", "zcu104"),
        ("coefficients", "fitted"),
        ("implementation", "rtl"),
        ("accuracy", "digest-2"),
        ("format_version", 2),
    ],
)
def test_a_study_of_something_else_is_refused_and_kept(tmp_path, identity, joint, field, value):
    location = StudyLocation(str(tmp_path / "study.journal"), "search")
    open_study(location, identity).add_trials(trials_of(joint, some_pairs(joint, 2), np.full((2, 5), -1)))
    before = (tmp_path / "study.journal").read_bytes()
    other = {**identity, field: value}
    with pytest.raises(StorageError, match=f"its {field} is .*, this search has {value!r}"):
        open_study(location, other)
    assert len(open_study(location, identity).trials) == 2
    assert (tmp_path / "study.journal").read_bytes() == before


def test_a_study_that_is_older_than_the_choice_of_an_implementation_is_of_the_cpp(location, identity, joint):
    older = {name: value for name, value in identity.items() if name != "implementation"}
    open_study(location, older).add_trials(trials_of(joint, some_pairs(joint, 2), np.full((2, 5), -1)))
    assert len(open_study(location, identity).trials) == 2
    with pytest.raises(StorageError, match="its implementation is 'hls', this search has 'rtl'"):
        open_study(location, {**identity, "implementation": "rtl"})


def test_studies_share_a_storage(location, identity, joint):
    open_study(location, identity).add_trials(trials_of(joint, some_pairs(joint, 2), np.full((2, 5), -1)))
    other = StudyLocation(location.storage, "other")
    assert open_study(other, {**identity, "board": "zcu104"}).trials == []
    assert len(open_study(location, identity).trials) == 2


def test_a_stranger_in_the_storage_is_refused(tmp_path, identity):
    location = StudyLocation(str(tmp_path / "study.journal"), "mine")
    storage = f"sqlite:///{tmp_path}/other.db"
    optuna.create_study(study_name="mine", storage=storage).optimize(lambda trial: trial.suggest_float("x", 0, 1), 2)
    with pytest.raises(StorageError, match="not a study of the joint space"):
        open_study(replace(location, storage=storage), identity)
    assert len(optuna.load_study(study_name="mine", storage=storage).trials) == 2


@pytest.mark.parametrize(
    "storage", ["sqlite:////nowhere/at/all.db", "nonsense://x", "postgresql://localhost:1/x", "/proc/none/study"]
)
def test_storages_that_cannot_be_opened(storage, identity):
    with pytest.raises(StorageError):
        open_study(StudyLocation(storage, "s"), identity)


def test_a_damaged_sqlite_file_is_refused(tmp_path, identity):
    path = tmp_path / "study.db"
    location = StudyLocation(f"sqlite:///{path}", "s")
    open_study(location, identity)
    path.write_bytes(b"\x00" * 100 + path.read_bytes()[100:])
    with pytest.raises(StorageError, match="study 's' in sqlite"):
        open_study(location, identity)


def changed(trial, values=None, **params):
    """The trial with other values and parameters; a parameter that is None is taken away."""
    changes = {name: value for name, value in params.items() if value is not None}
    kept = {name: value for name, value in trial.params.items() if name not in params} | changes
    distributions = {name: trial.distributions[name] for name in kept.keys() - changes.keys()}
    distributions |= {name: optuna.distributions.CategoricalDistribution([value]) for name, value in changes.items()}
    values = trial.values if values is None else values
    return optuna.trial.create_trial(params=kept, distributions=distributions, values=values)


INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"voltage": 1}, r"params\.voltage: must be a parameter of this joint space, got 1"),
        ({"pe_rows": 7}, r"params\.pe_rows: must be one of .*, got 7"),
        ({"pe_rows": None}, r"params\.pe_rows: must be given, got None"),
        ({"values": [INF, 1.0, 1.0]}, r"values\.accuracy: must be in 0\.\.1, got inf"),
        ({"values": [7.5, 1.0, 1.0]}, r"values\.accuracy: must be in 0\.\.1, got 7\.5"),
        ({"values": [-0.1, 1.0, 1.0]}, r"values\.accuracy: must be in 0\.\.1, got -0\.1"),
        ({"values": [0.5, 0.0, 1.0]}, r"values\.latency_ms: must be positive and finite, got 0\.0"),
        ({"values": [0.5, INF, 1.0]}, r"values\.latency_ms: must be positive and finite, got inf"),
        ({"values": [0.5, 1.0, -INF]}, r"values\.energy_mj: must be positive and finite, got -inf"),
        ({"values": [0.5, 1.0]}, r"values: must be 3: accuracy, latency_ms, energy_mj, got \[0\.5, 1\.0\]"),
    ],
)
def test_what_is_no_trial_of_the_space_is_skipped_and_named(joint, changes, reason):
    sound = trials_of(joint, some_pairs(joint, 3), np.full((3, 5), -1))
    skipped = []
    pairs = read_pairs(joint, [sound[0], changed(sound[1], **changes), sound[2]], skipped.append)
    assert len(skipped) == 1
    assert re.fullmatch(f"trial -1: {reason}", skipped[0])
    assert np.array_equal(pairs.rows, some_pairs(joint, 3).rows[[0, 2]])


def test_a_trial_of_nan_is_skipped(joint):
    sound = trials_of(joint, some_pairs(joint, 2), np.full((2, 5), -1))
    sound[1]._values = [NAN, 1.0, 1.0]
    skipped = []
    assert len(read_pairs(joint, sound, skipped.append)) == 1
    assert skipped == ["trial -1: values.accuracy: must be in 0..1, got nan"]


def test_parameters_of_the_users_own_may_stand_beside(joint):
    trial = changed(trials_of(joint, some_pairs(joint, 1), np.full((1, 5), -1))[0], voltage=1)
    assert np.array_equal(read_pairs(joint, [trial], with_own_parameters=True).rows, some_pairs(joint, 1).rows)


def test_the_front_is_of_what_fits_whatever_trials_state(joint, problem):
    pairs = some_pairs(joint, 40)
    # What beats all does not fit.
    over = ~problem.fits(pairs.rows)
    assert 0 < over.sum() < 40
    values = pairs.values.copy()
    values[over] = [1.0, 1e-9, 1e-9]
    pairs = PricedPairs(pairs.rows, values)
    assert np.array_equal(fitting_front(problem, pairs).values, pairs.take(~over).front().values)


def test_fitting_follows_from_the_parameters(joint, problem):
    rows = some_pairs(joint, 40).rows
    for row, fits in zip(rows, problem.fits(rows), strict=True):
        try:
            check_fits(joint.decode(row).accelerator, joint.board)
        except (InvalidValueError, ResourceError):
            assert not fits
        else:
            assert fits
    illegal = rows[:1].copy()
    names = [name for name, _ in joint.parameters]
    for name, value in {"pe_rows": 4, "axi_bits": 64, "ifmap_kib": 8, "weight_kib": 8}.items():
        column = names.index(name)
        illegal[0, column] = joint.parameters[column][1].index(value)
    assert problem.fits(illegal).tolist() == [False]
    assert problem.fits(rows[:0]).tolist() == []


def check_is_whole(study, identity):
    assert study.user_attrs == identity
    assert study.metric_names == ["accuracy", "latency_ms", "energy_mj"]


def test_a_study_killed_at_any_line_of_its_birth_is_completed(tmp_path, identity, joint):
    path = tmp_path / "study.journal"
    location = StudyLocation(str(path), "search")
    open_study(location, identity)
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) == 9
    for kept in range(len(lines)):
        path.write_bytes(b"".join(lines[:kept]))
        assert find_study(location, identity) is None
        check_is_whole(open_study(location, identity), identity)
        study = open_study(location, identity)
        study.add_trials(trials_of(joint, some_pairs(joint, 2), np.full((2, 5), -1)))
        assert len(find_study(location, identity).trials) == 2


@pytest.mark.parametrize("order", [list(range(7)), [6, 5, 4, 3, 2, 1, 0]], ids=["first", "last"])
def test_a_part_of_an_identity_belongs_to_the_first_that_agrees(location, identity, order):
    items = list(identity.items())
    other = {**identity, items[order[0]][0]: "another"}
    for count in range(1, 7):
        place = replace(location, name=f"{count} of seven")
        study = optuna.create_study(
            study_name=place.name, storage=open_storage(place), directions=["maximize", "minimize", "minimize"]
        )
        for index in order[:count]:
            study.set_user_attr(*items[index])
        with pytest.raises(StorageError, match=f"its {items[order[0]][0]} is .*, this search has 'another'"):
            open_study(place, other)
        check_is_whole(open_study(place, identity), identity)


def open_storage(location):
    is_url = "://" in location.storage
    return optuna.storages.RDBStorage(location.storage) if is_url else open_journal(Path(location.storage))


def test_a_study_of_ones_own_without_trials_is_not_taken_over(location, identity):
    study = optuna.create_study(
        study_name="search", storage=open_storage(location), directions=["maximize", "minimize", "minimize"]
    )
    study.set_user_attr("owner", "me")
    with pytest.raises(StorageError, match="its space is nothing, this search has 'tiny'"):
        open_study(location, identity)
    assert study.user_attrs == {"owner": "me"}


# Forks processes that make a study in SQLite and kill themselves at one of the statements that this takes.
KILLED_AT_STATEMENTS = """
import os, signal, sys
import optuna
from sqlalchemy import event
from sqlalchemy.engine import Engine
from codesign.search.study import StudyLocation, open_study

optuna.logging.set_verbosity(optuna.logging.ERROR)
folder, *identity = sys.argv[1:]
NAMES = ("space", "parameters", "board", "coefficients", "implementation", "accuracy")


def make(number):
    seen = 0

    def count(*_):
        nonlocal seen
        seen += 1
        if seen == number:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", count)
    event.listen(Engine, "commit", count)
    stated = {**dict(zip(NAMES, identity)), "format_version": 1}
    open_study(StudyLocation(f"sqlite:///{folder}/{number}.db", "search"), stated)
    return seen


def fork(number):
    child = os.fork()
    if not child:
        os._exit(make(number))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


statements = fork(0)
for index in range(20):
    number = 1 + index * statements // 20
    print(number, fork(number))
"""


def test_kill_9_at_any_statement_of_its_birth_in_sqlite(tmp_path, identity):
    texts = [str(value) for name, value in identity.items() if name != "format_version"]
    done = subprocess.run(
        [sys.executable, "-c", KILLED_AT_STATEMENTS, str(tmp_path), *texts],
        check=True,
        capture_output=True,
        text=True,
    )
    outcomes = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert len(set(outcomes)) == 20
    assert {status for _, status in outcomes} == {-signal.SIGKILL}
    for number, _ in outcomes:
        location = StudyLocation(f"sqlite:///{tmp_path}/{number}.db", "search")
        check_is_whole(open_study(location, identity), identity)


def test_to_look_for_a_study_makes_none(location, identity, tmp_path):
    assert find_study(location, identity) is None
    assert list(tmp_path.iterdir()) == []
    open_study(location, identity)
    assert find_study(replace(location, name="other"), identity) is None
    check_is_whole(find_study(location, identity), identity)
    with pytest.raises(StorageError, match="its board is 'pynq-z2', this search has 'zcu104'"):
        find_study(location, {**identity, "board": "zcu104"})
    assert optuna.get_all_study_names(open_storage(location)) == ["search"]


def spoilt_journals(path, count):
    """Copies of a journal: one line with a fault as JSON, or the whole with one as bytes."""
    lines = path.read_bytes().splitlines(keepends=True)
    chance = random.Random(0)
    for number in range(count // 4):
        yield next(mutated_bytes(b"".join(lines), 1, number))
    for number in range(count - count // 4):
        place = chance.randrange(len(lines))
        (line,) = mutated_json(json.loads(lines[place]), 1, number)
        yield b"".join([*lines[:place], line.replace(b"\n", b" ") + b"\n", *lines[place + 1 :]])


def test_any_spoilt_journal_is_read_or_refused_in_one_line(tmp_path, identity, joint, problem):
    path = tmp_path / "study.journal"
    location = StudyLocation(str(path), "search")
    study = open_study(location, identity)
    pairs = some_pairs(joint, 3)
    study.add_trials(trials_of(joint, pairs, np.full((3, 5), -1)))
    study.set_user_attr("progress:0", {"pairs": 3})
    running = study.ask()
    running.suggest_categorical("x", [1, 2])

    def read():
        # Optuna warns of distributions that make no sense.
        with storage_errors(location), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = open_study(location, identity)
            read_progress(found)
            skipped = []
            read_front(found, problem, skipped.append)
            assert all(len(text.splitlines()) == 1 for text in skipped)

    content = path.read_bytes()
    read()
    path.write_bytes(content)
    accepted, refused = drive(from_file(path, read), spoilt_journals(path, 2_000))
    assert accepted > 100
    assert refused > 500


@pytest.mark.parametrize("field", ["storage", "name"])
def test_locations_are_not_empty(field):
    with pytest.raises(InvalidValueError, match=rf"study\.{field}"):
        StudyLocation(**{"storage": "a", "name": "b", field: ""})
