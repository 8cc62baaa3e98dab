import itertools
from dataclasses import replace

import numpy as np
import pytest
from support.networks.random_networks import (
    network_of_blocks,
    network_of_every_operation,
    random_mapped_layers,
    random_placements,
)

from codesign.emit.integer_reference import QuantisedLayer, QuantisedNetwork
from codesign.emit.program import compile_program, pack_map, pack_parameters, pack_weights
from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.mapping.mapping import LoopOrder, Mapping
from cost_models.mapping.placement import IN_MEMORY, Placement
from cost_models.workload import IMAGE, Layer, Node, Operation
from hw_templates.conv_engine import isa
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.errors import InvalidValueError, MappingError, UnsupportedLayerError

ACCELERATOR = Accelerator(
    pe_rows=8,
    pe_cols=16,
    pe_pixels=2,
    pack=1,
    ifmap_kib=16,
    weight_kib=16,
    ofmap_kib=16,
    axi_bits=64,
    clock_mhz=100,
)


def test_maps_lie_pixel_by_pixel_in_whole_words() -> None:
    images = np.arange(2 * 3 * 2 * 2, dtype=np.int8).reshape(2, 3, 2, 2)
    packed = pack_map(images, ACCELERATOR).reshape(2, 2, 2, 8)
    for n, c, h, w in np.ndindex(images.shape):
        assert packed[n, h, w, c] == images[n, c, h, w]
    assert not packed[..., 3:].any()


