from dataclasses import replace

import numpy as np
import pytest

from codesign.search import joint_search as module
from codesign.search.joint_search import Worker, joint_search, read_progress
from codesign.search.pareto import PricedPairs, no_pairs
from codesign.search.problem import RoundKey, SearchProgress, SearchSettings
from codesign.search.study import make_trials, read_front, read_pairs
from codesign.templates.engine.evolution import EngineEvolution
from cost_models.resources import RESOURCES, estimate_resources
from hw_templates.foundation.errors import InvalidValueError, StorageError

# Pairs of a round of the plan.
BATCH = 16 * 8


def start(task, number=0):
    return Worker(task, task.open_study(), number)


def rounds(count):
    """What stops a worker after so many rounds."""
    seen = []

    def to_stop(done):
        seen.append(done)
        return len(seen) >= count

    return to_stop


def test_a_worker_learns_what_others_found(make_task, monkeypatch):
    monkeypatch.setattr(module, "_FLUSH_S", 0.0)
    found = joint_search(make_task(12 * BATCH)).front
    task = make_task(12 * BATCH, "b")
    study = task.open_study()
    study.add_trials(make_task(1).open_study().trials)
    # One round more than nothing starts from all of it.
    result = joint_search(replace(task, settings=replace(task.settings, pairs=1)))
    for value in found.values:
        good = (result.front.values[:, 0] >= value[0]) & (result.front.values[:, 1:] <= value[1:]).all(axis=1)
        assert good.any()


@pytest.mark.parametrize(("field", "value"), [("pairs", 0), ("workers", 0), ("seed", -1)])
def test_bad_settings_are_named(field, value):
    with pytest.raises(InvalidValueError, match=rf"search\.{field}"):
        SearchSettings(**{field: value})


def test_progress_adds_up():
    assert SearchProgress(1, 2, 3, 9) + SearchProgress(4, 5, 6, 7) - SearchProgress(1, 1, 1, 1) == SearchProgress(
        4, 6, 8, 15
    )


def test_a_stopped_worker_has_written_what_it_found(make_task, monkeypatch):
    monkeypatch.setattr(module, "_FLUSH_S", np.inf)
    task = make_task(10**6)
    one = start(task)
    # The fifth round breeds accelerators; some do not fit.
    one.run(10**6, rounds(5))
    assert one.done.rounds == 5
    study = task.open_study()
    assert read_progress(study) == one.done
    trials = study.trials
    feasible = [trial for trial in trials if max(trial.constraints.values()) <= 0]
    stored = {row.tobytes() for row in read_pairs(task.problem.joint, feasible).rows}
    assert {row.tobytes() for row in one.archive.rows} == stored
    assert len(stored) == len(feasible) < len(trials)
    board = task.problem.joint.accelerators.board
    for trial, row in zip(trials, read_pairs(task.problem.joint, trials).rows, strict=True):
        needed = estimate_resources(task.problem.joint.decode(row).accelerator, board)
        assert [trial.user_attrs[name] for name in RESOURCES] == [getattr(needed, name) for name in RESOURCES]
        assert trial.user_attrs["worker"] == 0


def test_what_is_written_is_not_written_again(make_task, tmp_path):
    task = make_task(10**6)
    one = start(task)
    # Of the fifth round some do not fit; these too are written once.
    one.run(10**6, rounds(5))
    before = (tmp_path / "a.journal").read_bytes()
    one.write()
    assert (tmp_path / "a.journal").read_bytes() == before
    trials = len(task.open_study().trials)
    one.run(10**6, rounds(1))
    later = task.open_study().trials[trials:]
    known = {tuple(sorted(trial.params.items())) for trial in task.open_study().trials[:trials]}
    assert not known & {tuple(sorted(trial.params.items())) for trial in later}


def test_a_worker_goes_on_where_its_number_was(make_task, pricer, oracle, plan):
    straight = start(make_task(10**6, "straight"))
    straight.run(10**6, rounds(6))
    # The first worker alone is the evolution in memory.
    evolution, found = EngineEvolution(pricer, oracle, plan), no_pairs(pricer.joint)
    for number in range(6):
        found = evolution.run_round(found, RoundKey(0, 0, number)).archive
    assert pricer.pairs == straight.done.pairs
    assert np.array_equal(straight.archive.rows, found.rows)
    task = make_task(10**6)
    start(task).run(10**6, rounds(4))
    other = start(task, number=1)
    assert other.done == SearchProgress()
    again = start(task)
    assert again.done.rounds == 4
    again.run(10**6, rounds(2))
    assert np.array_equal(again.archive.rows, straight.archive.rows)
    assert again.done.pairs == straight.done.pairs


def test_progress_is_that_of_all_workers(make_task):
    task = make_task(10**6)
    workers = [start(task, number) for number in range(3)]
    for number, one in enumerate(workers):
        one.run(10**6, rounds(number + 1))
    progress = read_progress(task.open_study())
    assert progress.rounds == 6
    assert progress.pairs == sum(one.done.pairs for one in workers)
    assert progress.candidates == sum(one.done.candidates for one in workers) > 0


def test_the_front_is_of_the_trials_that_fit_and_that_none_beats(make_task):
    task = make_task(10**6)
    # What two workers find apart is not all on the front of both.
    for number in range(2):
        start(task, number).run(10**6, rounds(2))
    study = task.open_study()
    values = [trial.values for trial in study.trials if all(over <= 0 for over in trial.constraints.values())]
    beats = [[a[0] >= b[0] and a[1] <= b[1] and a[2] <= b[2] and a != b for a in values] for b in values]
    wanted = {tuple(value) for value, beaten in zip(values, beats, strict=True) if not any(beaten)}
    assert 0 < len(wanted) < len(values)
    # One that beats all of them and needs a DSP too many.
    row = read_pairs(task.problem.joint, study.trials[:1]).rows
    unbeaten = PricedPairs(row, np.array([[1.0, 1e-6, 1e-6]]))
    needs = task.problem.joint.available + np.array([[1, -1, -1, -1, -1]])
    study.add_trials(make_trials(task.problem.joint, unbeaten, needs, 0))
    front = read_front(study, task.problem)
    assert {tuple(value) for value in front.values.tolist()} == wanted
    assert (np.diff(front.latency_ms) >= 0).all()


def test_a_storage_that_fails_is_named(make_task, monkeypatch):
    one = start(make_task(10**6))

    def fail(trials):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(one._study, "add_trials", fail)
    with pytest.raises(StorageError, match=r"study 'search' in .*a\.journal: .*No space left on device"):
        one.run(10**6, rounds(1))
