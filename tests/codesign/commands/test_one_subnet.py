"""A subnet that was trained on alone, which makes a space without genes."""

import pytest
from support.json_file import read_json

from codesign.commands.pairs import csim, emit, winner
from codesign.commands.report import report
from codesign.commands.search import search
from codesign.commands.training import fit, request_training, train
from codesign.progress import Silent
from codesign.run.folder import Run
from codesign.run.requests import EmitRequest, SearchRequest, load_trained
from codesign.supernet.lowering.workloads import lower
from cost_models.workload import Layer
from hw_templates.foundation.errors import InvalidValueError, StorageError

MEASURED = SearchRequest(board="pynq-z2", pairs=4_000, workers=1, storage=None, seed=0, accuracy="measured")


def emitted_layers(run: Run) -> list[Layer]:
    """Those of the subnet that the run's project says it holds, which are of its own supernet."""
    trained, origin = load_trained(run), read_json(run.project / "project.json")["origin"]
    assert origin["checkpoint"] == trained.checkpoint.digest
    return [node.layer for node in lower(trained.space, trained.space.parse_subnet(origin["subnet"]))]


@pytest.fixture(scope="module")
def fine_tuned(finished_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The winner of the small run, trained on alone."""
    run = Run(tmp_path_factory.mktemp("special") / "run")
    project = str(finished_run.project / "project.json")
    train(run, request_training(None, "digits-small", 0, None, project, finished_run.folder), Silent())
    return run


def test_the_winner_is_fine_tuned_searched_emitted_and_verified_in_a_row(finished_run: Run, fine_tuned: Run) -> None:
    search(fine_tuned, MEASURED, Silent(), baselines=True)
    winner(fine_tuned, EmitRequest(), Silent())
    emit(fine_tuned, EmitRequest(), Silent())
    csim(fine_tuned, Silent())
    report(fine_tuned, Silent())
    assert emitted_layers(fine_tuned) == emitted_layers(finished_run)
    record = read_json(fine_tuned.fronts)
    # One accuracy spans no box, and may be 1.
    assert len({accuracy for front in record["fronts"].values() for accuracy, _, _ in front}) == 1
    assert record["reference"]["accuracy"] == 0
    assert 0 < max(record["hypervolumes"].values()) < 1
    assert {path.name for path in fine_tuned.report.glob("*.png")} == {
        f"{name}.png" for name in ("front", "layers", "resources", "training")
    }


def test_a_search_without_a_predictor_says_that_few_subnets_can_be_measured(fine_tuned: Run) -> None:
    plain = SearchRequest(board="pynq-z2", pairs=4_000, workers=1, storage=None, seed=0)
    with pytest.raises(StorageError, match=r"--accuracy measured` needs none.* digits-only has 1 subnet$") as caught:
        search(fine_tuned, plain, Silent(), baselines=False)
    assert "\n" not in str(caught.value)
    with pytest.raises(InvalidValueError, match=r"samples: .*half of the 1 subnet.*--accuracy measured"):
        fit(fine_tuned, 25, 0, Silent())
