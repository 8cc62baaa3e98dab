import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from support.mutations import drive, from_file, mutated_json

from codesign.report.left_out import LEFT_OUT, LeftOutRows, run_kind, run_label
from codesign.run.folder import read_json
from cost_models.measurements.measurement import MeasuredLayer, Measurement, Percentiles
from cost_models.workload import Layer, Operation
from hw_templates.foundation.json_records import write_record

RUN = Measurement(
    engine="dpu",
    board="b",
    campaign="c",
    source="s",
    clock_mhz=100.0,
    latency_ms=Percentiles(1.0),
    layers=(
        MeasuredLayer(Layer(operation=Operation.CONV, in_channels=16, out_channels=96, in_height=14, in_width=14)),
        MeasuredLayer(
            Layer(
                operation=Operation.DEPTHWISE,
                in_channels=96,
                out_channels=96,
                in_height=14,
                in_width=14,
                kernel_height=5,
                kernel_width=5,
                stride=2,
                padding=2,
            )
        ),
        MeasuredLayer(
            Layer(
                operation=Operation.POOL,
                in_channels=96,
                out_channels=96,
                in_height=7,
                in_width=7,
                kernel_height=7,
                kernel_width=7,
            )
        ),
        MeasuredLayer(Layer(operation=Operation.CONV, in_channels=96, out_channels=24, in_height=7, in_width=7)),
    ),
)


def rows(errors: np.ndarray, deviation: float) -> LeftOutRows:
    count = len(errors)
    return LeftOutRows(
        labels=("x",) * count,
        kinds=("conv 1x1",) * count,
        campaigns=("c",) * count,
        measured_ms=np.ones(count),
        predicted_ms=np.exp(errors),
        deviations=np.full(count, deviation),
        shares={"compute": np.ones(count)},
    )


def test_runs_are_called_by_what_ran() -> None:
    assert run_label(RUN) == "block 5x5, 16 → 24, 14x14/2"
    assert run_kind(replace(RUN, layers=RUN.layers[:1])) == "conv 1x1"
    assert run_label(replace(RUN, layers=(), network="RN07")) == "RN07"


def test_intervals_take_their_width_from_the_other_runs() -> None:
    errors = np.random.default_rng(0).normal(0, 0.1, 400)
    for level in (0.5, 0.9):
        assert abs(rows(errors, 3.0).inside(level).mean() - level) < 0.02
    outlier = np.array([0.1] * 9 + [5.0])
    assert rows(outlier, 1.0).inside(0.9).tolist() == [True] * 9 + [False]


def test_any_spoilt_file_is_read_or_refused_in_one_line(tmp_path: Path) -> None:
    written = rows(np.array([0.1, -0.2, 0.05]), 1.0)
    path = tmp_path / LEFT_OUT
    write_record(path, written, wide=True)
    np.testing.assert_array_equal(read_json(path, LeftOutRows).predicted_ms, written.predicted_ms)
    read = from_file(path, lambda: read_json(path, LeftOutRows))
    accepted, refused = drive(read, mutated_json(json.loads(path.read_text()), 2_000))
    assert accepted > 20
    assert refused > 500
