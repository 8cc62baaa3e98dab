from dataclasses import replace

import numpy as np

from codesign.report.left_out import LeftOutRows, run_kind, run_label
from cost_models.measurement import MeasuredLayer, Measurement, Percentiles
from cost_models.workload import Layer, Operation

RUN = Measurement(
    "dpu", "b", "c", "s", 100.0, Percentiles(1.0),
    layers=(
        MeasuredLayer(Layer(Operation.CONV, 16, 96, 14, 14)),
        MeasuredLayer(Layer(Operation.DEPTHWISE, 96, 96, 14, 14, 5, 5, 2, 2)),
        MeasuredLayer(Layer(Operation.POOL, 96, 96, 7, 7, 7, 7)),
        MeasuredLayer(Layer(Operation.CONV, 96, 24, 7, 7)),
    ),
)  # fmt: skip


def rows(errors: np.ndarray, deviation: float) -> LeftOutRows:
    count = len(errors)
    return LeftOutRows(
        ("x",) * count, ("conv 1x1",) * count, ("c",) * count, np.ones(count), np.exp(errors),
        np.full(count, deviation), {"compute": np.ones(count)},
    )  # fmt: skip


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
