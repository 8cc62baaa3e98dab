import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.mutations import drive, from_file, mutated_json

from cost_models.calibration.engines import engine_model
from cost_models.calibration.fit import fit
from cost_models.calibration.posterior import predict
from cost_models.calibration.record import (
    CALIBRATION_FILE,
    Calibration,
    load_calibration,
    write_calibration,
)
from cost_models.coefficients import FOLDER
from cost_models.mapping.mapping import LoopOrder, Mapping
from cost_models.measurements.measurement import MeasuredLayer, Measurement, Percentiles
from cost_models.workload import Layer, Operation
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.errors import ExtrapolationWarning, InvalidValueError, StorageError
from hw_templates.foundation.json_records import record_text


def made_up_runs(count: int) -> list[Measurement]:
    rng = np.random.default_rng(0)
    runs = []
    for _ in range(count):
        channels, size = 16 * int(rng.integers(1, 9)), 7 * int(rng.integers(1, 5))
        mapping = Mapping(
            tile_out_channels=16, tile_in_channels=16, tile_height=7, tile_width=size, loop_order=LoopOrder.PIXELS_OUTER
        )
        layer = Layer(
            operation=Operation.CONV,
            in_channels=channels,
            out_channels=64,
            in_height=size,
            in_width=size,
            kernel_height=3,
            kernel_width=3,
            stride=1,
            padding=1,
        )
        run = Measurement(
            engine="vta",
            board="pynq",
            campaign="made up",
            source="a formula",
            clock_mhz=100.0,
            latency_ms=Percentiles(layer.macs * 1.2 / 256 / 1e5 + 0.05),
            date="2026-01-31",
            layers=(MeasuredLayer(layer, mapping=mapping),),
            accelerator=Accelerator(
                pe_rows=16,
                pe_cols=16,
                pe_pixels=1,
                pack=1,
                ifmap_kib=16,
                weight_kib=128,
                ofmap_kib=64,
                axi_bits=64,
                clock_mhz=100,
            ),
            settings={"threads": 2},
        )
        runs.append(run)
    return runs


RUNS = made_up_runs(12)
FIT = fit(engine_model("vta"), RUNS)
CALIBRATION = Calibration.of("toy", FIT, RUNS, "2026-02-01")
STORED = json.loads(record_text(CALIBRATION))


def test_it_says_where_it_comes_from() -> None:
    assert (CALIBRATION.sources, CALIBRATION.boards, CALIBRATION.date) == (("a formula",), ("pynq",), "2026-01-31")
    assert CALIBRATION.measurements == CALIBRATION.quality.runs == 12
    assert set(CALIBRATION.tool_versions) == {"python", "codesign", "numpy", "scipy"}
    assert CALIBRATION.quality.mean_error == pytest.approx(np.abs(FIT.left_out.error).mean())
    undated = Calibration.of("toy", FIT, [replace(run, date=None) for run in RUNS], "2026-02-01")
    assert undated.date == "2026-02-01"


def test_a_written_calibration_predicts_as_the_fit_does(tmp_path: Path) -> None:
    write_calibration(tmp_path / "toy", CALIBRATION)
    read = load_calibration(str(tmp_path / "toy"))
    a, b = predict(FIT.model, RUNS, FIT.posterior, FIT.left_out.widths.of("made up")), read.predict(RUNS)
    for name in ("cycles", "low", "high"):
        assert getattr(b, name) == pytest.approx(getattr(a, name), rel=1e-4)
    assert replace(read, posterior=CALIBRATION.posterior) == CALIBRATION
    stored = json.loads((tmp_path / "toy" / CALIBRATION_FILE).read_text())
    assert set(stored["coefficients"]["made up"]) == {parameter.name for parameter in FIT.model.parameters}


