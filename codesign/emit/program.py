"""Networks and other layers compiled into programs of version 5 of the format, which the engine runs."""

import math
from collections.abc import Mapping as Names
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from codesign.emit.descriptor import describe, pack_weights
from codesign.emit.engine_reference import EngineData, EngineNode
from codesign.emit.integer_reference import QuantisedLayer
from codesign.emit.limits import Requantisation, check_fields_fit, check_program, check_sums, check_tiles
from codesign.emit.overlap import overlapped
from codesign.emit.plan import PlannedStep, plan_steps
from cost_models.engine.layer import EngineLayer, engine_layer
from cost_models.engine.places import MapPlace, Places, ProgramStep, Ring
from cost_models.engine.tiles import TiledLayer, round_up
from cost_models.mapping.mapping import Mapping
from cost_models.mapping.placement import IN_MEMORY, Placement
from cost_models.workload import Shape
from hw_templates.conv_engine import isa
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.engine_shape import EngineShape
from hw_templates.conv_engine.program import Program
from hw_templates.foundation.arrays import Int8Array, IntArray
from hw_templates.foundation.errors import InvalidValueError, UnsupportedLayerError

CODE_MAX = 31
"""Shifts are 12 to 43: a code of 5 bits above 12."""
RESIDUAL_MAX = 2**24 - 1


def engine_node(
    quantised: QuantisedLayer, mapping: Mapping, shape: EngineShape, placement: Placement = IN_MEMORY
) -> EngineNode:
    """Return a quantised layer in its tiles, and where its maps stay, as the engine runs it.

    Raises:
        UnsupportedLayerError: a weight is the least of its bits, a factor is 16 or more, an average pool has a bias or
            channels that differ, the scale of a map that is added does not fit 24 bits, or sums are as in
            :func:`codesign.emit.limits.check_sums`.
    """
    node = quantised.node
    residual = 0 if node.residual is None else 2 if node.adds_last else 1
    layer = engine_layer(node.layer, residual)
    multiplier, shift = quantised.multiplier.astype(np.int64), quantised.shift.astype(np.int64)
    least = 1 - (1 << (layer.weight_bits - 1))
    if quantised.weight is not None and quantised.weight.min() < least:
        raise UnsupportedLayerError(f"{node.name}.weight: must be at least {least}, got {quantised.weight.min()}")
    edges = (0, 0, 0, 0)
    bias: IntArray = quantised.bias.astype(np.int64)
    check_sums(node.name, layer, quantised.weight, Requantisation(bias=bias, multiplier=multiplier, shift=shift))
    vanishing = (multiplier == 0) | (shift > CODE_MAX + 12)
    multiplier, shift = np.where(vanishing, 0, multiplier), np.where(vanishing, CODE_MAX + 12, shift)
    if layer.operation.averages:
        if bias.any() or len({*zip(multiplier, shift, strict=True)}) > 1:
            raise UnsupportedLayerError(
                f"{node.name}: an average pool has no bias, and one multiplier for all channels"
            )
        # The last row and column of windows may lie half outside the map: then half as many values are averaged.
        halvings = [_halvings(layer, axis) for axis in (0, 1)]
        edges = (0, len(halvings[0]) - 1, 0, len(halvings[1]) - 1)
        halved = np.add.outer(*halvings)
        shift, multiplier = shift[0] - halved, np.full_like(halved, multiplier[0])
        bias = np.zeros_like(halved)
    if (shift < 12).any():
        raise UnsupportedLayerError(f"{node.name}.multiplier: the engine's shifts are at least 12, got {shift.min()}")
    added = 0
    if node.residual is not None:
        added = math.floor(quantised.residual_multiplier * 2.0 ** (16 - quantised.residual_shift) + 0.5)
        if added > RESIDUAL_MAX:
            raise UnsupportedLayerError(
                f"{node.name}.residual_multiplier: the engine has at most {RESIDUAL_MAX} of 2^16, got {added}"
            )
    return EngineNode(
        name=node.name,
        tiled=TiledLayer(layer=layer, mapping=mapping, shape=shape),
        data=EngineData(
            weight=quantised.weight,
            bias=bias,
            multiplier=multiplier,
            code=shift - 12,
            table=quantised.table,
            edges=edges,
            residual_multiplier=added,
        ),
        ifmap=node.ifmap,
        gate=node.gate,
        residual=node.residual,
        placement=placement,
    )


