import warnings
from dataclasses import replace

import pytest

from cost_models.fitted_range import FittedRange, warn_outside
from cost_models.measurement import MeasuredLayer, Measurement, Percentiles
from cost_models.workload import Layer, Operation
from hw_templates.accelerator import Accelerator
from hw_templates.errors import ExtrapolationWarning

ACCELERATOR = Accelerator(16, 16, 1, 2, 8, 16, 8, 64, 100, 8)
RUN = Measurement(
    engine="vta",
    board="pynq",
    campaign="c",
    source="s",
    clock_mhz=100.0,
    latency_ms=Percentiles(1.0),
    layers=(
        MeasuredLayer(Layer(Operation.CONV, 16, 64, 8, 8, 3, 3, 1, 1)),
        MeasuredLayer(Layer(Operation.CONV, 64, 128, 8, 8)),
        MeasuredLayer(Layer(Operation.POOL, 128, 128, 8, 8, 8, 8)),
    ),
    accelerator=ACCELERATOR,
)


def test_what_runs_span() -> None:
    fitted = FittedRange.of([RUN, replace(RUN, clock_mhz=150.0)])
    assert fitted.numbers["layer.in_channels"] == (16, 128)
    assert fitted.numbers["layer.kernel_height"] == (1, 3)
    assert fitted.numbers["accelerator.pe_rows"] == (16, 16)
    assert fitted.numbers["clock_mhz"] == (100, 150)
    assert fitted.choices == {"board": ("pynq",), "layer.operation": ("conv", "pool")}
    assert FittedRange.from_dict(fitted.as_dict()) == fitted


def test_within_it_nothing_is_said() -> None:
    fitted = FittedRange.of([RUN])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_outside("set", fitted, FittedRange.of_layers([RUN.layers[0].layer], [ACCELERATOR]))
        warn_outside("set", fitted, FittedRange.of_layers([], []))
    assert caught == []


@pytest.mark.parametrize(
    ("layer", "accelerator", "clause"),
    [
        (Layer(Operation.CONV, 8, 64, 8, 8), ACCELERATOR, "layer.in_channels 8 is outside of 16 to 128"),
        (Layer(Operation.CONV, 16, 64, 8, 8, 5, 5), ACCELERATOR, "layer.kernel_height 5 is outside of 1 to 3"),
        (Layer(Operation.DEPTHWISE, 64, 64, 8, 8), ACCELERATOR, "layer.operation depthwise is not among conv, pool"),
        (RUN.layers[0].layer, replace(ACCELERATOR, pe_rows=32), "accelerator.pe_rows 32 is outside of 16 to 16"),
    ],
)
def test_the_parameter_that_leaves_it_is_named(layer: Layer, accelerator: Accelerator, clause: str) -> None:
    with pytest.warns(ExtrapolationWarning) as caught:
        warn_outside("set", FittedRange.of([RUN]), FittedRange.of_layers([layer], [accelerator]))
    assert clause in str(caught[0].message)
    assert str(caught[0].message).startswith("coefficients set, as fitted: ")
