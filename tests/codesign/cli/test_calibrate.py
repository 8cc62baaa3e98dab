"""`codesign calibrate` as a user meets it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from codesign.cli.main import app
from codesign.report.left_out import LEFT_OUT, LeftOutRows
from codesign.run.folder import read_json
from cost_models.calibration.engines import engine_model
from cost_models.coefficients import load_coefficients
from cost_models.mapping.mapping import LoopOrder, Mapping, draw_mapping
from cost_models.measurements.measurement import (
    EngineRun,
    MeasuredLayer,
    Measurement,
    Percentiles,
    append_measurements,
    read_measurements,
    read_plan,
)
from cost_models.workload import Layer, Operation
from hw_templates.conv_engine.accelerator import Accelerator

VTA_TABLE = """file,section,board,n,ci,h,w,co,kh,kw,stride,pad,tiling,time_s,date,batch_rows,block,inp_buf_bytes,\
wgt_buf_bytes,acc_buf_bytes
log,Net,pynq,1,64,28,28,128,3,3,1,1,"tile_h=[2,14];tile_w=[1,28];tile_ci=[4,1];tile_co=[4,2];oc_nthread=2;h_nthread=1",\
0.005,2020-02-03,1,16,32768,262144,131072
"""
ACCELERATOR = Accelerator(
    pe_rows=16,
    pe_cols=16,
    pe_pixels=1,
    pack=1,
    ifmap_kib=16,
    weight_kib=32,
    ofmap_kib=16,
    axi_bits=64,
    clock_mhz=100,
)


def codesign(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def check_refused(done: Result, *words: str) -> None:
    assert done.exit_code == 2, done.output
    line = done.stderr.strip()
    assert "\n" not in line
    for word in words:
        assert word in line, line


def own_runs(count: int) -> list[Measurement]:
    """Runs of the project's engine, timed by the closed form with other coefficients than the prior's."""
    rng = np.random.default_rng(0)
    model = engine_model("conv_engine_hls")
    theta = np.log([20.0, 60, 8, 12, 100, 900, 0.8])
    runs = []
    while len(runs) < count:
        channels, size, kernel = 8 * int(rng.integers(1, 9)), int(rng.integers(4, 15)), int(rng.choice([1, 3]))
        layer = Layer(
            operation=Operation.CONV,
            in_channels=channels,
            out_channels=32,
            in_height=size,
            in_width=size,
            kernel_height=kernel,
            kernel_width=kernel,
            stride=1,
            padding=kernel // 2,
        )
        ran = MeasuredLayer(layer, mapping=draw_mapping(layer, ACCELERATOR, rng))
        values = {
            "engine": "conv_engine_hls",
            "board": "pynq-z2",
            "campaign": "first",
            "source": "the closed form",
            "clock_mhz": 100.0,
            "date": "2026-01-31",
            "layers": (ran,),
            "accelerator": ACCELERATOR,
        }
        untimed = EngineRun(**{name: value for name, value in values.items() if name not in ("source", "date")})
        cycles = float(model.bind([untimed]).cycles(theta[None])[0])
        runs.append(Measurement(latency_ms=Percentiles(cycles / 1e5), **values))  # type: ignore[arg-type]
    return runs


@pytest.fixture(scope="module")
def calibration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A calibration of the project's engine, fitted on the command line."""
    folder = tmp_path_factory.mktemp("calibration")
    append_measurements(folder / "board.jsonl", own_runs(14))
    done = codesign("calibrate", "fit", "--measurements", folder / "board.jsonl", "--out", folder / "mine")
    assert done.exit_code == 0, done.output
    assert "14 of conv_engine_hls in 1 campaigns" in done.stdout
    return folder / "mine"


def test_every_command_has_help_with_an_example() -> None:
    for command in ("import", "fit", "report", "plan", "run"):
        assert f"Example: codesign calibrate {command}" in codesign("calibrate", command, "--help").stdout


def test_a_table_is_imported_once(tmp_path: Path) -> None:
    table, out = tmp_path / "table.csv", tmp_path / "vta.jsonl"
    table.write_text(VTA_TABLE)
    assert codesign("calibrate", "import", "vta-tophub", table, "--out", out).exit_code == 0
    (run,) = read_measurements([out])
    assert run.layers[0].mapping == Mapping(
        tile_out_channels=32, tile_in_channels=16, tile_height=14, tile_width=28, loop_order=LoopOrder.PIXELS_OUTER
    )
    check_refused(codesign("calibrate", "import", "vta-tophub", table, "--out", out), "vta.jsonl: exists")
    check_refused(codesign("calibrate", "import", "abacus", table, "--out", tmp_path / "x"), "KIND: must be one of vta")
    check_refused(
        codesign("calibrate", "import", "vta-tophub", tmp_path / "y", "--out", tmp_path / "x"), "y: is missing"
    )