def _halvings(layer: EngineLayer, axis: int) -> IntArray:
    """Return by how many halves the windows of each class of rows (columns) lie outside the map."""
    if not layer.operation.overhangs:
        return np.zeros(1, np.int64)
    hangs = (layer.out_size(axis) - 1) * layer.stride[axis] + layer.kernel[axis] > layer.in_size(axis)
    # A single row of windows is in the middle, which is a class of its own: at the edge there is none.
    return np.arange(2 if hangs and layer.out_size(axis) > 1 else 1) + (hangs and layer.out_size(axis) == 1)


@dataclass(frozen=True, kw_only=True)
class _Content:
    """Where what all steps of a layer share lies, in memory words, and the descriptor's field of its border classes."""

    weight_word: int
    parameter_word: int
    table_word: int
    edges: int


@dataclass(frozen=True, kw_only=True)
class CompiledProgram:
    """A program in memory, and the steps that its descriptors say."""

    program: Program
    steps: tuple[ProgramStep, ...]


def compile_program(nodes: Sequence[EngineNode], given: Names[str, Shape], shape: EngineShape) -> CompiledProgram:
    """Compile layers that read each other's maps and those given, which together are the program's image.

    Layers run in steps: bands of a group one after the other, and in each its layers. Maps that stay on chip take no
    room in memory.

    Raises:
        UnsupportedLayerError: a layer needs more than a field of the format, or than the engine, holds.
        InvalidValueError: rings, groups or bands do not go together, or the last map stays on chip.
        MappingError: a tile or a ring does not fit its memory, a row is not there when it is read, or a tile breaks a
            rule of the format.
    """
    word, port_bytes = shape.accelerator.axi_bytes, shape.accelerator.weight_port_bytes
    for node in nodes:
        check_tiles(node)
    if nodes[-1].placement.ofmap_ring:
        raise InvalidValueError(
            f"{nodes[-1].name}.ofmap_ring", nodes[-1].placement.ofmap_ring, "0 for the last layer of a program"
        )
    planned = plan_steps(nodes, given)
    content = bytearray(len(planned) * isa.DESCRIPTOR_BYTES)

    def place(part: bytes) -> int:
        content.extend(bytes(-len(content) % port_bytes))
        begin = len(content) // word
        content.extend(part + bytes(-len(part) % port_bytes))
        return begin

    contents = []
    for node in nodes:
        data = node.data
        requantisation = Requantisation(bias=data.bias, multiplier=data.multiplier, shift=data.code + 12)
        check_sums(node.name, node.tiled.layer, data.weight, requantisation)
        weights = b"" if data.weight is None else pack_weights(node.tiled, data.weight).tobytes()
        parameters, edges = pack_parameters(node, shape)
        contents.append(
            _Content(
                weight_word=place(weights),
                parameter_word=place(parameters.tobytes()),
                table_word=place(data.table.tobytes()),
                edges=edges,
            )
        )
    counter_word = place(bytes(len(planned) * isa.COUNTERS.itemsize))
    image_word = len(content) // word
    maps, image_words, end = _place_maps(nodes, given, image_word, shape)
    check_program(len(planned), end)
    placed: list[ProgramStep] = []
    for index, each in enumerate(planned):
        shared = contents[each.layer]
        placed.append(
            ProgramStep(
                layer=each.layer,
                tiled=each.tiled,
                places=_places(each, shared, maps, counter_word + index * isa.COUNTERS.itemsize // word),
                descriptor_word=index * isa.DESCRIPTOR_BYTES // word,
                edges=shared.edges,
            )
        )
    steps, records = overlapped(planned, placed), []
    for step in steps:
        node = nodes[step.layer]
        records.append(describe(step, node.data.residual_multiplier))
        check_fields_fit(node.name, records[-1], shape)
    content[: len(planned) * isa.DESCRIPTOR_BYTES] = np.array(records, isa.DESCRIPTOR).tobytes()
    program = Program(
        arena=bytes(content),
        axi_bytes=word,
        arena_words=end,
        program_word=0,
        layer_count=len(planned),
        image_word=image_word,
        image_words=image_words,
        logits_word=maps[nodes[-1].name].word,
        logits_count=nodes[-1].tiled.layer.out_channels,
        counter_word=counter_word,
    )
    return CompiledProgram(program=program, steps=steps)


def _place_maps(
    nodes: Sequence[EngineNode], given: Names[str, Shape], image_word: int, shape: EngineShape
) -> tuple[dict[str, MapPlace], int, int]:
    """Return the place of each map in memory, the words of the image, and the word behind the last map.

    Each map begins where the weight port can read it; the last one that is given ends the image.
    """
    word, port_words = shape.accelerator.axi_bytes, shape.accelerator.weight_port_words
    maps: dict[str, MapPlace] = {}
    end, image_words = image_word, 0
    for name, (channels, height, width) in given.items():
        maps[name] = MapPlace(word=end, pixel_words=math.ceil(channels / word))
        image_words = end + height * width * maps[name].pixel_words - image_word
        end = image_word + round_up(image_words, port_words)
    for node in nodes:
        layer = node.tiled.layer
        if not node.placement.ofmap_ring:
            maps[node.name] = MapPlace(word=end, pixel_words=math.ceil(layer.out_channels / word))
            end += round_up(layer.out_height * layer.out_width * maps[node.name].pixel_words, port_words)
    return maps, image_words, end


def _places(step: PlannedStep, content: _Content, maps: Names[str, MapPlace], counter_word: int) -> Places:
    """Return the places of everything of a step; those of maps are where its rows begin."""
    node, layer, placement = step.node, step.node.tiled.layer, step.node.placement
    first_read, first_made = step.rows_read[0], step.rows[0]
    inputs, results = (layer.in_channels, layer.in_width), (layer.out_channels, layer.out_width)
    return Places(
        ifmap=_ring_place(step.tiled.shape, step.half, placement.ifmap_ring, first_read, inputs)
        if placement.ifmap_ring
        else _rows_place(maps[node.ifmap], first_read, layer.in_width),
        ofmap=_ring_place(step.tiled.shape, 1 - step.half, placement.ofmap_ring, first_made, results)
        if placement.ofmap_ring
        else _rows_place(maps[node.name], first_made, layer.out_width),
        residual=None if node.residual is None else _rows_place(maps[node.residual], first_made, layer.out_width),
        weight_word=content.weight_word if node.gate is None else maps[node.gate].word,
        parameter_word=content.parameter_word,
        table_word=content.table_word,
        counter_word=counter_word,
    )


def _rows_place(place: MapPlace, row: int, width: int) -> MapPlace:
    """Return where a row of a map in memory begins, of which each has ``width`` pixels."""
    return replace(place, word=place.word + row * width * place.pixel_words)


def _ring_place(shape: EngineShape, half: int, ring: int, row: int, size: tuple[int, int]) -> MapPlace:
    """Return where a row of a map on chip begins.

    Args:
        shape: the engine.
        half: half of the map memory, which begins with the map's ring.
        ring: rows that stay there.
        row: of the map.
        size: the map's channels and columns.
    """
    accelerator, (channels, width) = shape.accelerator, size
    pixel_lines = math.ceil(math.ceil(channels / accelerator.axi_bytes) / accelerator.map_banks)
    begin, row_lines = half * accelerator.map_depth, width * pixel_lines
    return MapPlace(
        word=begin + row % ring * row_lines,
        pixel_words=pixel_lines,
        ring=Ring(lines=ring * row_lines, end=begin + ring * row_lines),
    )


def pack_map(images: Int8Array, accelerator: Accelerator) -> Int8Array:
    """Return maps [n, C, H, W] as they lie in memory, [n, bytes]: pixel by pixel, channels zero-padded to words."""
    padding = -images.shape[1] % accelerator.axi_bytes
    pixels = np.pad(images.transpose(0, 2, 3, 1), ((0, 0), (0, 0), (0, 0), (0, padding)))
    return pixels.reshape(len(images), -1)


def pack_parameters(node: EngineNode, shape: EngineShape) -> tuple[Int8Array, int]:
    """Return the parameters as they lie in memory, [bytes], and the descriptor's field ``edges``.

    A channel's lie in the order of channels; those of a border class fill a line for all channels, see
    :meth:`cost_models.engine.tiles.TiledLayer.parameter_lines`.
    """
    data, lanes = node.data, shape.accelerator.post_lanes
    records = np.zeros(node.tiled.parameter_lines(data.edges_field) * lanes, isa.PARAMETERS)
    for name in ("bias", "multiplier", "code"):
        values = getattr(data, name)
        if values.ndim == 2:
            rows, columns = values.shape
            records[name].reshape(rows, -1, lanes)[:, :columns] = values[..., None]
        else:
            records[name][: len(values)] = values
    return records.view(np.int8), data.edges_field
