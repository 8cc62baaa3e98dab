from dataclasses import replace

import pytest

from cost_models.calibration.engines.dpu import DPU, demands
from cost_models.measurements.measurement import MeasuredLayer, Measurement, Percentiles
from cost_models.workload import Activation, Layer, Operation
from hw_templates.foundation.errors import InvalidValueError

LAYERS = (
    MeasuredLayer(
        Layer(operation=Operation.CONV, in_channels=20, out_channels=600, in_height=10, in_width=9), Activation.HSWISH
    ),
    MeasuredLayer(
        Layer(
            operation=Operation.DEPTHWISE,
            in_channels=600,
            out_channels=600,
            in_height=10,
            in_width=9,
            kernel_height=5,
            kernel_width=5,
            stride=1,
            padding=2,
        ),
        Activation.RELU,
    ),
    MeasuredLayer(
        Layer(
            operation=Operation.POOL,
            in_channels=600,
            out_channels=600,
            in_height=10,
            in_width=9,
            kernel_height=10,
            kernel_width=9,
        )
    ),
    MeasuredLayer(
        Layer(operation=Operation.CONV, in_channels=600, out_channels=20, in_height=10, in_width=9, residual=True)
    ),
)
RUN = Measurement(
    engine="dpu",
    board="ultra96-v2",
    campaign="c",
    source="s",
    clock_mhz=200.0,
    latency_ms=Percentiles(1.0),
    layers=LAYERS,
    settings={"pixel_parallel": 8, "channel_parallel": 12, "alu_parallel": 4},
)


def test_counts_by_hand() -> None:
    expand, depthwise, pool, project = (demand.counts for demand in demands(RUN))
    line = 50 * 3 * 9  # groups of 12 channels, of 4 rows, and columns
    assert expand["conv_cycles"] == 2 * 50 * 2 * 9
    assert expand["swish_cycles"] == line
    assert depthwise["depthwise_cycles"] == 25 * line
    assert (pool["gate_cycles"], pool["wide_gate_cycles"]) == (line, 600)
    assert project["residual_cycles"] == 2 * 3 * 9
    assert expand["feature_cycles_per_byte"] == 20 * 90
    assert project["feature_cycles_per_byte"] == 2 * 20 * 90
    assert (expand["start_cycles"], expand["layer_cycles"], project["weight_cycles_per_byte"]) == (1, 1, 12_000)


def test_known_traffic_beyond_the_least_is_that_of_maps_between_layers() -> None:
    least = sum(
        demand.counts.get(name, 0.0)
        for demand in demands(RUN)
        for name in ("feature_cycles_per_byte", "weight_cycles_per_byte")
    )
    spilt = demands(replace(RUN, counters={"ddr_bytes": least + 1000}))
    assert spilt[1].counts["feature_cycles_per_byte"] == 1000
    assert demands(replace(RUN, counters={"ddr_bytes": 1})) == [
        *demands(RUN)[:1],
        replace(demands(RUN)[1], counts={**demands(RUN)[1].counts, "feature_cycles_per_byte": 0.0}),
        *demands(RUN)[2:],
    ]


def test_a_missing_setting_is_named() -> None:
    with pytest.raises(InvalidValueError, match=r"settings\.alu_parallel: must be a positive whole number for dpu"):
        demands(replace(RUN, settings={"pixel_parallel": 8, "channel_parallel": 12}))
    with pytest.raises(InvalidValueError, match=r"measurement\.layers: must be given for dpu"):
        demands(replace(RUN, layers=(), network="whole"))


def test_the_roofline_is_the_convolution_array_at_its_peak() -> None:
    assert DPU.least_cycles([RUN]).tolist() == [2 * 20 * 600 * 90 / 1152]
