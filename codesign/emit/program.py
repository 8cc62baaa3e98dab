"""A quantised network compiled for one accelerator: descriptors, weights and a memory layout.

The engine addresses one arena of memory in words of an AXI port's width. The first part is the program: descriptors,
channel parameters, activation tables and weights. Behind it lie the counters, the image and every layer's map.
"""

from collections.abc import Sequence

import numpy as np

from codesign.emit.quantise import QuantisedLayer, QuantisedNetwork
from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.mapping.mapping import Mapping
from cost_models.mapping.placement import check_groups, map_halves
from cost_models.workload import IMAGE, Layer, Shape
from hw_templates.conv_engine import isa
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.program import Program
from hw_templates.foundation.arrays import Int8Array
from hw_templates.foundation.errors import InvalidValueError, UnsupportedLayerError

_SHAPE_FIELDS = (
    *("in_height", "in_width", "in_channels", "out_height", "out_width", "out_channels"),
    *("kernel_height", "kernel_width", "stride", "padding"),
)


def map_words(channels: int, height: int, width: int, accelerator: Accelerator) -> int:
    """Return the words of a feature map: each pixel takes whole words of channels."""
    return int(height * width * -(-channels // accelerator.axi_bytes))


def pack_map(images: Int8Array, accelerator: Accelerator) -> Int8Array:
    """Return maps [n, C, H, W] as they lie in memory, [n, bytes]: pixel by pixel, channels zero-padded to words."""
    count, channels, height, width = images.shape
    word = accelerator.axi_bytes
    padded = np.zeros((count, height, width, -(-channels // word) * word), dtype=np.int8)
    padded[..., :channels] = images.transpose(0, 2, 3, 1)
    return padded.reshape(count, -1)


def pack_weights(layer: Layer, weights: Int8Array, mapping: Mapping, accelerator: Accelerator) -> Int8Array:
    """Return weights as the engine fetches them, tile after tile, padded with zeros; shape [bytes].

    A dense tile is ordered [PE row group, PE column group, kernel row, kernel column, PE row, PE column], a depthwise
    tile [lane group, kernel row, kernel column, lane]; each begins with a word of the weight port. Weights of 4 bits
    lie two to a byte, the first in its lower half.
    """
    rows, cols, tile_inputs = accelerator.depthwise_lanes, 1, 1
    if layer.operation.is_dense:
        rows, cols, tile_inputs = accelerator.pe_rows, accelerator.pe_cols, mapping.tile_in_channels
    outputs, inputs, *kernel = weights.shape
    row_groups, col_groups = -(-outputs // rows), -(-inputs // cols)
    padded = np.zeros((row_groups * rows, col_groups * cols, *kernel), dtype=np.int8)
    padded[:outputs, :inputs] = weights
    ordered = padded.reshape(row_groups, rows, col_groups, cols, *kernel).transpose(0, 2, 4, 5, 1, 3)
    row_step, col_step = mapping.tile_out_channels // rows, tile_inputs // cols
    tiles = [
        ordered[row : row + row_step, col : col + col_step].reshape(-1)
        for row in range(0, row_groups, row_step)
        for col in range(0, col_groups, col_step)
    ]
    packed = tiles if layer.weight_bits == 8 else [_halves(tile) for tile in tiles]
    return np.concatenate([_pad_to(tile, accelerator.weight_port_bytes) for tile in packed])


def _halves(weights: Int8Array) -> Int8Array:
    """Return weights in -8..7, two to a byte."""
    pairs = _pad_to(weights, 2).reshape(-1, 2)
    return pairs[:, 0] & 15 | pairs[:, 1] << 4


def pack_parameters(layer: QuantisedLayer, accelerator: Accelerator) -> Int8Array:
    """Return bias, multiplier and shift of each channel, padded to whole words of channels; shape [bytes]."""
    word = accelerator.axi_bytes
    records = np.zeros(-(-layer.node.layer.out_channels // word) * word, dtype=isa.CHANNEL_PARAMETERS)
    records["shift"] = 1  # of padding channels: the engine's rounding needs at least one
    for name in ("bias", "multiplier", "shift"):
        records[name][: layer.node.layer.out_channels] = getattr(layer, name)
    return records.view(np.int8)


def compile_program(network: QuantisedNetwork, mapped: Sequence[MappedLayer], accelerator: Accelerator) -> Program:
    """Compile a network, whose layers are mapped as given, for an accelerator; raises as :func:`compile_layers`."""
    return compile_layers(network.layers, {IMAGE: network.layers[0].node.layer.in_shape}, mapped, accelerator)


def compile_layers(
    layers: Sequence[QuantisedLayer],
    given: dict[str, Shape],
    mapped: Sequence[MappedLayer],
    accelerator: Accelerator,
) -> Program:
    """Compile layers that read each other's maps and those ``given``, which together are the program's image.

    The given maps lie one behind the other, each from where the weight port can read it.

    Raises:
        UnsupportedLayerError: a layer has more channels than the engine's parameter memory.
        InvalidValueError: ``mapped`` are not these layers, or placements that do not go together.
        MappingError: a tile or a map does not fit the accelerator's buffers.
    """
    _check_layers(layers, mapped, accelerator)
    nodes, placements = [quantised.node for quantised in layers], [ran.placement for ran in mapped]
    check_groups(nodes, placements)
    halves = map_halves(nodes, placements)

    word = accelerator.axi_bytes
    descriptors = np.zeros(len(layers), dtype=isa.DESCRIPTOR)
    blocks: list[Int8Array] = []
    end = descriptors.nbytes // word

    def place(content: Int8Array) -> int:
        nonlocal end
        blocks.append(content)
        start, end = end, end + content.nbytes // word
        return start

    for record, quantised, ran in zip(descriptors, layers, mapped, strict=True):
        record["parameter_word"] = place(pack_parameters(quantised, accelerator))
        record["table_word"] = place(quantised.table)
        if quantised.weight is not None:
            record["weight_word"] = place(pack_weights(ran.layer, quantised.weight, ran.mapping, accelerator))

    counter_word = end
    end = counter_word + len(layers) * isa.COUNTERS.itemsize // word
    maps: dict[str, int] = {}

    def place_map(name: str, shape: Shape) -> None:
        nonlocal end
        # The weight port reads gates, which are maps.
        maps[name] = aligned(end, accelerator.weight_port_words)
        end = maps[name] + map_words(*shape, accelerator)

    for name, shape in given.items():
        place_map(name, shape)
    image_word = min(maps.values())
    image_words = end - image_word
    for index, (record, quantised, ran) in enumerate(zip(descriptors, layers, mapped, strict=True)):
        place_map(quantised.node.name, ran.layer.out_shape)
        record["counter_word"] = counter_word + index * isa.COUNTERS.itemsize // word
        _describe(record, quantised, ran.mapping, maps)
        for name in ("ifmap_ring", "ofmap_ring", "group_layers"):
            record[name] = getattr(ran.placement, name)
        record["map_half"] = halves[index]
        if ran.placement.group_layers:
            first_band = placements[index + ran.placement.group_layers - 1].bands[0]
            record["band_height"] = first_band[1] - first_band[0]

    return Program(
        arena=b"".join([descriptors.tobytes(), *(block.tobytes() for block in blocks)]),
        axi_bytes=word,
        arena_words=end,
        program_word=0,
        layer_count=len(layers),
        image_word=image_word,
        image_words=image_words,
        logits_word=maps[layers[-1].node.name],
        logits_count=layers[-1].node.layer.out_channels,
        counter_word=counter_word,
    )


def _check_layers(layers: Sequence[QuantisedLayer], mapped: Sequence[MappedLayer], accelerator: Accelerator) -> None:
    """Check what :func:`compile_layers` says of each layer for itself."""
    if [quantised.node.layer for quantised in layers] != [ran.layer for ran in mapped]:
        raise InvalidValueError("mapped", len(mapped), f"one for each of the {len(layers)} layers, of the same shape")
    for quantised, ran in zip(layers, mapped, strict=True):
        if ran.layer.out_channels > isa.MAX_CHANNELS:
            raise UnsupportedLayerError(
                f"{quantised.node.name}.out_channels: the engine has at most {isa.MAX_CHANNELS}, "
                f"got {ran.layer.out_channels}"
            )
        ran.check(accelerator)


def _describe(record: np.void, quantised: QuantisedLayer, mapping: Mapping, maps: dict[str, int]) -> None:
    """Fill a descriptor's shape, tiling and places."""
    node, layer = quantised.node, quantised.node.layer
    for name in _SHAPE_FIELDS:
        record[name] = getattr(layer, name)
    for name in ("tile_out_channels", "tile_in_channels", "tile_height", "tile_width"):
        record[name] = getattr(mapping, name)
    record["operation"] = layer.operation.code
    record["four_bit_weights"] = layer.weight_bits == 4
    record["loop_order"] = isa.LoopOrderCode[mapping.loop_order.name]
    record["ifmap_word"] = maps[node.ifmap]
    record["ofmap_word"] = maps[node.name]
    if node.gate is not None:
        record["weight_word"] = maps[node.gate]
    if node.residual is not None:
        code = isa.ResidualCode
        record["residual"] = code.AFTER_ACTIVATION if node.adds_last else code.BEFORE_ACTIVATION
        record["residual_word"] = maps[node.residual]
        record["residual_multiplier"] = quantised.residual_multiplier
        record["residual_shift"] = quantised.residual_shift


def aligned(place: int, words: int) -> int:
    """Return the first multiple of ``words`` from ``place`` on."""
    return -(-place // words) * words


def _pad_to(content: Int8Array, multiple: int) -> Int8Array:
    """Return ``content`` with zeros up to a multiple of ``multiple`` bytes."""
    return np.pad(content, (0, -len(content) % multiple))