def test_dense_weights_are_found_where_the_array_looks_for_them() -> None:
    layer = Layer(
        operation=Operation.CONV,
        in_channels=40,
        out_channels=20,
        in_height=6,
        in_width=6,
        kernel_height=3,
        kernel_width=3,
        stride=1,
        padding=1,
    )
    weights = np.random.default_rng(0).integers(-127, 128, (20, 40, 3, 3)).astype(np.int8)
    mapping = Mapping(
        tile_out_channels=16, tile_in_channels=32, tile_height=6, tile_width=6, loop_order=LoopOrder.PIXELS_OUTER
    )
    packed = pack_weights(layer, weights, mapping, ACCELERATOR)
    assert packed.size == 24 * 48 * 9
    start = 0
    for first_out, outs in ((0, 16), (16, 4)):
        for first_in, ins in ((0, 32), (32, 8)):
            row_groups, col_groups = -(-outs // 8), -(-ins // 16)
            size = row_groups * col_groups * 9 * 8 * 16
            tile = packed[start : start + size].reshape(row_groups, col_groups, 3, 3, 8, 16)
            start += size
            for m in range(outs):
                for n in range(ins):
                    expected = weights[first_out + m, first_in + n]
                    np.testing.assert_array_equal(tile[m // 8, n // 16, :, :, m % 8, n % 16], expected)
    assert start == packed.size
    assert np.abs(packed.astype(int)).sum() == np.abs(weights.astype(int)).sum()


def test_depthwise_weights_are_grouped_by_lanes() -> None:
    layer = Layer(
        operation=Operation.DEPTHWISE,
        in_channels=10,
        out_channels=10,
        in_height=6,
        in_width=6,
        kernel_height=5,
        kernel_width=5,
        stride=1,
        padding=2,
    )
    weights = np.random.default_rng(1).integers(-127, 128, (10, 1, 5, 5)).astype(np.int8)
    packed = pack_weights(
        layer,
        weights,
        Mapping(
            tile_out_channels=16, tile_in_channels=16, tile_height=6, tile_width=6, loop_order=LoopOrder.CHANNELS_OUTER
        ),
        ACCELERATOR,
    )
    assert packed.size % 8 == 0
    groups = packed[: 3 * 25 * 4].reshape(3, 5, 5, 4)
    for c in range(10):
        np.testing.assert_array_equal(groups[c // 4, :, :, c % 4], weights[c, 0])


def test_weights_of_four_bits_lie_two_to_a_byte_in_the_same_order() -> None:
    wide = Layer(
        operation=Operation.CONV,
        in_channels=40,
        out_channels=20,
        in_height=6,
        in_width=6,
        kernel_height=3,
        kernel_width=3,
        stride=1,
        padding=1,
    )
    weights = np.random.default_rng(2).integers(-8, 8, (20, 40, 3, 3)).astype(np.int8)
    mapping = Mapping(
        tile_out_channels=16, tile_in_channels=32, tile_height=6, tile_width=6, loop_order=LoopOrder.PIXELS_OUTER
    )
    bytes_ = pack_weights(wide, weights, mapping, ACCELERATOR).astype(int)
    halves = pack_weights(replace(wide, weight_bits=4), weights, mapping, ACCELERATOR).view(np.uint8)
    assert halves.size * 2 == bytes_.size
    np.testing.assert_array_equal(halves % 16, bytes_[::2] % 16)
    np.testing.assert_array_equal(halves // 16, bytes_[1::2] % 16)


def test_every_depthwise_tile_of_four_bits_begins_with_a_word() -> None:
    # 9 taps of 16 channels are 72 bytes, 9 words; of 8 channels 4.5.
    layer = Layer(
        operation=Operation.DEPTHWISE,
        in_channels=24,
        out_channels=24,
        in_height=6,
        in_width=6,
        kernel_height=3,
        kernel_width=3,
        stride=1,
        padding=1,
        weight_bits=4,
    )
    weights = np.random.default_rng(3).integers(-8, 8, (24, 1, 3, 3)).astype(np.int8)
    accelerator = replace(ACCELERATOR, pe_cols=8)
    packed = pack_weights(
        layer,
        weights,
        Mapping(
            tile_out_channels=8, tile_in_channels=8, tile_height=6, tile_width=6, loop_order=LoopOrder.CHANNELS_OUTER
        ),
        accelerator,
    )
    tiles = packed.view(np.uint8).reshape(3, 5, 8)
    assert not tiles[:, 4, 4:].any()
    for index, tile in enumerate(tiles.reshape(3, -1)):
        alone = np.stack([tile % 16, tile // 16], axis=1).reshape(-1)[: 2 * 9 * 4].reshape(2, 3, 3, 4)
        for c in range(8):
            np.testing.assert_array_equal(alone[c // 4, :, :, c % 4], weights[8 * index + c, 0] % 16)


def test_parameters_fill_whole_words_and_padding_cannot_shift_by_less_than_one() -> None:
    layer = network_of_every_operation(np.random.default_rng(2)).layers[0]
    records = pack_parameters(layer, ACCELERATOR).view(isa.CHANNEL_PARAMETERS)
    channels = layer.node.layer.out_channels
    assert len(records) % 8 == 0
    np.testing.assert_array_equal(records["bias"][:channels], layer.bias)
    np.testing.assert_array_equal(records["multiplier"][:channels], layer.multiplier)
    assert records["shift"].min() >= 1


def test_nothing_in_the_arena_overlaps() -> None:
    rng = np.random.default_rng(3)
    network = network_of_every_operation(rng)
    program = compile_program(network, random_mapped_layers(network, ACCELERATOR, rng), ACCELERATOR)
    records = np.frombuffer(program.arena, dtype=isa.DESCRIPTOR, count=program.layer_count)
    spans = [(0, len(program.arena) // 8), (program.counter_word, program.counter_word + 2 * len(records))]
    spans.append((program.image_word, program.image_word + program.image_words))
    for record in records:
        words = int(record["out_height"] * record["out_width"] * -(-record["out_channels"] // 8))
        spans.append((int(record["ofmap_word"]), int(record["ofmap_word"]) + words))
    spans.sort()
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
    assert spans[-1][1] == program.arena_words
    assert records[-1]["ofmap_word"] == program.logits_word


def test_a_layer_reads_what_its_producers_wrote() -> None:
    rng = np.random.default_rng(4)
    network = network_of_every_operation(rng)
    program = compile_program(network, random_mapped_layers(network, ACCELERATOR, rng), ACCELERATOR)
    records = np.frombuffer(program.arena, dtype=isa.DESCRIPTOR, count=program.layer_count)
    written = {IMAGE: program.image_word}
    for layer, record in zip(network.layers, records, strict=True):
        for role, producer in layer.node.reads:
            field = {"ifmap": "ifmap_word", "gate": "weight_word", "residual": "residual_word"}[role]
            assert record[field] == written[producer]
        written[layer.node.name] = record["ofmap_word"]
        assert record["four_bit_weights"] == (layer.node.layer.weight_bits == 4)
        assert record["residual"] == (layer.node.residual is not None) + layer.node.adds_last


def one_layer(channels: int) -> QuantisedNetwork:
    node = Node(
        name="wide",
        layer=Layer(operation=Operation.CONV, in_channels=1, out_channels=channels, in_height=1, in_width=1),
        ifmap=IMAGE,
    )
    integers = np.ones(channels, dtype=np.int32)
    weight = np.ones((channels, 1, 1, 1), dtype=np.int8)
    table = np.arange(-128, 128).astype(np.int8)
    layer = QuantisedLayer(
        node=node,
        weight=weight,
        bias=integers,
        multiplier=integers,
        shift=integers,
        table=table,
        residual_multiplier=0,
        residual_shift=1,
    )
    return QuantisedNetwork((layer,), 1.0, 1.0)


def test_what_the_engine_cannot_run_is_refused() -> None:
    mapping = Mapping(
        tile_out_channels=8, tile_in_channels=16, tile_height=1, tile_width=1, loop_order=LoopOrder.PIXELS_OUTER
    )
    layer = one_layer(2049).layers[0].node.layer
    for mapped in ([], [MappedLayer(layer, mapping)]):
        expected = rf"mapped: must be one for each of the 1 layers, of the same shape, got {len(mapped)}"
        with pytest.raises(InvalidValueError, match=expected):
            compile_program(one_layer(4), mapped, ACCELERATOR)
    with pytest.raises(UnsupportedLayerError, match=r"wide\.out_channels: the engine has at most 2048, got 2049"):
        compile_program(one_layer(2049), [MappedLayer(layer, mapping)], ACCELERATOR)
    with pytest.raises(MappingError, match="ofmap_kib"):
        compile_program(one_layer(2048), [MappedLayer(one_layer(2048).layers[0].node.layer, replace(mapping, tile_out_channels=2048))], Accelerator(pe_rows=8, pe_cols=16, pe_pixels=2, pack=1, ifmap_kib=16, weight_kib=32, ofmap_kib=2, axi_bits=64, clock_mhz=100))  # fmt: skip  # noqa: E501


def records(network: QuantisedNetwork, accelerator: Accelerator, placements: tuple[Placement, ...]) -> np.ndarray:
    rng = np.random.default_rng(0)
    program = compile_program(network, random_mapped_layers(network, accelerator, rng, placements), accelerator)
    return np.frombuffer(program.arena, dtype=isa.DESCRIPTOR, count=len(network.layers))


def test_layers_that_run_alone_leave_the_newer_fields_at_zero() -> None:
    network = network_of_blocks(np.random.default_rng(1))
    for record in records(network, ACCELERATOR, ()):
        assert all(
            record[name] == 0 for name in ("group_layers", "band_height", "ifmap_ring", "ofmap_ring", "map_half")
        )


def test_groups_and_rings_are_described_and_read_the_half_that_was_written() -> None:
    rng = np.random.default_rng(2)
    network, accelerator = network_of_blocks(rng), replace(ACCELERATOR, map_kib=64)
    placements = random_placements(network.workload, accelerator, rng)
    described = records(network, accelerator, placements)
    names = [layer.node.name for layer in network.layers]
    for place, (record, placement) in enumerate(zip(described, placements, strict=True)):
        assert (record["ifmap_ring"], record["ofmap_ring"]) == (placement.ifmap_ring, placement.ofmap_ring)
        assert record["group_layers"] == placement.group_layers
        if placement.group_layers:
            begin, end = placements[place + placement.group_layers - 1].bands[0]
            assert record["band_height"] == end - begin
        if placement.ifmap_ring:
            producer = described[names.index(network.layers[place].node.ifmap)]
            assert record["map_half"] == 1 - producer["map_half"]
    assert sum(placement.ofmap_ring > 0 for placement in placements) >= 3


def test_maps_that_do_not_stay_where_they_are_read_are_refused() -> None:
    network = network_of_blocks(np.random.default_rng(3))
    accelerator = replace(ACCELERATOR, map_kib=64)
    alone = [IN_MEMORY] * len(network.layers)
    rows = network.layers[1].node.layer.in_height
    with pytest.raises(InvalidValueError, match=r"ifmap_ring: must be 0 where .* is not"):
        records(network, accelerator, (alone[0], Placement(ifmap_ring=rows), *alone[2:]))
    with pytest.raises(MappingError, match=r"map_kib: .* stay on chip, which takes \d+ KiB; it has 0"):
        records(network, ACCELERATOR, (Placement(ofmap_ring=rows), Placement(ifmap_ring=rows), *alone[2:]))
