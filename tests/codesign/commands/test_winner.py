import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, create_trial
from support.json_file import read_json

from codesign.cli.text.run import emit_lines, winner_lines
from codesign.commands.pairs import emit, winner
from codesign.progress import Silent
from codesign.run.folder import Run
from codesign.run.requests import EmitRequest
from codesign.run.searched import load_searched
from codesign.search.study import is_feasible, read_front, read_pairs
from codesign.search.winner import rule_of
from codesign.supernet.accuracy.measured import MeasuredAccuracy
from codesign.supernet.lowering.workloads import lower
from cost_models.closed_form.estimate import price
from cost_models.resources import RESOURCES, estimate_resources
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.errors import InfeasibleError, InvalidValueError, StorageError


@pytest.fixture
def run(finished_run: Run, tmp_path: Path) -> Run:
    return Run(Path(shutil.copytree(finished_run.folder, tmp_path / "run")))


OPTIONS = {
    "nothing": {},
    "latency": {"max_latency_ms": "median"},
    "accuracy": {"min_accuracy": "median"},
    "within": {"within": 5.0},
    "knee": {"rule": "knee"},
}


def forget_measured(run: Run) -> None:
    """As before anything was measured, but for what the predictor was fitted to."""
    run.accuracies.unlink()


@pytest.mark.parametrize("asked", OPTIONS)
def test_the_pair_that_the_rule_chooses_is_recorded_with_its_price(run: Run, asked: str) -> None:
    forget_measured(run)
    searched = load_searched(run)
    joint, board = searched.problem.joint, searched.board
    front = read_front(searched.task.open_study(), searched.problem)
    medians = {"max_latency_ms": np.median(front.latency_ms), "min_accuracy": np.median(front.accuracy)}
    options = {name: float(medians[name]) if value == "median" else value for name, value in OPTIONS[asked].items()}
    winner(run, EmitRequest(**options), Silent())
    record = read_json(run.winner)
    rule = rule_of(**{name: medians.get(name, value) for name, value in OPTIONS[asked].items()})
    chosen = joint.decode(front.rows[rule.choose(front)])
    subnet, accelerator = joint.space.parse_subnet(record["subnet"]), Accelerator(**record["accelerator"])
    assert (subnet, accelerator) == (chosen.subnet, chosen.accelerator)
    assert record["rule"] == str(rule)
    predicted = searched.accuracies.oracle.accuracy(joint.space.encode(subnet)[None])[0]
    assert record["accuracy"] == pytest.approx(predicted, rel=1e-12)
    assert record["accuracy_source"] == "predictor"
    alone = price(lower(joint.space, subnet), accelerator, board, searched.task.problem.coefficients)
    assert record["predicted"]["latency_ms"] == pytest.approx(alone.latency_ms, rel=1e-12)
    assert record["predicted"]["energy_mj"] == pytest.approx(alone.energy_mj, rel=1e-12)
    needs = estimate_resources(accelerator, board)
    assert record["resources"] == {name: getattr(needs, name) for name in RESOURCES}
    assert all(needed <= getattr(board, name) for name, needed in record["resources"].items())


@pytest.mark.parametrize("measured", [True, False])
def test_it_says_what_it_records(run: Run, measured: bool) -> None:
    if not measured:
        forget_measured(run)
    shown = list(winner_lines(winner(run, EmitRequest(), Silent())))
    record, text = read_json(run.winner), "\n".join(shown)
    source = "measured" if measured else "predictor"
    kind = "measured" if measured else "predicted"
    assert shown[0] == f"winner     fastest within 1 point of the best accuracy ({kind} accuracies)"
    assert record["accuracy_source"] == source
    a = record["accelerator"]
    assert f"{a['pe_rows']} x {a['pe_cols']} x {a['pe_pixels']} PEs" in text
    assert f"{record['predicted']['latency_ms']:.4f} ms" in text
    assert f"accuracy: {record['accuracy']:.2%} ({source})" in text
    assert f"{record['resources']['dsp']:,} of 220 dsp" in text
    assert np.isfinite(record["accuracy"])


@pytest.mark.parametrize("options", [{}, {"within": 3.0}, {"rule": "knee"}])
def test_emit_and_winner_name_the_same_pair_by_the_same_rule(run: Run, options: dict[str, Any]) -> None:
    said = list(emit_lines(emit(run, EmitRequest(**options), Silent())))
    shown = list(winner_lines(winner(run, EmitRequest(**options), Silent())))
    project, record = read_json(run.project / "project.json"), read_json(run.winner)
    assert record["subnet"] == project["origin"]["subnet"]
    assert record["accelerator"] == project["accelerator"]
    assert record["rule"] == project["origin"]["rule"]
    assert record["accuracy"] == project["origin"]["validation_accuracy"]
    (chosen,) = [line for line in said if line.startswith("emit")]
    assert chosen.removeprefix("emit       winner: ") == shown[0].removeprefix("winner     ")
    assert chosen.endswith("(measured accuracies)")


