"""Limits that programs of version 5 of the format are checked against, and that they refuse what would go wrong."""

import math
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from codesign.emit.descriptor import describe
from codesign.emit.engine_reference import EngineData, EngineNode, engine_result, engine_sums, run_engine
from codesign.emit.integer_reference import QuantisedLayer, QuantisedNetwork, run_integer
from codesign.emit.limits import Requantisation, check_fields_fit, check_program, check_sums, check_tiles
from codesign.emit.program import engine_node
from cost_models.engine.layer import EngineLayer
from cost_models.engine.places import MapPlace, Places, ProgramStep
from cost_models.engine.tiles import TiledLayer
from cost_models.mapping.mapping import LoopOrder, Mapping
from cost_models.workload import IMAGE, Layer, Node
from hw_templates.conv_engine import isa
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.engine_shape import SUPERNETS, EngineShape, Limits
from hw_templates.foundation.arrays import Int8Array
from hw_templates.foundation.errors import InvalidValueError, MappingError, UnsupportedLayerError
from hw_templates.operations import Operation

ACCELERATOR = Accelerator(
    pe_rows=8,
    pe_cols=16,
    pe_pixels=2,
    pack=2,
    ifmap_kib=16,
    weight_kib=16,
    ofmap_kib=16,
    axi_bits=64,
    clock_mhz=100,
)
SHAPE = EngineShape(accelerator=ACCELERATOR)
LAYER = EngineLayer(
    operation=Operation.CONV, in_channels=20, in_height=9, in_width=9, out_channels=24, kernel=(3, 3), residual=1
)
POOL = EngineLayer(
    operation=Operation.POOL, in_channels=20, in_height=9, in_width=9, out_channels=20, kernel=(3, 3), padding=(1,) * 4
)
MAPPING = Mapping(
    tile_out_channels=16, tile_in_channels=16, tile_height=3, tile_width=3, loop_order=LoopOrder.PIXELS_OUTER
)
IDENTITY = np.arange(-128, 128, dtype=np.int8)


def node_of(
    layer: EngineLayer = LAYER,
    mapping: Mapping = MAPPING,
    shape: EngineShape = SHAPE,
    edges: tuple[int, int, int, int] = (0, 0, 0, 0),
) -> EngineNode:
    """A node whose data is but its border classes."""
    nothing = np.zeros(0, np.int64)
    data = EngineData(weight=None, bias=nothing, multiplier=nothing, code=nothing, table=IDENTITY, edges=edges)
    return EngineNode(
        name="layer", tiled=TiledLayer(layer=layer, mapping=mapping, shape=shape), data=data, ifmap="ifmap"
    )


def test_layers_within_the_limits_pass() -> None:
    check_tiles(node_of())
    check_tiles(node_of(POOL, edges=(1, 1, 1, 1)))