def test_an_import_is_one_json_document(tmp_path: Path) -> None:
    table, out = tmp_path / "table.csv", tmp_path / "vta.jsonl"
    table.write_text(VTA_TABLE)
    done = codesign("calibrate", "import", "vta-tophub", table, "--out", out, "--json")
    assert json.loads(done.stdout) == {"measurements": str(out), "runs": 1, "left_out": []}


def test_a_fit_is_one_json_document(tmp_path: Path) -> None:
    done = fit_to(tmp_path, own_runs(4), "--json")
    document = json.loads(done.stdout)
    assert document["coefficients"] == str(tmp_path / "fitted")
    fitted = document["fit"]
    assert set(fitted) == {"calibration", "left_out", "doubts", "coefficients"}
    assert {"name", "engine", "quality", "fitted_on", "coefficients", "posterior"} < set(fitted["calibration"])
    assert {"mean_error", "median_error", "within_10_percent"} < set(fitted["calibration"]["quality"])
    assert len(fitted["left_out"]["predicted_ms"]) == 4
    assert fitted["coefficients"]["board"] == "pynq-z2"


def test_an_import_says_what_it_leaves_out_and_refuses_what_cannot_be(tmp_path: Path) -> None:
    table, out = tmp_path / "table.csv", tmp_path / "vta.jsonl"
    header, first, *_ = VTA_TABLE.splitlines()
    table.write_text(f"{header},err\n{first},0\n{first},7\n")
    done = codesign("calibrate", "import", "vta-tophub", table, "--out", out)
    assert done.exit_code == 0, done.output
    assert "left out       1 of 2 rows: their measurement failed (err); the first is" in done.stdout
    assert f"{out}: 1 runs" in done.stdout
    table.write_text(VTA_TABLE.replace("0.005", "0.0005"))
    fast = codesign("calibrate", "import", "vta-tophub", table, "--out", tmp_path / "fast.jsonl")
    check_refused(fast, "table.csv:2: latency_ms: must be at least 2.258 ms, the roofline of vta at 100 MHz")
    assert not (tmp_path / "fast.jsonl").exists()


def test_a_fit_of_the_own_engine_is_a_set_of_coefficients(calibration: Path) -> None:
    coefficients = load_coefficients(str(calibration))
    assert (coefficients.board, coefficients.measurements) == ("pynq-z2", 14)
    assert coefficients.latency.start_cycles == pytest.approx(900, rel=0.1)
    assert coefficients.left_out_error is not None
    assert coefficients.left_out_error < 0.02
    assert coefficients.latency_factor is not None
    assert 1 < coefficients.latency_factor < 1.1
    assert coefficients.fitted_on is not None
    assert coefficients.fitted_on["accelerator.pe_rows"] == (16, 16)


def test_times_in_another_unit_are_doubted(tmp_path: Path) -> None:
    runs = own_runs(20)
    assert not fit_of(tmp_path / "sound", runs)
    off = [replace(run, latency_ms=Percentiles(run.latency_ms.p50 * 1e3)) for run in runs[:2]]
    (line,) = fit_of(tmp_path / "off", [*off, *runs[2:]])
    assert line.startswith("doubtful       2 of 20 runs take ")
    assert "times as long as the others say" in line


def fit_to(folder: Path, runs: list[Measurement], *options: str) -> Result:
    folder.mkdir(exist_ok=True)
    (folder / "board.jsonl").unlink(missing_ok=True)
    append_measurements(folder / "board.jsonl", runs)
    return codesign("calibrate", "fit", "--measurements", folder / "board.jsonl", "--out", folder / "fitted", *options)


def test_times_below_the_roofline_are_refused(tmp_path: Path) -> None:
    runs = own_runs(20)
    runs[5] = replace(runs[5], latency_ms=Percentiles(runs[5].latency_ms.p50 / 1e3))
    check_refused(
        fit_to(tmp_path, runs), "measurements[5].latency_ms.p50: must be at least ", "roofline of conv_engine_hls"
    )
    assert not (tmp_path / "fitted").exists()


def test_a_fit_that_predicts_nothing_is_not_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    runs = [replace(run, latency_ms=Percentiles(run.latency_ms.p50 * 10 ** rng.uniform(0, 2))) for run in own_runs(14)]
    done = fit_to(tmp_path, runs)
    check_refused(
        done, "mean error of left-out runs: must be at most 50 % (--max-error) for coefficients to be written"
    )
    assert "left out       mean error" in done.stdout
    assert "coefficients   " not in done.stdout
    assert not (tmp_path / "fitted").exists()
    assert fit_to(tmp_path, runs, "--max-error", "1e6").exit_code == 0
    assert (tmp_path / "fitted" / "calibration.json").is_file()


def fit_of(folder: Path, runs: list[Measurement]) -> list[str]:
    """The doubts that a fit to runs prints."""
    done = fit_to(folder, runs)
    assert done.exit_code == 0, done.output
    return [line for line in done.stdout.splitlines() if line.startswith("doubtful")]


