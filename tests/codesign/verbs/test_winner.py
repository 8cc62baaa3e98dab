import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from recorded_progress import RecordedProgress

from codesign.progress import Silent
from codesign.run import Run, read_json
from codesign.search.winner import choose_winner, rule_of
from codesign.search.worker import read_front
from codesign.supernet.lowering import lower
from codesign.verbs.context import load_searched
from codesign.verbs.emit import emit
from codesign.verbs.winner import winner
from cost_models.estimate import price
from cost_models.resources import RESOURCES, estimate_resources
from hw_templates.accelerator import Accelerator
from hw_templates.errors import InfeasibleError, InvalidValueError, StorageError


@pytest.fixture
def run(finished_run: Run, tmp_path: Path) -> Run:
    return Run(Path(shutil.copytree(finished_run.folder, tmp_path / "run")))


@pytest.mark.parametrize("limited", ["nothing", "latency", "accuracy"])
def test_the_pair_that_the_rule_chooses_is_recorded_with_its_price(run: Run, limited: str) -> None:
    searched = load_searched(run)
    front = read_front(searched.task.open_study(), searched.joint)
    limits = {
        "nothing": (None, None),
        "latency": (float(np.median(front.latency_ms)), None),
        "accuracy": (None, float(np.median(front.accuracy))),
    }[limited]
    winner(run, *limits, Silent())
    record, searched = read_json(run.winner), load_searched(run)
    joint, board = searched.joint, searched.board
    chosen = choose_winner(joint, read_front(searched.task.open_study(), joint), rule_of(*limits))
    subnet, accelerator = joint.space.parse_subnet(record["subnet"]), Accelerator.from_dict(record["accelerator"])
    assert (subnet, accelerator) == (chosen.pair.subnet, chosen.pair.accelerator)
    assert record["rule"] == chosen.rule
    predicted = searched.accuracies.oracle.accuracy(joint.space.encode(subnet)[None])[0]
    assert record["accuracy"] == pytest.approx(predicted, rel=1e-12)
    assert record["accuracy_source"] == "predictor"
    alone = price(lower(joint.space, subnet), accelerator, board, searched.task.coefficients)
    assert record["predicted"]["latency_ms"] == pytest.approx(alone.latency_ms, rel=1e-12)
    assert record["predicted"]["energy_mj"] == pytest.approx(alone.energy_mj, rel=1e-12)
    needs = estimate_resources(accelerator, board)
    assert record["resources"] == {name: getattr(needs, name) for name in RESOURCES}
    assert all(needed <= getattr(board, name) for name, needed in record["resources"].items())


def test_it_says_what_it_records(run: Run) -> None:
    shown = RecordedProgress()
    winner(run, None, None, shown)
    record, text = read_json(run.winner), "\n".join(shown.lines)
    a = record["accelerator"]
    assert f"{a['pe_rows']} x {a['pe_cols']} x {a['pe_pixels']} PEs" in text
    assert f"{record['predicted']['latency_ms']:.4f} ms" in text
    assert f"accuracy: {record['accuracy']:.2%} (predictor)" in text
    assert f"{record['resources']['dsp']:,} of 220 dsp" in text
    assert np.isfinite(record["accuracy"])


def test_limits_that_cannot_be_met_and_a_run_without_a_search(run: Run, tmp_path: Path) -> None:
    with pytest.raises(InfeasibleError, match=r"latency_ms: no pair of .* is within 1e-05 ms; the nearest is"):
        winner(run, 1e-5, None, Silent())
    with pytest.raises(InvalidValueError, match="min_accuracy: must be left out"):
        winner(run, 1.0, 0.5, Silent())
    assert not run.winner.exists()
    with pytest.raises(StorageError, match="no search in this run yet"):
        winner(Run(tmp_path / "new"), None, None, Silent())


def contents(run: Run) -> dict[str, bytes]:
    return {str(path.relative_to(run.folder)): path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}


def test_a_dry_run_prints_the_same_winner_and_writes_nothing(run: Run) -> None:
    before, shown, dry = contents(run), RecordedProgress(), RecordedProgress()
    # Also while another process is at work in the run.
    with run.claim():
        winner(run, None, None, dry, dry_run=True)
    assert contents(run) == before
    winner(run, None, None, shown)
    assert contents(run).keys() - before.keys() == {"winner.json"}
    assert shown.lines == [*dry.lines, f"           {run.winner}"]


@pytest.mark.parametrize("storage", ["study.journal", "sqlite:///{folder}/study.db"])
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_search_that_only_began_has_no_winner_and_no_study_is_made(run: Run, storage: str, dry_run: bool) -> None:
    settings = json.loads(run.configuration.read_text())
    settings["search"]["storage"] = None if storage == "study.journal" else storage.format(folder=run.folder)
    run.configuration.write_text(json.dumps(settings))
    run.study.unlink()
    before = contents(run)
    with pytest.raises(
        StorageError, match=r"holds no search with these accuracies yet; run `codesign search .*` first"
    ):
        winner(run, None, None, Silent(), dry_run=dry_run)
    with pytest.raises(StorageError, match="holds no search with these accuracies yet"):
        emit(run, None, None, Silent())
    assert contents(run) == before