@pytest.mark.parametrize(
    ("layer", "changes", "message"),
    [
        (LAYER, {"tile_out_channels": 12}, r"tile_out_channels: must be a positive multiple of 8, got 12"),
        (LAYER, {"tile_in_channels": 8}, r"tile_in_channels: must be a positive multiple of 16, got 8"),
        (LAYER, {"tile_in_channels": 0}, r"tile_in_channels: must be a positive multiple of 16, got 0"),
        (POOL, {"tile_out_channels": 8}, r"tile_out_channels: must be a positive multiple of 16, got 8"),
        (POOL, {"tile_in_channels": 32}, r"tile_in_channels: must be those of the output, 16, .*, got 32"),
        (POOL, {"loop_order": LoopOrder.INPUTS_OUTER}, r"loop_order: inputs_outer is for layers that sum .*"),
        (LAYER, {"tile_height": 8}, r"tile_height: must be 1 to 7, got 8"),
        (LAYER, {"tile_width": 0}, r"tile_width: must be 1 to 7, got 0"),
        (
            replace(LAYER, padding=(4, 0, 0, 0)),
            {},
            r"tile_height: must be at least 4, got 3, or a second tile begins in the padding",
        ),
        (replace(LAYER, in_width=10, in_height=10, repeat=True), {}, r"tile_height: must be even .*, got 3"),
    ],
)
def test_tiles_that_break_a_rule_of_the_format_are_refused(
    layer: EngineLayer, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(MappingError, match=rf"^layer\.{message}$"):
        check_tiles(node_of(layer, replace(MAPPING, **changes)))


@pytest.mark.parametrize(
    ("buffer", "layer", "changes"),
    [
        ("ifmap", replace(LAYER, in_channels=512), {"tile_in_channels": 512, "tile_height": 7, "tile_width": 7}),
        ("weight", replace(LAYER, in_channels=512), {"tile_in_channels": 512, "tile_height": 1, "tile_width": 1}),
        ("ofmap", replace(LAYER, in_height=99), {"tile_height": 97, "tile_width": 7}),
    ],
)
def test_tiles_that_fill_more_than_a_buffer_are_refused(
    buffer: str, layer: EngineLayer, changes: dict[str, int]
) -> None:
    with pytest.raises(MappingError, match=rf"^layer: a tile needs \d+ words of a bank of the {buffer} buffer, it has"):
        check_tiles(node_of(layer, replace(MAPPING, **changes)))


@given(out_channels=st.integers(1, 200), tile=st.integers(1, 20), height=st.integers(1, 40), width=st.integers(1, 40))
@settings(deadline=None)
def test_results_of_sums_that_fit_their_buffer_fit_that_of_the_map_to_add(
    out_channels: int, tile: int, height: int, width: int
) -> None:
    layer = replace(LAYER, in_height=40, in_width=40, kernel=(1, 1), out_channels=out_channels)
    mapping = replace(MAPPING, tile_out_channels=8 * tile, tile_height=height, tile_width=width)
    tiled = node_of(layer, mapping).tiled
    needs = {name: needed / there for name, needed, there in tiled.needs()}
    words = math.ceil(tiled.out_tiles[0] / tiled.shape.accelerator.axi_bytes) * height * width
    assert words / tiled.shape.residual_depth <= needs["ofmap"]


@pytest.mark.parametrize(
    ("layer", "limits", "edges", "message"),
    [
        (replace(LAYER, kernel=(8, 1)), SUPERNETS, None, r"kernel: the engine has at most 7, got 8"),
        (replace(LAYER, stride=(1, 3)), SUPERNETS, None, r"stride: the engine has at most 2, got 3"),
        (replace(LAYER, dilation=(2, 1)), SUPERNETS, None, r"dilation: the engine has at most 1, got 2"),
        (replace(LAYER, padding=(1,) * 4, pad_value=3), SUPERNETS, None, r"pad_value: the engine has 0, got 3"),
        (
            replace(POOL, operation=Operation.MAX_POOL, pad_value=0),
            SUPERNETS,
            None,
            r"pad_value: the engine has -128, got 0",
        ),
        (replace(LAYER, in_height=9, in_width=8, repeat=True), SUPERNETS, None, r"repeat: needs even rows .*"),
        (replace(LAYER, out_channels=2049), SUPERNETS, None, r"out_channels: .* parameters of 2048, got 2049"),
        (POOL, Limits(edges=False), (1, 0, 0, 0), r"edges: only average pools of engines with edges .*"),
        (LAYER, SUPERNETS, (1, 0, 0, 0), r"edges: only average pools of engines with edges .*"),
        (POOL, SUPERNETS, (5, 4, 0, 0), r"edges: at most 9 classes of 9 rows with the middle, got 10"),
        (replace(POOL, in_width=99), SUPERNETS, (0, 0, 8, 8), r"edges: at most 16 classes of 99 columns .*, got 17"),
        (
            replace(POOL, in_width=99, in_height=99),
            SUPERNETS,
            (8, 7, 0, 15),
            r"edges: the engine has 128 lines of parameters, got 256 .*",
        ),
    ],
)
def test_layers_beyond_the_engine_are_refused(
    layer: EngineLayer, limits: Limits, edges: tuple[int, int, int, int] | None, message: str
) -> None:
    wide = replace(ACCELERATOR, axi_bits=128, pe_rows=16) if "128 lines" in message else ACCELERATOR
    node = node_of(layer, shape=EngineShape(accelerator=wide, limits=limits), edges=edges or (0, 0, 0, 0))
    with pytest.raises(UnsupportedLayerError, match=rf"^layer\.{message}$"):
        check_tiles(node)


def test_pixels_beyond_the_table_of_taps_and_the_lanes_limit_kernels_and_strides() -> None:
    wide = EngineShape(accelerator=replace(ACCELERATOR, pe_pixels=16, ifmap_kib=64))
    pool = replace(POOL, kernel=(12, 12), in_height=20, in_width=20)
    with pytest.raises(UnsupportedLayerError, match=r"^layer.kernel: the engine has at most 11, got 12$"):
        check_tiles(node_of(pool, shape=wide))
    wider = EngineShape(accelerator=replace(ACCELERATOR, pe_pixels=20, ifmap_kib=64))
    with pytest.raises(UnsupportedLayerError, match=r"^layer.stride: the engine has at most 1, got 2$"):
        check_tiles(node_of(replace(LAYER, stride=(2, 2)), shape=wider))


@pytest.mark.parametrize(
    ("name", "most"), [("max_kernel", 11), ("max_pool", 4095), ("max_stride", 4), ("max_dilation", 4)]
)
def test_limits_beyond_the_format_are_refused(name: str, most: int) -> None:
    Limits(**{name: most})
    for value in (0, most + 1):
        with pytest.raises(InvalidValueError, match=rf"^limits\.{name}: must be a whole number from 1 to {most}"):
            Limits(**{name: value})


RECORD = describe(
    ProgramStep(
        tiled=node_of().tiled,
        places=Places(ifmap=MapPlace(word=0, pixel_words=3), ofmap=MapPlace(word=512, pixel_words=3)),
        descriptor_word=0,
    )
)


def test_ranges_of_fields_by_hand() -> None:
    ranges = EngineShape(accelerator=ACCELERATOR, limits=Limits(max_pool=9, max_stride=3)).field_ranges()
    expected = {
        "size": (512, 512),
        "version": (5, 5),
        "operation": (0, 4),
        "in_height": (1, 4095),
        "kernel_width": (1, 9),
        "stride_height": (1, 3),
        "dilation_width": (1, 1),
        "pad_value": (-128, 127),
        "ifmap_word": (0, 2**26 - 1),
        "in_row_begin": (-(2**25), 2**25 - 1),
        "tap_col_10": (-(2**31), 2**31 - 1),
        "early": (0, 2),
    }
    assert {name: ranges[name] for name in expected} == expected


@pytest.mark.parametrize("name", [name for name, width, _ in isa.FIELDS if width != "32"])
def test_a_field_out_of_its_range_is_refused_with_its_limit(name: str) -> None:
    least, most = SHAPE.field_ranges()[name]
    check_fields_fit("layer", RECORD, SHAPE)
    for value in (least - 1, most + 1):
        record = RECORD.copy()
        record[name] = value
        with pytest.raises(UnsupportedLayerError) as refused:
            check_fields_fit("layer", record, SHAPE)
        assert str(refused.value) == f"layer.{name}: the engine has {least} to {most}, got {value}"


def test_what_the_engine_makes_of_fields_must_fit_too() -> None:
    def record_of(layer: EngineLayer, words: int, mapping: Mapping) -> np.void:
        places = Places(ifmap=MapPlace(word=0, pixel_words=words), ofmap=MapPlace(word=0, pixel_words=3))
        return describe(ProgramStep(tiled=node_of(layer, mapping).tiled, places=places, descriptor_word=0))

    far = replace(LAYER, in_width=4095, padding=(0, 0, 0, 1), residual=0)
    with pytest.raises(
        UnsupportedLayerError, match=r"^layer.in_width: the last window's end must be at most 4095, got 4096$"
    ):
        check_fields_fit("layer", record_of(far, 3, MAPPING), SHAPE)
    large = replace(LAYER, in_width=4000, in_height=4000, residual=0)
    with pytest.raises(
        UnsupportedLayerError, match=r"^layer.in_row_step: words of the map must be at most 33554432, got"
    ):
        check_fields_fit("layer", record_of(large, 3, MAPPING), SHAPE)
    long = replace(LAYER, in_width=4000, in_channels=160, residual=0)
    whole = replace(MAPPING, tile_in_channels=160, tile_width=3998)
    with pytest.raises(
        UnsupportedLayerError, match=r"^layer.in_full_words: words of a run must be at most 65535, got 80000$"
    ):
        check_fields_fit("layer", record_of(long, 20, whole), SHAPE)
    with pytest.raises(UnsupportedLayerError, match=r"^layer.in_tile_row_step: the engine has 0 to 67108863, got 2147"):
        check_fields_fit("layer", record_of(large, 4000, replace(MAPPING, tile_height=400)), SHAPE)


def test_programs_of_more_than_the_registers_hold_are_refused() -> None:
    check_program(2**16 - 1, 2**26 - 1)
    with pytest.raises(UnsupportedLayerError, match=r"^program.steps: the engine has at most 65535, got 65536$"):
        check_program(2**16, 1)
    with pytest.raises(UnsupportedLayerError, match=r"^program.arena_words: the engine has at most 67108863, got"):
        check_program(1, 2**26)


def unsaturated(sums: np.ndarray, data: EngineData, residual: Int8Array, mode: int) -> Int8Array:
    """Return results as if sums had any number of bits."""
    added = np.clip((residual.astype(object) * data.residual_multiplier + 2**15) >> 16, -256, 255)
    shift = int(data.code[0]) + 12
    result = ((sums + int(data.bias[0])) * int(data.multiplier[0]) + (1 << (shift - 1))) >> shift
    looked_up = data.table[np.clip(result + (added if mode == 1 else 0), -128, 127).astype(int) + 128]
    return np.clip(looked_up + (added if mode == 2 else 0), -128, 127).astype(np.int8)


MULTIPLIERS = st.one_of(st.just(0), st.just(2**15), st.integers(2**15, 2**16 - 1))
BIASES = st.one_of(st.integers(-(2**31) + 2**14, 2**31 - 2**14), st.integers(2**24 - 99, 2**24 + 2**20))


@given(
    bias=BIASES,
    multiplier=MULTIPLIERS,
    shift=st.integers(12, 43),
    mode=st.integers(0, 2),
    scale=st.integers(0, 2**24 - 1),
    seed=st.integers(0, 2**32),
)
@example(bias=-(2**24) - 1, multiplier=2**15, shift=32, mode=0, scale=0, seed=0)
@example(bias=2**24 + 2**22, multiplier=2**15, shift=30, mode=1, scale=2**23, seed=0)
@example(bias=2**24 + 2**22, multiplier=2**15, shift=33, mode=0, scale=0, seed=0)
@example(bias=2**24 + 2**22, multiplier=2**15, shift=31, mode=1, scale=2**23, seed=0)
@settings(max_examples=400, deadline=None)
def test_a_saturated_sum_that_passes_changes_no_result(
    bias: int, multiplier: int, shift: int, mode: int, scale: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.integers(-127, 128, (1, 1, 1, 1)).astype(np.int8)
    layer = EngineLayer(operation=Operation.CONV, in_channels=1, in_height=4, in_width=4, out_channels=1, residual=mode)
    data = EngineData(
        weight=weight,
        bias=np.array([bias]),
        multiplier=np.array([multiplier]),
        code=np.array([shift - 12]),
        table=rng.integers(-128, 128, 256).astype(np.int8),
        residual_multiplier=scale,
    )
    try:
        check_sums(
            "layer", layer, weight, Requantisation(bias=data.bias, multiplier=data.multiplier, shift=data.code + 12)
        )
    except UnsupportedLayerError:
        # Refused is only what a sum beyond 25 bits could change.
        assert abs(bias) + 128 * 127 >= 2**24
        assert shift > (30 if mode == 1 else 32)
        assert multiplier != 0
        return
    ifmap, residual = rng.integers(-128, 128, (2, 1, 1, 4, 4)).astype(np.int8)
    sums = ifmap.astype(object) * int(weight[0, 0, 0, 0])
    expected = unsaturated(sums, data, residual, mode)
    assert np.array_equal(engine_result(layer, data, ifmap, None, residual if mode else None), expected)


@pytest.mark.parametrize(("shift", "mode", "most"), [(33, 0, 32), (33, 2, 32), (31, 1, 30)])
def test_a_saturated_sum_that_would_change_a_result_is_refused(shift: int, mode: int, most: int) -> None:
    layer = replace(LAYER, residual=mode)
    bias, multiplier, shifts = np.zeros(24, np.int64), np.full(24, 2**15), np.full(24, shift)
    bias[5] = 2**24 - 127 * 180 * 127
    weight = np.zeros((24, 20, 3, 3), np.int8)
    weight[5] = 127
    below = replace(Requantisation(bias=bias, multiplier=multiplier, shift=shifts), bias=bias - 1)
    check_sums("layer", layer, weight, below)
    with pytest.raises(UnsupportedLayerError) as refused:
        check_sums("layer", layer, weight, replace(below, bias=bias))
    assert str(refused.value) == (
        f"layer.shift[5]: must be at most {most} where sums reach 16777216, got {shift} for sums of up to 16777216"
    )
    check_sums("layer", layer, weight, replace(below, bias=bias, shift=shifts * 0 + most))
    check_sums("layer", layer, weight, replace(below, bias=bias, multiplier=multiplier * 0))


@pytest.mark.parametrize("operation", list(Operation))
def test_the_bound_of_sums_is_the_greatest_that_an_input_makes(operation: Operation) -> None:
    rng = np.random.default_rng(3)
    size = 1 if operation is Operation.SCALE else 2
    layer = EngineLayer(
        operation=operation, in_channels=2, in_height=1, in_width=size, out_channels=2, kernel=(1, size)
    )
    shape = (2, 2 if operation.is_dense else 1, 1, size)
    weight = rng.integers(-127, 128, shape).astype(np.int8) if operation.has_weights else None
    # Sums are linear in each value, so that the extreme ones are made of extreme values.
    extremes = np.array(list(product((-128, 127), repeat=2 * size + 2)), np.int8)
    maps, gates = extremes[:, : 2 * size].reshape(-1, 2, 1, size), extremes[:, 2 * size :]
    nothing = np.zeros(0, np.int64)
    data = EngineData(weight=weight, bias=nothing, multiplier=nothing, code=nothing, table=IDENTITY)
    sums = engine_sums(layer, data, maps, gates if operation.reads_gate else None)[:, 0]
    for bias, greatest in ((2**24, sums.max() + 2**24), (-(2**24) - 1, 2**24 + 1 - sums.min())):
        one = Requantisation(bias=np.array([bias, 0]), multiplier=np.array([2**15, 0]), shift=np.array([40, 40]))
        with pytest.raises(UnsupportedLayerError, match=rf"^layer.shift\[0\]: .* for sums of up to {greatest}$"):
            check_sums("layer", layer, weight, one)


def test_sums_that_leave_32_bits_are_refused() -> None:
    layer = replace(LAYER, in_channels=2047, kernel=(11, 11), in_height=11, in_width=11, out_channels=1)
    weight = np.full((1, 2047, 11, 11), -127, np.int8)
    zeros = Requantisation(bias=np.array([0]), multiplier=np.array([0]), shift=np.array([12]))
    with pytest.raises(UnsupportedLayerError) as refused:
        check_sums("layer", layer, weight, zeros)
    assert str(refused.value) == (
        f"layer.weight[0]: sums must stay below 2147483648, with the bias and without, got {127 * 128 * 2047 * 121}"
    )
    weight[:, 500:] = 0
    check_sums("layer", layer, weight, zeros)
    with pytest.raises(UnsupportedLayerError, match=r"^layer.weight\[0\]: sums must stay below 2147483648"):
        check_sums("layer", layer, weight, replace(zeros, bias=np.array([2**31 - 127 * 128 * 500 * 121])))


@pytest.mark.parametrize("size", [(1, 4), (4, 1), (1, 1), (3, 1), (5, 4)])
def test_a_pool_that_hangs_over_a_single_row_or_column_averages_what_is_inside(size: tuple[int, int]) -> None:
    layer = Layer(
        operation=Operation.POOL,
        in_channels=3,
        out_channels=3,
        in_height=size[0],
        in_width=size[1],
        kernel_height=2,
        kernel_width=2,
        stride=2,
    )
    quantised = QuantisedLayer(
        node=Node(name="pool", layer=layer, ifmap=IMAGE),
        weight=None,
        bias=np.zeros(3, np.int32),
        multiplier=np.full(3, 2**15, np.int32),
        shift=np.full(3, 17, np.int32),
        table=IDENTITY,
        residual_multiplier=0,
        residual_shift=1,
    )
    network = QuantisedNetwork(layers=(quantised,), input_scale=1.0, output_scale=1.0)
    mapping = Mapping(
        tile_out_channels=16, tile_in_channels=16, tile_height=1, tile_width=1, loop_order=LoopOrder.PIXELS_OUTER
    )
    images = np.random.default_rng(1).integers(-128, 128, (2, 3, *size)).astype(np.int8)
    node = engine_node(quantised, mapping, SHAPE)
    check_tiles(node)
    assert np.array_equal(run_engine(network.workload, [node], images), run_integer(network, images))