def test_the_report_has_its_pictures(calibration: Path) -> None:
    done = codesign("calibrate", "report", calibration)
    assert done.exit_code == 0, done.output
    page = (calibration / "report" / "index.html").read_text()
    for picture in ("prediction.png", "residuals.png", "coverage.png", "bounds.png"):
        assert picture in page
        assert (calibration / "report" / picture).read_bytes().startswith(b"\x89PNG")
    for words in ("start_cycles", "accelerator.pe_rows", "the closed form", "scipy"):
        assert words in page


def test_a_report_without_its_left_out_runs(calibration: Path, tmp_path: Path) -> None:
    check_refused(codesign("calibrate", "report", tmp_path), "FOLDER: must be one of")
    check_refused(codesign("calibrate", "report", "vta-pynq"), LEFT_OUT, "is missing")
    (tmp_path / "calibration.json").write_text((calibration / "calibration.json").read_text())
    rows = json.loads((calibration / LEFT_OUT).read_text())
    (tmp_path / LEFT_OUT).write_text(json.dumps({**rows, "measured_ms": [1.0]}))
    check_refused(codesign("calibrate", "report", tmp_path), "left_out.measured_ms: must be 14 rows, got 1")


def test_left_out_rows_are_those_of_the_measurements(calibration: Path) -> None:
    rows = read_json(calibration / LEFT_OUT, LeftOutRows)
    runs = read_measurements([calibration.parent / "board.jsonl"])
    assert rows.measured_ms == pytest.approx([run.latency_ms.p50 for run in runs])
    assert sum(rows.shares.values()) == pytest.approx(np.ones(len(runs)))


def test_a_plan_lists_what_to_measure(calibration: Path, tmp_path: Path) -> None:
    out = tmp_path / "plan.json"
    done = codesign("calibrate", "plan", "--board", "pynq-z2", "--budget", "3", "--known", calibration, "--out", out)
    assert done.exit_code == 0, done.output
    assert "codesign: warning: coefficients mine, as fitted: accelerator.pe_" in done.stderr
    plan = read_plan(out)
    assert plan.board == "pynq-z2"
    assert len(plan.runs) == 3
    assert list(plan.deviations) == sorted(plan.deviations, reverse=True)


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    runs = own_runs(3)
    for name, chosen in (("one", runs[:1]), ("network", runs[:2])):
        append_measurements(tmp_path / name, chosen)
    append_measurements(
        tmp_path / "network",
        [
            Measurement(
                engine="dpu",
                board="b",
                campaign="c",
                source="s",
                clock_mhz=100.0,
                latency_ms=Percentiles(1.0),
                network="n",
            )
        ],
    )
    append_measurements(
        tmp_path / "foreign",
        [
            Measurement(
                engine="hls4ml",
                board="b",
                campaign="c",
                source="s",
                clock_mhz=100.0,
                latency_ms=Percentiles(1.0),
                network="n",
            )
        ],
    )

    def fit(*files: str) -> Result:
        given = [item for file in files for item in ("--measurements", str(tmp_path / file))]
        return codesign("calibrate", "fit", *given, "--out", tmp_path / "out")

    check_refused(fit("one"), "--measurements: must be at least 3 runs of conv_engine_hls to fit, got 1")
    check_refused(fit("network"), "measurement.engine: must be conv_engine_hls like that of the other runs, got 'dpu'")
    check_refused(
        fit("foreign"), "measurement.engine: must be one of conv_engine_hls, conv_engine_rtl, dpu, vta, got 'hls4ml'"
    )
    check_refused(fit("one", "one"), "the same run as")
    check_refused(fit("absent"), "absent: is missing")
    assert not (tmp_path / "out").exists()
    check_refused(codesign("calibrate", "plan", "--board", "abacus", "--budget", "2"), "--board: must be one of")
    check_refused(
        codesign("calibrate", "plan", "--board", "pynq-z2", "--budget", "2", "--known", "vta-pynq"),
        "--known: must be a calibration of conv_engine_hls, not of vta",
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clock_mhz": None}, "measurement.clock_mhz: must be given, got None"),
        (
            {"latency_ms": {"p50": -0.5}},
            "measurement.latency_ms.p50: must be a positive number of milliseconds, got -0.5",
        ),
        ({"latency_us": 500}, "measurement.latency_us: must be given as latency_ms, got 500"),
        ({"power_w": float("nan")}, "measurement: must be sound JSON"),
        ({"format": 2}, "measurement.format: must be 1, which this version reads, got 2"),
        ({}, "the same run as"),
    ],
)
def test_a_bad_row_is_named_by_file_line_and_field_and_nothing_is_written(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    path = tmp_path / "board.jsonl"
    append_measurements(path, own_runs(4))
    last = json.loads(path.read_text().splitlines()[-1])
    row = {name: value for name, value in {**last, **changes}.items() if changes.get(name, value) is not None}
    path.write_text(path.read_text() + json.dumps(row) + "\n")
    done = codesign("calibrate", "fit", "--measurements", path, "--out", tmp_path / "out")
    check_refused(done, f"{path}:5: ", message)
    assert not (tmp_path / "out").exists()
