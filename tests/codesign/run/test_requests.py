import dataclasses
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.json_file import read_json
from support.networks.named_spaces import DIGITS, OFA_MBV3_W12
from support.shared_data import shared_data

from codesign.run.folder import Run
from codesign.run.requests import SearchRequest, TrainRequest, _without_predictor, load_accuracies, load_trained
from codesign.run.searched import load_searched, load_weights
from codesign.supernet.accuracy.official_predictor import known_space, load_official_predictor
from codesign.supernet.accuracy.predictor import LEAST_SUBNETS
from codesign.supernet.spaces.named import load_space
from codesign.supernet.training.checkpoint import read_checkpoint, write_checkpoint
from cost_models.calibration.record import load_calibration, write_calibration
from cost_models.coefficients import load_coefficients, write_coefficients
from hw_templates.foundation.errors import InvalidValueError, StorageError


def test_what_the_commands_wrote_is_read_back(finished_run: Run) -> None:
    searched = load_searched(finished_run)
    settings = read_json(finished_run.configuration)["search"]
    assert searched.board.name == settings["board"]
    assert searched.task.settings.pairs == settings["pairs"]
    assert searched.accuracies.trained.checkpoint.finished
    assert searched.task.location.storage == str(finished_run.study)


def test_a_study_is_named_after_what_it_depends_on(finished_run: Run, tmp_path) -> None:
    name = load_searched(finished_run).task.location.name
    assert name.startswith("digits-pynq-z2-")
    other = Run(tmp_path / "other")
    for path in ("run.json", "supernet.pt", "predictor.npz"):
        (other.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (other.folder / path).write_bytes((finished_run.folder / path).read_bytes())
    assert load_searched(other).task.location.name == name
    other.configure(dataclasses.replace(other.settings(SearchRequest), board="kv260"), replace=True)
    assert load_searched(other).task.location.name == name.replace("pynq-z2", "kv260")


def test_an_unfinished_training_says_how_to_finish_it(finished_run: Run, tmp_path) -> None:
    run = Run(tmp_path)
    run.configure(finished_run.settings(TrainRequest))
    whole = read_checkpoint(finished_run.checkpoint, load_space("digits"))
    write_checkpoint(run.checkpoint, dataclasses.replace(whole, step=3, losses=whole.losses[:3]))
    with pytest.raises(StorageError, match=r"training stopped at step 3 of \d+; run `codesign train"):
        load_trained(run)


def test_a_space_without_data_is_refused() -> None:
    with pytest.raises(InvalidValueError, match=r"train\.data: must be a folder of images for space cifar10"):
        TrainRequest(space="cifar10", preset="cifar10").load_data()


GENES = DIGITS.sample_genes(np.random.default_rng(0), 3)


def test_measured_accuracies_are_those_of_the_shared_weights(finished_run: Run, tmp_path: Path) -> None:
    run = Run(Path(shutil.copytree(finished_run.folder, tmp_path / "run")))
    accuracies = load_accuracies(run, "measured", None)
    images = len(accuracies.trained.data.labels["validation"])
    right = accuracies.oracle.accuracy(GENES) * images
    assert right == pytest.approx(right.round())
    assert accuracies.digest == accuracies.trained.checkpoint.digest
    kept = run.accuracies.read_bytes()
    assert (load_accuracies(run, "measured", "digits").oracle.accuracy(GENES) * images == right).all()
    assert run.accuracies.read_bytes() == kept


def test_official_accuracies_need_nothing_in_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODESIGN_CACHE", str(shared_data("ofa")))
    run = Run(tmp_path / "new")
    accuracies = load_accuracies(run, "official", "ofa-mbv3-w1.2")
    known = known_space(OFA_MBV3_W12)
    assert accuracies.space == known
    assert accuracies.trained is None
    genes = known.sample_genes(np.random.default_rng(0), 9)
    assert (accuracies.oracle.accuracy(genes) == load_official_predictor(known).accuracy(genes)).all()
    request = SearchRequest(
        board="kv260", pairs=10, workers=1, storage=None, seed=0, space="ofa-mbv3-w1.2", accuracy="official"
    )
    searched = load_searched(run, request)
    assert searched.task.location.name == f"ofa-mbv3-w1.2-kv260-{accuracies.digest[:8]}-hls-seed0"
    assert searched.problem.joint.space == known
    assert not run.folder.exists()


def test_each_source_makes_a_study_of_its_own(finished_run: Run, official_stand_in: None) -> None:
    names, identities = set(), set()
    for source in ("predictor", "measured", "official"):
        searched = load_searched(
            finished_run, SearchRequest(board="pynq-z2", pairs=10, workers=1, storage=None, seed=0, accuracy=source)
        )
        assert searched.task.accuracy_name == f"{source} {searched.accuracies.digest}"
        names.add(searched.task.location.name)
        identities.add(searched.task.accuracy_name)
    assert len(names) == len(identities) == 3


def test_official_accuracies_are_of_the_runs_space_unless_one_is_named(
    finished_run: Run, official_stand_in: None
) -> None:
    assert load_accuracies(finished_run, "official", None).space.name == "digits"
    with pytest.raises(InvalidValueError, match=r"search\.space: must be digits, that of the supernet in"):
        load_accuracies(finished_run, "official", "ofa-mbv3-w1.2")


def test_what_a_source_cannot_give_is_one_line(finished_run: Run, tmp_path: Path) -> None:
    new = Run(tmp_path / "new")
    with pytest.raises(InvalidValueError, match=r"search\.accuracy: must be one of predictor, measured, official"):
        load_accuracies(finished_run, "guessed", None)
    with pytest.raises(InvalidValueError, match=r"search\.space: must be given, as .* no supernet"):
        load_accuracies(new, "official", None)
    with pytest.raises(InvalidValueError, match=r"space: must be ofa-mbv3-w1\.2 or .*, got 'ofa-proxyless-w1\.3'"):
        load_accuracies(new, "official", "ofa-proxyless-w1.3")
    with pytest.raises(InvalidValueError, match=r"search\.space: must be digits, that of the supernet"):
        load_accuracies(finished_run, "predictor", "cifar10")
    for source in ("predictor", "measured"):
        with pytest.raises(StorageError, match="no train in this run yet"):
            load_accuracies(new, source, "digits")
    assert not new.folder.exists()


def test_a_predictor_of_another_space_is_refused(finished_run: Run, tmp_path: Path) -> None:
    run = Run(Path(shutil.copytree(finished_run.folder, tmp_path / "run")))
    content = dict(np.load(run.predictor))
    np.savez(run.predictor, **{**content, "space": "cifar10"})
    with pytest.raises(StorageError, match="a predictor of space cifar10, wanted digits"):
        load_accuracies(run, "predictor", None)


def test_weights_are_the_runs_or_it_says_that_there_are_none(
    finished_run: Run, official_stand_in: None, tmp_path: Path
) -> None:
    official = SearchRequest(
        board="pynq-z2", pairs=10, workers=1, storage=None, seed=0, space="digits", accuracy="official"
    )
    digest = load_trained(finished_run).checkpoint.digest
    for request in (None, official):
        assert load_weights(finished_run, load_searched(finished_run, request)).checkpoint.digest == digest
    new = Run(tmp_path)
    with pytest.raises(StorageError, match="weights: none in this run, whose accuracies are official"):
        load_weights(new, load_searched(new, official))


def test_fitted_coefficients_make_another_study_and_must_be_of_the_board(finished_run: Run, tmp_path: Path) -> None:
    fitted = dataclasses.replace(load_coefficients(), name="mine", board="pynq-z2", measurements=20)
    write_coefficients(tmp_path / "mine", fitted)
    prior = load_searched(finished_run, SearchRequest(board="pynq-z2", pairs=10, workers=1, storage=None, seed=0))
    mine = load_searched(
        finished_run,
        SearchRequest(board="pynq-z2", pairs=10, workers=1, storage=None, seed=0, coefficients=str(tmp_path / "mine")),
    )
    assert mine.task.problem.coefficients == fitted
    assert mine.task.location.name != prior.task.location.name
    with pytest.raises(InvalidValueError, match=r"coefficients\.board: must be kv260, the board that is priced"):
        load_searched(
            finished_run,
            SearchRequest(
                board="kv260", pairs=10, workers=1, storage=None, seed=0, coefficients=str(tmp_path / "mine")
            ),
        )


def test_coefficients_of_another_engine_are_refused(finished_run: Run, tmp_path: Path) -> None:
    write_calibration(tmp_path / "dpu", load_calibration("dpu-ultra96"))
    for name in ("dpu-ultra96", str(tmp_path / "dpu")):
        with pytest.raises(InvalidValueError, match=r"coefficients: must be one of prior, or a folder .* fit to own"):
            load_searched(
                finished_run,
                SearchRequest(board="ultra96-v2", pairs=10, workers=1, storage=None, seed=0, coefficients=name),
            )


@pytest.mark.parametrize(
    ("subnets", "names_predictor", "names_measured"),
    [(2 * LEAST_SUBNETS - 1, False, True), (2 * LEAST_SUBNETS, True, True), (600, True, True), (601, True, False)],
)
def test_a_run_without_a_predictor_is_told_of_measuring_where_there_are_few_subnets(
    subnets: int, names_predictor: bool, names_measured: bool, tmp_path: Path
) -> None:
    space = SimpleNamespace(name="few", size=lambda: subnets)
    advice = _without_predictor(Run(tmp_path), space)  # type: ignore[arg-type]
    assert (f"codesign predictor {tmp_path}" in advice) == names_predictor
    assert (f"--accuracy measured` needs none, as space few has {subnets} subnets" in advice) == names_measured
