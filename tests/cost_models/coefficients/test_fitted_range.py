import warnings
from dataclasses import replace

import pytest

from cost_models.calibration.record import measured_range
from cost_models.coefficients.fitted_range import outside, range_of, range_of_space, warn_outside
from cost_models.measurements.measurement import MeasuredLayer, Measurement, Percentiles
from cost_models.workload import Layer, Operation
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.errors import ExtrapolationWarning

ACCELERATOR = Accelerator(
    pe_rows=16,
    pe_cols=16,
    pe_pixels=1,
    pack=2,
    ifmap_kib=8,
    weight_kib=16,
    ofmap_kib=8,
    axi_bits=64,
    clock_mhz=100,
)
RUN = Measurement(
    engine="vta",
    board="pynq",
    campaign="c",
    source="s",
    clock_mhz=100.0,
    latency_ms=Percentiles(1.0),
    layers=(
        MeasuredLayer(
            Layer(
                operation=Operation.CONV,
                in_channels=16,
                out_channels=64,
                in_height=8,
                in_width=8,
                kernel_height=3,
                kernel_width=3,
                stride=1,
                padding=1,
            )
        ),
        MeasuredLayer(Layer(operation=Operation.CONV, in_channels=64, out_channels=128, in_height=8, in_width=8)),
        MeasuredLayer(
            Layer(
                operation=Operation.POOL,
                in_channels=128,
                out_channels=128,
                in_height=8,
                in_width=8,
                kernel_height=8,
                kernel_width=8,
            )
        ),
    ),
    accelerator=ACCELERATOR,
)


def test_what_runs_span() -> None:
    fitted = measured_range([RUN, replace(RUN, clock_mhz=150.0)])
    assert fitted["layer.in_channels"] == (16, 128)
    assert fitted["layer.kernel_height"] == (1, 3)
    assert fitted["accelerator.pe_rows"] == (16, 16)
    assert fitted["clock_mhz"] == (100, 150)
    assert fitted["batch"] == (1, 1)
    assert fitted["board"] == ("pynq",)
    assert fitted["layer.operation"] == ("conv", "pool")


def test_within_it_nothing_is_said() -> None:
    fitted = measured_range([RUN])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_outside("set", fitted, range_of([RUN.layers[0].layer], [ACCELERATOR]))
        warn_outside("set", fitted, range_of([], []))
    assert caught == []


@pytest.mark.parametrize(
    ("layer", "accelerator", "clause"),
    [
        (
            Layer(operation=Operation.CONV, in_channels=8, out_channels=64, in_height=8, in_width=8),
            ACCELERATOR,
            "layer.in_channels 8 is outside of 16 to 128",
        ),
        (
            Layer(
                operation=Operation.CONV,
                in_channels=16,
                out_channels=64,
                in_height=8,
                in_width=8,
                kernel_height=5,
                kernel_width=5,
            ),
            ACCELERATOR,
            "layer.kernel_height 5 is outside of 1 to 3",
        ),
        (
            Layer(operation=Operation.DEPTHWISE, in_channels=64, out_channels=64, in_height=8, in_width=8),
            ACCELERATOR,
            "layer.operation depthwise is not among conv, pool",
        ),
        (RUN.layers[0].layer, replace(ACCELERATOR, pe_rows=32), "accelerator.pe_rows 32 is outside of 16 to 16"),
        (RUN.layers[0].layer, replace(ACCELERATOR, clock_mhz=150), "; clock_mhz 150 is outside of 100 to 100"),
        (RUN.layers[0].layer, replace(ACCELERATOR, weight_kib=32), "accelerator.weight_kib 32 is outside of 16 to 16"),
        (RUN.layers[0].layer, replace(ACCELERATOR, ofmap_buffers=1), "accelerator.ofmap_buffers 1 is outside of 2 to"),
    ],
)
def test_the_parameter_that_leaves_it_is_named(layer: Layer, accelerator: Accelerator, clause: str) -> None:
    with pytest.warns(ExtrapolationWarning) as caught:
        warn_outside("set", measured_range([RUN]), range_of([layer], [accelerator]))
    assert clause in str(caught[0].message)
    assert str(caught[0].message).startswith("coefficients set, as fitted: ")


def test_an_engine_that_ran_below_its_clock_is_known_at_that_clock_alone() -> None:
    slow = measured_range([replace(RUN, clock_mhz=50.0)])
    assert outside(slow, range_of([], [ACCELERATOR])) == ["clock_mhz 100 is outside of 50 to 50"]
    # Read back from a board, a clock is off by rounding.
    assert outside(measured_range([replace(RUN, clock_mhz=99.999)]), range_of([], [ACCELERATOR])) == []


def test_the_array_of_a_foreign_engine_is_in_its_settings() -> None:
    dpu = replace(RUN, engine="dpu", accelerator=None, settings={"pixel_parallel": 8, "channel_parallel": 12})
    other = replace(dpu, settings={"pixel_parallel": 8, "channel_parallel": 16})
    fitted = measured_range([dpu])
    assert outside(fitted, measured_range([dpu])) == []
    assert outside(fitted, measured_range([other])) == ["settings.channel_parallel 16 is outside of 12 to 12"]
    assert outside(fitted, measured_range([replace(dpu, batch=4)])) == ["batch 4 is outside of 1 to 1"]


def test_a_space_of_accelerators_is_outside_where_any_of_them_is() -> None:
    choices = {**{name: (value,) for name, value in ACCELERATOR.as_dict().items()}, "pe_cols": (8, 16, 32)}
    assert outside(measured_range([RUN]), range_of_space(choices)) == ["accelerator.pe_cols 32 is outside of 16 to 16"]
