"""A small run of the space that hls4ml converts; its C++ is compiled in test_project.py."""

import shutil
from dataclasses import replace
from importlib.util import find_spec

import pytest
from support.json_file import read_json, write_json
from support.networks.named_spaces import DIGITS_STREAM

from codesign.commands.pairs import csim, emit, winner
from codesign.commands.report import report
from codesign.commands.search import search
from codesign.commands.training import fit, train
from codesign.progress import Silent
from codesign.run.folder import Run
from codesign.run.records import CsimRecord
from codesign.run.requests import EmitRequest, SearchRequest, TrainRequest
from codesign.supernet.lowering.workloads import lower
from codesign.templates.hls4ml import template as hls4ml
from codesign.templates.template import Simulation
from cost_models.hls4ml.estimate import price_hls4ml
from hw_templates.board import load_board
from hw_templates.foundation.errors import (
    InfeasibleError,
    InvalidValueError,
    StorageError,
    ToolError,
    UnsupportedLayerError,
)
from hw_templates.foundation.json_records import check_record
from hw_templates.hls4ml.parameters import Hls4mlAccelerator

REQUEST = SearchRequest(pairs=2_000)
with_hls4ml = pytest.mark.skipif(find_spec("hls4ml") is None, reason="hls4ml is not installed: extra hls4ml")


@pytest.fixture(scope="module")
def searched_run(tmp_path_factory):
    run = Run(tmp_path_factory.mktemp("runs") / "stream")
    train(run, TrainRequest(space="digits-stream", preset="digits-small", seed=0), Silent())
    fit(run, 25, 0, Silent())
    search(run, REQUEST, Silent(), template="hls4ml")
    return run


@pytest.fixture
def own_run(searched_run, tmp_path):
    return Run(shutil.copytree(searched_run.folder, tmp_path / "run"))


@pytest.fixture
def emitted_run(own_run):
    emit(own_run, EmitRequest(), Silent(), template="hls4ml")
    return own_run


def test_a_search_says_what_precisions_cost(searched_run):
    losses = read_json(searched_run.folder / "hls4ml" / "losses.json")["losses"]
    assert set(losses) == {"6 bits", "8 bits"}
    assert all(0 <= loss < 0.5 for loss in losses.values())


def test_a_second_search_goes_on_and_measures_nothing_again(own_run, monkeypatch):
    results = own_run.of_template("hls4ml")
    losses = results.losses.read_bytes()
    monkeypatch.setattr(hls4ml.Hls4mlTemplate, "measure_losses", None)
    result = search(own_run, replace(REQUEST, pairs=2_500), Silent(), template="hls4ml")
    assert result.progress.pairs >= 2_500
    assert results.settings(SearchRequest) == replace(REQUEST, pairs=2_500)
    assert results.losses.read_bytes() == losses


def test_the_winner_is_shown_without_hls4ml(own_run):
    result = winner(own_run, EmitRequest(), Silent(), template="hls4ml")
    record = read_json(own_run.folder / "hls4ml" / "winner.json")
    assert record["accelerator"]["io_type"] in ("io_stream", "io_parallel")
    assert record["accuracy_source"] == result.winner.accuracy_source == "predictor"


@with_hls4ml
def test_the_record_says_what_was_emitted(emitted_run):
    emitted = read_json(emitted_run.folder / "hls4ml" / "emitted.json")
    record = emitted["winner"]
    design = read_json(emitted_run.folder / "hls4ml" / "project" / "design.json")
    assert (emitted["template"], design["backend"]) == ("hls4ml", "VivadoAccelerator")
    assert record["resources"]["dsp"] <= 220
    assert record["rule"] == "fastest within 1 point of the best accuracy"
    measured = read_json(emitted_run.folder / "hls4ml" / "front.json")["front"]
    best = max(accuracy for accuracy, _, _ in measured)
    good = [row for row in measured if row[0] >= best - 0.01 - 1e-9]
    fastest = min(good, key=lambda row: row[1:])
    assert [record["accuracy"], *record["predicted"].values()] == pytest.approx(fastest)
    assert set(design["reuse_factors"]) >= {"stem", "pool", "classifier"}
    assert emitted["quantised"] == pytest.approx(emitted["float32"], abs=0.1)
    assert (emitted_run.folder / "hls4ml" / "project" / "firmware" / "network.cpp").is_file()


@with_hls4ml
def test_csim_records_how_the_test_images_agree(emitted_run, monkeypatch):
    seen = []

    def simulate(_model, fixed, images, digest):
        seen.append((fixed.bits, images.shape))
        return CsimRecord(program_sha256=digest, images=len(images), tolerance=fixed.network.output_scale / 2)

    monkeypatch.setattr(hls4ml, "simulate", simulate)
    csim(emitted_run, Silent(), Simulation(images=20), template="hls4ml")
    record = read_json(emitted_run.folder / "hls4ml" / "csim.json")
    assert record["images"] == 20
    assert seen[0][1][0] == 20