def test_a_calibration_of_format_1_is_read(tmp_path: Path) -> None:
    old = {name: value for name, value in STORED.items() if name not in ("format", "posterior")}
    kept = ("parameters", "shared", "differences", "covariance", "noise", "common_noise")
    posterior = {name: STORED["posterior"][name] for name in kept}
    (tmp_path / CALIBRATION_FILE).write_text(json.dumps({"schema": 1, **old, "posterior": posterior}))
    read = load_calibration(str(tmp_path))
    assert record_text(read) == record_text(CALIBRATION)
    (tmp_path / CALIBRATION_FILE).write_text(json.dumps({"schema": 1, **old, "posterior": 7}))
    with pytest.raises(StorageError, match=r"calibration\.json: is corrupt"):
        load_calibration(str(tmp_path))


def test_prediction_beyond_what_it_was_fitted_on_warns_and_another_engine_is_refused() -> None:
    wide = replace(RUNS[0], clock_mhz=150.0)
    with pytest.warns(ExtrapolationWarning, match="clock_mhz 150 is outside of 100 to 100"):
        CALIBRATION.predict([wide])
    with pytest.raises(
        InvalidValueError, match=r"coefficients\.engine: must be hls4ml, the engine that ran, got 'vta'"
    ):
        CALIBRATION.predict([replace(RUNS[0], engine="hls4ml")])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 3}, "calibration.format: must be 2, which this version reads, got 3"),
        ({"engine": "abacus"}, "measurement.engine: must be one of"),
        ({"posterior": {}}, "calibration.posterior.parameters: must be given"),
        (
            {"posterior": {**STORED["posterior"], "parameters": ["speed"]}},
            "calibration.posterior.parameters: must be ['mac_cycles'",
        ),
        ({"quality": {}}, "calibration.quality.runs: must be given"),
    ],
)
def test_a_broken_record_is_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = tmp_path / CALIBRATION_FILE
    path.write_text(json.dumps({**STORED, **change}))
    with pytest.raises(StorageError) as raised:
        load_calibration(str(tmp_path))
    assert str(raised.value).startswith(f"{path}: ")
    assert message in str(raised.value)


def test_numbers_that_are_not_finite_and_files_that_are_no_json(tmp_path: Path) -> None:
    values = json.loads(record_text(CALIBRATION))
    values["posterior"]["shared"][0] = float("nan")
    (tmp_path / CALIBRATION_FILE).write_text(json.dumps(values))
    with pytest.raises(StorageError, match=r"calibration: must be sound JSON.*NaN"):
        load_calibration(str(tmp_path))
    (tmp_path / CALIBRATION_FILE).write_text("{")
    with pytest.raises(StorageError, match="calibration: must be sound JSON"):
        load_calibration(str(tmp_path))
    values["posterior"]["shared"] = [1.0]
    (tmp_path / CALIBRATION_FILE).write_text(json.dumps(values))
    with pytest.raises(StorageError, match=r"calibration\.posterior\.shared: must be of shape \(\d+,\), got \[1\.0\]"):
        load_calibration(str(tmp_path))


def test_unknown_names() -> None:
    with pytest.raises(InvalidValueError, match=r"calibration: must be one of .*, or a folder that holds"):
        load_calibration("nowhere")


def test_every_calibration_of_the_package_loads_and_states_its_error() -> None:
    names = sorted(path.stem for path in (FOLDER / "calibrations").glob("*.json"))
    assert names == ["dpu-ultra96", "vta-pynq"]
    for name in names:
        calibration = load_calibration(name)
        assert calibration.name == name
        assert calibration.sources
        assert calibration.measurements > 40
        assert 0 < calibration.quality.mean_error < 0.12


def test_any_spoilt_record_is_read_or_refused_in_one_line(tmp_path: Path) -> None:
    write_calibration(tmp_path, CALIBRATION)
    path = tmp_path / CALIBRATION_FILE

    def read() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExtrapolationWarning)
            load_calibration(str(tmp_path)).predict(RUNS[:2])

    accepted, refused = drive(from_file(path, read), mutated_json(json.loads(path.read_text()), 2_000))
    assert accepted > 20
    assert refused > 500
