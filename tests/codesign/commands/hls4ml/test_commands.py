"""A small run of the space that hls4ml converts; its C++ is compiled in tests/codesign/emit/test_hls4ml_project.py."""

import json
import shutil
from dataclasses import asdict, replace
from importlib.util import find_spec

import pytest
from support.json_file import read_json, write_json

from codesign.commands.hls4ml import commands as dataflow
from codesign.commands.hls4ml.commands import (
    DataflowRequest,
    DataflowSettings,
    csim_dataflow,
    emit_dataflow,
    search_dataflow,
)
from codesign.commands.predictor import fit
from codesign.commands.report import report
from codesign.commands.train import train
from codesign.emit.hls4ml_project import Agreement
from codesign.progress import Silent
from codesign.run.folder import Run
from codesign.run.requests import TrainRequest
from codesign.supernet.lowering.workloads import lower
from codesign.supernet.spaces.named import DIGITS_STREAM
from cost_models.hls4ml.estimate import price_dataflow
from hw_templates.board import load_board
from hw_templates.foundation.errors import InfeasibleError, StorageError, ToolError, UnsupportedLayerError
from hw_templates.hls4ml.parameters import Dataflow

REQUEST = DataflowRequest(board="pynq-z2", pairs=2_000, storage=None, seed=0)
with_hls4ml = pytest.mark.skipif(find_spec("hls4ml") is None, reason="hls4ml is not installed: extra hls4ml")


@pytest.fixture(scope="module")
def searched_run(tmp_path_factory):
    run = Run(tmp_path_factory.mktemp("runs") / "stream")
    train(run, TrainRequest(space="digits-stream", preset="digits-small", seed=0), Silent())
    fit(run, 25, 0, Silent())
    search_dataflow(run, REQUEST, Silent())
    return run


@pytest.fixture
def own_run(searched_run, tmp_path):
    return Run(shutil.copytree(searched_run.folder, tmp_path / "run"))


@pytest.fixture
def emitted_run(own_run):
    emit_dataflow(own_run, None, None, Silent())
    return own_run


def test_a_search_says_what_precisions_cost(searched_run):
    losses = searched_run.settings(DataflowSettings).losses
    assert set(losses) == {"6", "8"}
    assert all(0 <= loss < 0.5 for loss in losses.values())


def test_a_second_search_goes_on_and_measures_nothing_again(own_run, monkeypatch):
    before = own_run.settings(DataflowSettings)
    monkeypatch.setattr(dataflow, "_measure_losses", None)
    search_dataflow(own_run, DataflowRequest(board="pynq-z2", pairs=2_500, storage=None, seed=0), Silent())
    assert own_run.settings(DataflowSettings) == replace(before, pairs=2_500)


@with_hls4ml
def test_the_record_says_what_was_emitted(emitted_run):
    record = read_json(emitted_run.folder / "dataflow" / "project.json")
    assert (record["template"], record["backend"]) == ("hls4ml", "VivadoAccelerator")
    assert record["resources"]["dsp"] <= 220
    assert record["rule"] == "fastest within 1 point of the best accuracy"
    fronts = read_json(emitted_run.folder / "dataflow" / "front.json")
    best = max(accuracy for accuracy, _, _ in fronts["measured"])
    good = [row for row in fronts["measured"] if row[0] >= best - 0.01 - 1e-9]
    fastest = min(good, key=lambda row: row[1:])
    assert [record["validation_accuracy"], *record["predicted"].values()] == pytest.approx(fastest)
    assert set(record["reuse_factors"]) >= {"stem", "pool", "classifier"}
    assert record["test_accuracy"]["fixed_point"] == pytest.approx(record["test_accuracy"]["float32"], abs=0.1)
    assert (emitted_run.folder / "dataflow" / "firmware" / "network.cpp").is_file()


