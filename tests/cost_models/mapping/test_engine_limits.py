import pytest
from support.pricing.shapes import accelerator_of, layer_of

from cost_models.closed_form.layer_table import price_layers
from cost_models.coefficients import load_coefficients
from cost_models.mapping.engine_limits import LIMITS, check_engine_runs
from cost_models.mapping.mapping import LoopOrder, Mapping
from cost_models.workload import Operation
from hw_templates.board import load_board
from hw_templates.foundation.errors import UnsupportedLayerError


def test_every_operation_has_limits() -> None:
    assert set(LIMITS) == set(Operation)


@pytest.mark.parametrize(
    "arguments",
    [
        (Operation.CONV, 3, 5, 8, 8, 7, 7, 2, 3, True, 4),
        (Operation.DEPTHWISE, 3, 3, 8, 8, 5, 5, 1, 0),
        (Operation.POOL, 3, 3, 9, 5, 9, 5),
        (Operation.POOL, 3, 3, 9, 5, 2, 2, 2),
        (Operation.MAX_POOL, 3, 3, 9, 5, 3, 3, 1, 1),
        (Operation.SCALE, 3, 3, 9, 5),
    ],
)
def test_the_engine_runs_what_it_has(arguments: tuple[object, ...]) -> None:
    check_engine_runs(layer_of(*arguments))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((Operation.CONV, 3, 5, 8, 8, 3, 3, 3, 1), "stride: the engine has strides 1 and 2, got 3"),
        ((Operation.CONV, 3, 5, 8, 8, 9, 9, 1, 4), "kernel: conv has 1x1, 3x3, 5x5 and 7x7"),
        ((Operation.CONV, 3, 5, 8, 8, 3, 5, 1, 1), "kernel: conv has"),
        ((Operation.CONV, 3, 5, 8, 8, 3, 3, 1, 2), "padding: at most half the kernel, got 2"),
        (
            (Operation.POOL, 3, 3, 8, 8, 2, 2),
            r"kernel: pool averages the whole map, or 2x2 at stride 2, got \(2, 2\) at 1",
        ),
        ((Operation.POOL, 3, 3, 8, 8, 3, 3, 2), r"kernel: pool averages .*, got \(3, 3\) at 2"),
        ((Operation.POOL, 3, 3, 8, 8, 2, 2, 2, 1), "padding: pool has none, got 1"),
        (
            (Operation.MAX_POOL, 3, 3, 8, 8, 2, 2, 2),
            r"kernel: max_pool is 3x3 with a padding of 1, got \(2, 2\) with 0",
        ),
        ((Operation.SCALE, 3, 3, 8, 8, 3, 3), "kernel: scale is 1x1"),
        ((Operation.CONV, 3, 5, 8, 8, 1, 1, 1, 0, False, 2), "weight_bits: conv has 8 and 4, got 2"),
        ((Operation.POOL, 3, 3, 8, 8, 8, 8, 1, 0, False, 4), "weight_bits: pool has 8, got 4"),
        ((Operation.POOL, 3, 3, 8, 128, 8, 128), r"kernel: pool has at most 127, got \(8, 128\)"),
        ((Operation.CONV, 3, 4096, 8, 8), "out_channels: the engine has at most 4095, got 4096"),
        ((Operation.CONV, 3, 5, 4095, 8, 3, 3, 1, 1), "in_height: the engine has at most 4093, got 4095"),
        ((Operation.CONV, 3, 5, 8, 4095, 1, 1, 2), "in_width: the engine has at most 4094, got 4095"),
    ],
)
def test_what_the_engine_lacks_is_refused(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(UnsupportedLayerError, match=message):
        check_engine_runs(layer_of(*arguments))  # type: ignore[arg-type]


def test_a_layer_is_checked_where_it_is_mapped_and_where_it_is_priced() -> None:
    layer, accelerator = layer_of(Operation.CONV, 8, 8, 16, 16, 11, 11), accelerator_of(8, 8, 2, 1, 8, 8, 8, 64, 100)
    mapping = Mapping(
        tile_out_channels=8, tile_in_channels=8, tile_height=1, tile_width=1, loop_order=LoopOrder.PIXELS_OUTER
    )
    with pytest.raises(UnsupportedLayerError, match="conv has 1x1, 3x3, 5x5 and 7x7"):
        mapping.check(layer, accelerator)
    with pytest.raises(UnsupportedLayerError, match="conv has 1x1, 3x3, 5x5 and 7x7"):
        price_layers([layer], [accelerator], load_board("pynq-z2"), load_coefficients())
