import math
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.pricing.every_mapping import enumerate_mappings
from support.pricing.random_layers import random_layers

from cost_models.mapping.mapping import LoopOrder, Mapping, channel_units, draw_mapping, even_sizes
from cost_models.workload import Layer, Operation
from hw_templates.board import load_board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.space import AcceleratorSpace
from hw_templates.foundation.errors import InvalidValueError, MappingError

AXES = ("tile_out_channels", "tile_in_channels", "tile_height", "tile_width")


ACCELERATOR = Accelerator(
    pe_rows=16,
    pe_cols=8,
    pe_pixels=2,
    pack=1,
    ifmap_kib=4,
    weight_kib=4,
    ofmap_kib=4,
    axi_bits=64,
    clock_mhz=100,
)
LAYER = Layer(
    operation=Operation.CONV,
    in_channels=32,
    out_channels=64,
    in_height=14,
    in_width=14,
    kernel_height=3,
    kernel_width=3,
    stride=1,
    padding=1,
)


def test_even_sizes_are_the_least_of_each_number_of_parts() -> None:
    # 20 in 1, 2, 3, 4, 5, 7, 10 and 20 parts; 6 parts need 4, as 5 do.
    assert even_sizes(20) == (20, 10, 7, 5, 4, 3, 2, 1)
    for extent in range(1, 60):
        parts = {-(-extent // size) for size in range(1, extent + 1)}
        least = {min(size for size in range(1, extent + 1) if -(-extent // size) == count) for count in parts}
        assert set(even_sizes(extent)) == least


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ((8, 8, 1, 1), "mapping.tile_out_channels: must be a positive multiple of 16, at most 4095, got 8"),
        ((16, 12, 1, 1), "mapping.tile_in_channels: must be a positive multiple of 8, at most 4095, got 12"),
        ((16, 8, 15, 1), "mapping.tile_height: must be a positive multiple of 1, at most 14, got 15"),
        ((16, 8, 1, 0), "mapping.tile_width: must be a positive multiple of 1, at most 14, got 0"),
    ],
)
def test_shapes_are_checked(mapping: tuple[int, int, int, int], message: str) -> None:
    with pytest.raises(InvalidValueError) as raised:
        Mapping(**dict(zip(AXES, mapping, strict=True)), loop_order=LoopOrder.PIXELS_OUTER).check(LAYER, ACCELERATOR)
    assert str(raised.value) == message


def test_a_buffer_holds_twice_as_many_weights_of_four_bits() -> None:
    # 4 KiB hold 32 lines of 16 x 8 weights; 9 taps of 2 x 2 groups of channels are 36.
    mapping = Mapping(
        tile_out_channels=32, tile_in_channels=16, tile_height=1, tile_width=1, loop_order=LoopOrder.PIXELS_OUTER
    )
    with pytest.raises(MappingError, match=r"weight_kib: .* needs 36 words a bank, it has 32; 5 KiB would do"):
        mapping.check(LAYER, ACCELERATOR)
    narrow = replace(LAYER, weight_bits=4)
    mapping.check(narrow, ACCELERATOR)
    assert mapping.needs(narrow, ACCELERATOR)[1].words == 18


def test_channelwise_tiles_are_the_same_in_and_out() -> None:
    layer = Layer(
        operation=Operation.DEPTHWISE,
        in_channels=64,
        out_channels=64,
        in_height=14,
        in_width=14,
        kernel_height=3,
        kernel_width=3,
        stride=1,
        padding=1,
    )
    with pytest.raises(InvalidValueError, match=r"tile_in_channels: must be equal to tile_out_channels, got 16"):
        Mapping(
            tile_out_channels=32, tile_in_channels=16, tile_height=1, tile_width=1, loop_order=LoopOrder.PIXELS_OUTER
        ).check(layer, ACCELERATOR)
    Mapping(
        tile_out_channels=32, tile_in_channels=32, tile_height=1, tile_width=14, loop_order=LoopOrder.PIXELS_OUTER
    ).check(layer, ACCELERATOR)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        # 4 groups * 16 rows * ceil(16 / 2) slots = 512 words of 16 bytes = 8 KiB, of 4.
        ((16, 32, 14, 14), "ifmap_kib: .* needs 512 words a bank, it has 256; 8 KiB would do"),
        # 4 * 4 * 9 = 144 words of 128 bytes = 18 KiB, of 4.
        ((64, 32, 1, 1), "weight_kib: .* needs 144 words a bank, it has 32; 18 KiB would do"),
        # 1 * 14 * 7 = 98 sums of 32 banks * 4 bytes = 12.25 KiB, of 4.
        ((16, 8, 14, 14), "ofmap_kib: .* needs 98 words a bank, it has 32; 13 KiB would do"),
    ],
)
def test_buffers_are_checked(mapping: tuple[int, int, int, int], message: str) -> None:
    with pytest.raises(MappingError, match=message):
        Mapping(**dict(zip(AXES, mapping, strict=True)), loop_order=LoopOrder.CHANNELS_OUTER).check(LAYER, ACCELERATOR)


@given(random_layers(14, 70), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_a_drawn_mapping_is_legal(layer: Layer, seed: int) -> None:
    rng = np.random.default_rng(seed)
    accelerator = AcceleratorSpace(load_board("pynq-z2")).sample(rng, 1)[0]
    mapping = draw_mapping(layer, accelerator, rng)
    least = math.ceil(layer.padding / layer.stride)
    pixels = (max(1, min(least, extent)) for extent in (layer.out_height, layer.out_width))
    smallest = Mapping(
        **dict(zip(AXES, (*channel_units(layer.operation, accelerator), *pixels), strict=True)),
        loop_order=LoopOrder.PIXELS_OUTER,
    )
    assert (mapping is None) == (not smallest.fits(layer, accelerator))
    if mapping is not None:
        mapping.check(layer, accelerator)


@pytest.mark.parametrize(("tile", "legal"), [((2, 14), True), ((1, 14), False), ((14, 1), False), ((7, 2), True)])
def test_no_second_tile_begins_in_the_padding(tile: tuple[int, int], legal: bool) -> None:
    # 5x5 at stride 1 with a padding of 2: tiles move by two rows and columns at least.
    layer = replace(LAYER, in_channels=8, out_channels=16, kernel_height=5, kernel_width=5, padding=2)
    mapping = Mapping(**dict(zip(AXES, (16, 8, *tile), strict=True)), loop_order=LoopOrder.PIXELS_OUTER)
    if legal:
        mapping.check(layer, replace(ACCELERATOR, ifmap_kib=16, ofmap_kib=16))
        return
    name = "tile_height" if tile[0] == 1 else "tile_width"
    with pytest.raises(MappingError, match=rf"mapping.{name}: must be at least 2, got 1, or a second tile begins in"):
        mapping.check(layer, ACCELERATOR)


def test_channels_of_a_tile_are_those_that_a_field_holds() -> None:
    wide = replace(ACCELERATOR, pe_rows=64, pe_cols=64, weight_kib=256, ofmap_kib=128)
    layer = replace(LAYER, in_channels=4090, out_channels=64, kernel_height=1, kernel_width=1, padding=0)
    whole = Mapping(**dict(zip(AXES, (64, 4096, 1, 1), strict=True)), loop_order=LoopOrder.PIXELS_OUTER)
    with pytest.raises(InvalidValueError, match=r"tile_in_channels: must be a positive multiple of 64, at most 4095"):
        whole.check(layer, wide)


def test_drawn_mappings_differ_along_every_axis_and_in_order() -> None:
    drawn = [draw_mapping(LAYER, ACCELERATOR, np.random.default_rng(seed)) for seed in range(100)]
    for axis in fields(Mapping):
        assert len({getattr(mapping, axis.name) for mapping in drawn}) > 1
    assert set(drawn) <= set(enumerate_mappings(LAYER, ACCELERATOR))


def test_every_enumerated_mapping_is_legal_and_different() -> None:
    mappings = enumerate_mappings(LAYER, ACCELERATOR)
    assert len(mappings) == len(set(mappings)) > 0
    for mapping in mappings:
        mapping.check(LAYER, ACCELERATOR)