@with_hls4ml
def test_csim_records_how_the_test_images_agree(emitted_run, monkeypatch):
    seen = []

    def simulate(_model, fixed, images):
        seen.append((fixed.bits, images.shape))
        return Agreement(len(images), 1.0, 0.0, fixed.network.output_scale / 2)

    monkeypatch.setattr(dataflow, "simulate", simulate)
    csim_dataflow(emitted_run, 20, Silent())
    record = read_json(emitted_run.folder / "dataflow" / "verification.json")
    assert record["images"] == 20
    assert seen[0][1][0] == 20


@with_hls4ml
def test_a_limit_that_no_pair_meets(own_run):
    with pytest.raises(InfeasibleError, match=r"latency_ms: no pair of \d+ is within 1e-06 ms; the nearest is"):
        emit_dataflow(own_run, 1e-6, None, Silent())
    assert not (own_run.folder / "dataflow").exists()


@with_hls4ml
def test_a_run_of_this_template_alone_has_a_report_with_both_templates(emitted_run):
    with pytest.raises(StorageError, match=r"verification\.json: is missing"):
        report(emitted_run, Silent())
    agreement = Agreement(359, 0.996, 0.25, 0.5)
    write_json(emitted_run.folder / "dataflow" / "verification.json", asdict(agreement))
    report(emitted_run, Silent())
    page = (emitted_run.report / "index.html").read_text()
    record = read_json(emitted_run.folder / "dataflow" / "project.json")
    estimate = price_dataflow(
        lower(DIGITS_STREAM, DIGITS_STREAM.parse_subnet(record["subnet"])),
        Dataflow.from_dict(record["accelerator"]),
        load_board("pynq-z2"),
    )
    assert f"{estimate.latency_ms:.4f} ms" in page
    assert "99.6%" in page
    assert "on the fastest for it of 512 engines drawn at random that fit" in page
    assert all(f"<td>{layer.busy_cycles:,}</td>" in page for layer in estimate.layers)
    assert {path.name for path in emitted_run.report.iterdir()} == {
        "index.html", "front.png", "resources.png", "training.png",
    }  # fmt: skip


@with_hls4ml
@pytest.mark.parametrize("name", ["front.json", "project.json", "verification.json"])
def test_what_the_report_reads_may_be_damaged(emitted_run, name):
    write_json(emitted_run.folder / "dataflow" / "verification.json", asdict(Agreement(359, 1.0, 0.0, 0.5)))
    write_json(emitted_run.folder / "dataflow" / name, {"board": "pynq-z2"})
    with pytest.raises(StorageError, match=rf"{name}: \w+\.\w+: must be given, got None; delete it and run"):
        report(emitted_run, Silent())


@with_hls4ml
def test_emitting_again_forgets_what_was_verified(emitted_run):
    write_json(emitted_run.folder / "dataflow" / "verification.json", asdict(Agreement(359, 1.0, 0.0, 0.5)))
    emit_dataflow(emitted_run, None, None, Silent())
    assert not (emitted_run.folder / "dataflow" / "verification.json").exists()


def test_commands_in_the_wrong_order(own_run):
    settings = json.loads(own_run.configuration.read_text())
    own_run.configuration.write_text(json.dumps({k: v for k, v in settings.items() if k != "dataflow"}))
    with pytest.raises((StorageError, ToolError), match=r"no search --template hls4ml in this run yet|hls4ml: must be"):
        emit_dataflow(own_run, None, None, Silent())
    with pytest.raises((StorageError, ToolError), match=r"project\.json: is missing|hls4ml: must be"):
        csim_dataflow(own_run, None, Silent())


def test_subnets_that_hls4ml_cannot_convert(finished_run):
    with pytest.raises(UnsupportedLayerError, match="stem: not for template hls4ml: hswish: hls4ml has no h-swish"):
        search_dataflow(finished_run, REQUEST, Silent())
    assert finished_run.find(DataflowSettings) is None


def test_without_hls4ml_nothing_is_written(own_run, monkeypatch):
    def missing():
        raise ToolError("hls4ml: must be version 1.3.0, got none; run `pip install hls4ml`")

    monkeypatch.setattr(dataflow, "require_hls4ml", missing)
    with pytest.raises(ToolError, match="pip install"):
        emit_dataflow(own_run, None, None, Silent())
    assert not (own_run.folder / "dataflow").exists()