@with_hls4ml
def test_a_limit_that_no_pair_meets(own_run):
    with pytest.raises(InfeasibleError, match=r"latency_ms: no pair of \d+ is within 1e-06 ms; the nearest is"):
        emit(own_run, EmitRequest(max_latency_ms=1e-6), Silent(), template="hls4ml")
    assert not own_run.of_template("hls4ml").project.exists()


def simulated(run, same_class=1.0):
    """As if the project had been simulated."""
    results = run.of_template("hls4ml")
    record = {
        "program_sha256": read_json(results.emitted)["digest"],
        "images": 359,
        "same_class": same_class,
        "largest_difference": 0.25,
        "tolerance": 0.5,
    }
    write_json(results.verification, record)
    return results


@with_hls4ml
def test_a_run_of_this_template_alone_has_a_report_with_both_templates(emitted_run):
    with pytest.raises(
        StorageError, match=r"csim\.json: is missing; run `codesign csim .*run --template hls4ml` first"
    ):
        report(emitted_run, Silent())
    results = simulated(emitted_run, 0.996)
    page = report(emitted_run, Silent()).page.read_text()
    record = read_json(results.emitted)["winner"]
    estimate = price_hls4ml(
        lower(DIGITS_STREAM, DIGITS_STREAM.parse_subnet(record["subnet"])),
        check_record(record["accelerator"], Hls4mlAccelerator, "accelerator"),
        load_board("pynq-z2"),
    )
    assert f"{estimate.latency_ms:.4f} ms" in page
    assert "99.6%" in page
    assert "on the fastest for it of 512 engines drawn at random that fit" in page
    assert all(f"<td>{layer.busy_cycles:,}</td>" in page for layer in estimate.layers)
    assert {path.name for path in results.report.iterdir()} == {
        "index.html", "front.png", "predictor.png", "resources.png", "training.png",
    }  # fmt: skip


@with_hls4ml
@pytest.mark.parametrize("name", ["front.json", "emitted.json", "csim.json"])
def test_what_the_report_reads_may_be_damaged(emitted_run, name):
    results = simulated(emitted_run)
    write_json(results.folder / name, {"board": "pynq-z2"})
    with pytest.raises(StorageError, match=rf"{name}: \w+\.\w+: must be given, got None; delete it and run"):
        report(emitted_run, Silent())


@with_hls4ml
def test_what_was_verified_of_an_earlier_project_does_not_count(emitted_run):
    results = simulated(emitted_run)
    verified = read_json(results.verification)
    emit(emitted_run, EmitRequest(), Silent(), template="hls4ml")
    assert read_json(results.emitted)["digest"] == verified["program_sha256"]
    write_json(results.verification, {**verified, "program_sha256": "another"})
    with pytest.raises(StorageError, match=r"csim\.json: of an earlier project; run `codesign csim .*hls4ml` first"):
        report(emitted_run, Silent())


def test_commands_in_the_wrong_order(own_run):
    own_run.of_template("hls4ml").configuration.unlink()
    advice = r"no search in this run yet; run `codesign search .*run --template hls4ml` first|hls4ml: must be"
    for command in (emit, winner):
        with pytest.raises((StorageError, ToolError), match=advice):
            command(own_run, EmitRequest(), Silent(), template="hls4ml")
    with pytest.raises((StorageError, ToolError), match=advice):
        csim(own_run, Silent(), template="hls4ml")


def test_subnets_that_hls4ml_cannot_convert(finished_run):
    with pytest.raises(UnsupportedLayerError, match="stem: not for template hls4ml: hswish: hls4ml has no h-swish"):
        search(finished_run, REQUEST, Silent(), template="hls4ml")
    assert not finished_run.of_template("hls4ml").folder.exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"workers": 2}, "workers: must be left out with --template hls4ml: one process prices its pairs"),
        ({"space": "digits"}, "space: must be left out with --template hls4ml: it needs the run's own supernet"),
        ({"coefficients": "mine"}, "coefficients: must be left out with --template hls4ml: its cost model has"),
    ],
)
def test_options_that_say_nothing_of_this_template_are_refused(finished_run, change, reason):
    with pytest.raises(InvalidValueError, match=reason):
        search(finished_run, replace(REQUEST, **change), Silent(), template="hls4ml")
    with pytest.raises(InvalidValueError, match="sanitize: must be left out with --template hls4ml: hls4ml compiles"):
        csim(finished_run, Silent(), Simulation(sanitize=True), template="hls4ml")


def test_without_hls4ml_nothing_is_written(own_run, monkeypatch):
    def missing():
        raise ToolError("hls4ml: must be version 1.3.0, got none; run `pip install hls4ml`")

    monkeypatch.setattr(hls4ml, "require_hls4ml", missing)
    with pytest.raises(ToolError, match="pip install"):
        emit(own_run, EmitRequest(), Silent(), template="hls4ml")
    assert not own_run.of_template("hls4ml").project.exists()