def test_winner_measures_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = run.accuracies.read_text().splitlines(keepends=True)
    run.accuracies.write_text("".join(lines[: len(lines) // 2]))
    monkeypatch.setattr(MeasuredAccuracy, "_measure", None)
    winner(run, EmitRequest(), Silent())
    assert read_json(run.winner)["accuracy_source"] == "predictor"


def trial_like(trial: FrozenTrial, values: list[float], **params: Any) -> FrozenTrial:
    """A finished trial as anyone may add it, without constraints."""
    added = {name: CategoricalDistribution([value]) for name, value in params.items()}
    return create_trial(params=trial.params | params, distributions=trial.distributions | added, values=values)


def test_alien_trials_win_nothing_and_are_named(run: Run) -> None:
    forget_measured(run)
    plain = list(winner_lines(winner(run, EmitRequest(), Silent())))
    before = read_json(run.winner)
    study = load_searched(run).task.open_study()
    trial, first = study.trials[0], len(study.trials)
    best, infinite = [0.999, 1e-6, 1e-6], [float("inf"), 1e-6, 1e-6]
    study.add_trials([trial_like(trial, best, voltage=1), trial_like(trial, best, pe_rows=5)])
    study.add_trials([trial_like(trial, infinite), *(trial_like(trial, [0.9, 0.0, 1.0]) for _ in range(3))])
    shown = list(winner_lines(winner(run, EmitRequest(), Silent())))
    assert read_json(run.winner) == before
    assert shown == [
        f"           left out: trial {first}: params.voltage: must be a parameter of this joint space, got 1",
        *[line for line in shown if f"trial {first + 1}: params.pe_rows: must be one of" in line],
        f"           left out: trial {first + 2}: values.accuracy: must be in 0..1, got inf",
        "           left out: 3 trials more",
        *plain,
    ]


@pytest.mark.parametrize("limit_ms", [None, 0.15])
def test_trials_without_constraints_that_do_not_fit_or_state_too_little_win_nothing(
    run: Run, limit_ms: float | None
) -> None:
    forget_measured(run)
    winner(run, EmitRequest(max_latency_ms=limit_ms), Silent())
    before, searched = read_json(run.winner), load_searched(run)
    joint, study = searched.problem.joint, searched.task.open_study()
    slow = max((trial for trial in study.trials if is_feasible(trial)), key=lambda trial: trial.values[1])
    assert slow.values[1] > 0.15
    largest = {name: choices[-1] for name, choices in joint.accelerators.genes}
    misfit = trial_like(slow, [0.999, 1e-6, 1e-6], **largest)
    assert not searched.problem.fits(read_pairs(joint, [misfit]).rows).any()
    study.add_trials([misfit, trial_like(slow, [0.999, 1e-6, 1e-6])])
    winner(run, EmitRequest(max_latency_ms=limit_ms), Silent())
    assert read_json(run.winner) == before


def test_limits_that_cannot_be_met_and_a_run_without_a_search(run: Run, tmp_path: Path) -> None:
    with pytest.raises(InfeasibleError, match=r"latency_ms: no pair of .* is within 1e-05 ms; the nearest is"):
        winner(run, EmitRequest(max_latency_ms=1e-5), Silent())
    with pytest.raises(InvalidValueError, match="min_accuracy: must be left out when --max-latency-ms is given"):
        winner(run, EmitRequest(max_latency_ms=1.0, min_accuracy=0.5), Silent())
    assert not run.winner.exists()
    with pytest.raises(StorageError, match="no search in this run yet"):
        winner(Run(tmp_path / "new"), EmitRequest(), Silent())


def contents(run: Run) -> dict[str, bytes]:
    return {str(path.relative_to(run.folder)): path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}


def test_a_dry_run_prints_the_same_winner_and_writes_nothing(run: Run) -> None:
    before = contents(run)
    # Also while another process is at work in the run.
    with run.claim():
        dry = list(winner_lines(winner(run, EmitRequest(), Silent(), dry_run=True)))
    assert contents(run) == before
    shown = list(winner_lines(winner(run, EmitRequest(), Silent())))
    assert contents(run).keys() - before.keys() == {"winner.json"}
    assert shown == [*dry, f"           {run.winner}"]


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
        winner(run, EmitRequest(), Silent(), dry_run=dry_run)
    with pytest.raises(StorageError, match="holds no search with these accuracies yet"):
        emit(run, EmitRequest(), Silent())
    assert contents(run) == before
