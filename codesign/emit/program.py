"""A quantised network compiled for one accelerator: descriptors, weights and a memory layout.

The engine addresses one arena of memory in words of an AXI port's width. The first part is the program: descriptors,
channel parameters, activation tables and weights. Behind it lie the counters, the image and every layer's map.
"""

import math
from collections.abc import Sequence

import numpy as np

from codesign.emit.integer_reference import QuantisedLayer, QuantisedNetwork
from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.mapping.mapping import Mapping
from cost_models.mapping.placement import check_groups, map_halves
from cost_models.workload import IMAGE, Layer, Shape
from hw_templates.conv_engine import isa
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.program import Program
from hw_templates.foundation.arrays import Int8Array
from hw_templates.foundation.errors import InvalidValueError, UnsupportedLayerError


def map_words(channels: int, height: int, width: int, accelerator: Accelerator) -> int:
    """Return the words of a feature map: each pixel takes whole words of channels."""
    return height * width * math.ceil(channels / accelerator.axi_bytes)


def pack_map(images: Int8Array, accelerator: Accelerator) -> Int8Array:
    """Return maps [n, C, H, W] as they lie in memory, [n, bytes]: pixel by pixel, channels zero-padded to words."""
    padding = -images.shape[1] % accelerator.axi_bytes
    pixels = np.pad(images.transpose(0, 2, 3, 1), ((0, 0), (0, 0), (0, 0), (0, padding)))
    return pixels.reshape(len(images), -1)


def pack_weights(layer: Layer, weights: Int8Array, mapping: Mapping, accelerator: Accelerator) -> Int8Array:
    """Return weights as the engine fetches them, tile after tile, padded with zeros; shape [bytes].

    A dense tile is ordered [PE row group, PE column group, kernel row, kernel column, PE row, PE column], a depthwise
    tile [lane group, kernel row, kernel column, lane]; each begins with a word of the weight port. Weights of 4 bits
    lie two to a byte, the first in its lower half.
    """
    rows, cols, tile_inputs = accelerator.lanes, 1, 1
    if layer.operation.is_dense:
        rows, cols, tile_inputs = accelerator.pe_rows, accelerator.pe_cols, mapping.tile_in_channels
    outputs, inputs, *kernel = weights.shape
    padded = np.pad(weights, ((0, -outputs % rows), (0, -inputs % cols), (0, 0), (0, 0)))
    ordered = padded.reshape(-1, rows, padded.shape[1] // cols, cols, *kernel).transpose(0, 2, 4, 5, 1, 3)
    row_step, col_step = mapping.tile_out_channels // rows, tile_inputs // cols
    tiles = []
    for row in range(0, len(ordered), row_step):
        for col in range(0, ordered.shape[1], col_step):
            tile = ordered[row : row + row_step, col : col + col_step].reshape(-1)
            if layer.weight_bits == 4:
                pairs = padded_to(2, tile).reshape(-1, 2)
                tile = pairs[:, 0] & 15 | pairs[:, 1] << 4
            tiles.append(padded_to(accelerator.weight_port_bytes, tile))
    return np.concatenate(tiles)


def pack_parameters(layer: QuantisedLayer, accelerator: Accelerator) -> Int8Array:
    """Return bias, multiplier and shift of each channel, padded to whole words of channels; shape [bytes]."""
    channels = len(layer.bias)
    records = np.zeros(aligned(channels, accelerator.axi_bytes), dtype=isa.CHANNEL_PARAMETERS)
    records["shift"] = 1  # of padding channels: the engine's rounding needs at least one
    for name in ("bias", "multiplier", "shift"):
        records[name][:channels] = getattr(layer, name)
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
    word = accelerator.axi_bytes
    descriptors = np.zeros(len(layers), dtype=isa.DESCRIPTOR)
    descriptors["map_half"] = map_halves(nodes, placements)
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

    counter_word, counter_words = end, isa.COUNTERS.itemsize // word
    descriptors["counter_word"] = counter_word + counter_words * np.arange(len(layers))
    end += counter_words * len(layers)
    maps: dict[str, range] = {}
    for name, shape in (given | {node.name: node.layer.out_shape for node in nodes}).items():
        # The weight port reads gates, which are maps.
        first = aligned(end, accelerator.weight_port_words)
        end = first + map_words(*shape, accelerator)
        maps[name] = range(first, end)
    image = [maps[name] for name in given]
    for index, (record, quantised, ran) in enumerate(zip(descriptors, layers, mapped, strict=True)):
        _describe(record, quantised, ran, maps)
        if ran.placement.group_layers:
            first_row, end_row = placements[index + ran.placement.group_layers - 1].bands[0]
            record["band_height"] = end_row - first_row

    return Program(
        arena=b"".join([descriptors.tobytes(), *(block.tobytes() for block in blocks)]),
        axi_bytes=word,
        arena_words=end,
        program_word=0,
        layer_count=len(layers),
        image_word=image[0].start,
        image_words=image[-1].stop - image[0].start,
        logits_word=maps[nodes[-1].name].start,
        logits_count=nodes[-1].layer.out_channels,
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


def _describe(record: np.void, quantised: QuantisedLayer, ran: MappedLayer, maps: dict[str, range]) -> None:
    """Fill a descriptor's shape, tiling, rings and places; most fields have the name of what they hold."""
    node, layer = quantised.node, ran.layer
    values = {
        **vars(layer),
        **vars(ran.mapping),
        **vars(ran.placement),
        "out_height": layer.out_height,
        "out_width": layer.out_width,
        "operation": layer.operation.code,
        "four_bit_weights": layer.weight_bits == 4,
        "loop_order": isa.LoopOrderCode[ran.mapping.loop_order.name],
        "ifmap_word": maps[node.ifmap].start,
        "ofmap_word": maps[node.name].start,
    }
    if node.gate is not None:
        values["weight_word"] = maps[node.gate].start
    if node.residual is not None:
        code = isa.ResidualCode
        values["residual"] = code.AFTER_ACTIVATION if node.adds_last else code.BEFORE_ACTIVATION
        values["residual_word"] = maps[node.residual].start
        values["residual_multiplier"] = quantised.residual_multiplier
        values["residual_shift"] = quantised.residual_shift
    for name in values.keys() & isa.FIELDS:
        record[name] = values[name]


def aligned(place: int, words: int) -> int:
    """Return the first multiple of ``words`` from ``place`` on."""
    return -(-place // words) * words


def padded_to(multiple: int, content: Int8Array) -> Int8Array:
    """Return ``content`` with zeros up to a multiple of ``multiple`` bytes."""
    return np.pad(content, (0, -len(content) % multiple))
