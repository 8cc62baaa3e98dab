"""What the descriptors of a program of format 4 tell the engine to do, and the check that it keeps to its own memory.

A program is checked before any of it is loaded.
"""

import math
from collections.abc import Iterator
from itertools import chain

import numpy as np
import numpy.typing as npt

from bitstreams.board.parts import (
    CONTENT,
    COUNTERS,
    IMAGE,
    LOGITS,
    MAPS,
    Access,
    Rule,
    access_rules,
    parts_of,
)
from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.mapping.mapping import LoopOrder, Mapping
from cost_models.mapping.placement import Placement, band_rows
from cost_models.workload import Layer, Operation
from hw_templates.conv_engine import isa
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.program import Program
from hw_templates.foundation.errors import CodesignError, InvalidValueError

_SHAPE = (
    *("in_channels", "out_channels", "in_height", "in_width"),
    *("kernel_height", "kernel_width", "stride", "padding"),
)
_TILE = ("tile_out_channels", "tile_in_channels", "tile_height", "tile_width")


def descriptor_layer(record: np.void) -> tuple[Layer, Mapping]:
    """Return the layer that a descriptor makes the engine compute, and its mapping.

    Raises:
        CodesignError, ValueError: no engine could run it.
    """
    values = dict(zip(isa.FIELDS, record.tolist(), strict=True))
    layer = Layer(
        operation=Operation.of_code(values["operation"]),
        residual=bool(values["residual"]),
        weight_bits=4 if values["four_bit_weights"] else 8,
        **{name: values[name] for name in _SHAPE},
    )
    order = LoopOrder[isa.LoopOrderCode(values["loop_order"]).name]
    return layer, Mapping(loop_order=order, **{name: values[name] for name in _TILE})


def mapped_layers(records: npt.NDArray[np.void]) -> list[MappedLayer]:
    """Return the layers of a program as its descriptors tell the engine to run them.

    Raises:
        CodesignError, ValueError: no engine could run them.
    """
    mapped: list[MappedLayer] = []
    while len(mapped) < len(records):
        first = len(mapped)
        size = int(records["group_layers"][first])
        members = records[first : first + max(1, size)]
        shapes = [descriptor_layer(member) for member in members]
        layers = tuple(layer for layer, _ in shapes)
        bands = band_rows(layers, int(records["band_height"][first])) if size else ((),)
        for member, (layer, mapping), rows in zip(members, shapes, bands, strict=True):
            rings = int(member["ifmap_ring"]), int(member["ofmap_ring"])
            mapped.append(MappedLayer(layer, mapping, Placement(*rings, rows, int(member["group_layers"]))))
    return mapped


def check_program(program: Program, accelerator: Accelerator) -> list[list[Access]]:
    """Refuse a program that the engine cannot run, or that reads or writes outside of its own parts.

    Returns what each layer reads and writes.

    Args:
        program: what is to be loaded.
        accelerator: the engine's.

    Raises:
        InvalidValueError: names the field of the program or of one of its descriptors.
    """
    parts = parts_of(program, accelerator)
    records = program.descriptors
    made = []
    for index, record in enumerate(records):
        name = f"program.layers[{index}]"
        layer, mapping = _decoded(name, record, accelerator)
        made.append(list(accesses(record, layer, mapping, accelerator)))
        rules = chain(
            _shape_rules(record, layer, len(records) - index),
            access_rules(record, made[-1], parts, program, accelerator),
        )
        for field, holds, expected in rules:
            if not holds:
                raise InvalidValueError(f"{name}.{field}", int(record[field]), expected)
    for index, mapped in enumerate(mapped_layers(records)):
        try:
            mapped.placement.check(mapped.layer, accelerator)
        except CodesignError as error:
            rings = (mapped.placement.ifmap_ring, mapped.placement.ofmap_ring)
            raise InvalidValueError(f"program.layers[{index}].rings", rings, f"legal ({error})") from error
    return made


def _decoded(name: str, record: np.void, accelerator: Accelerator) -> tuple[Layer, Mapping]:
    """Return the layer and mapping of a descriptor, which must be legal on the accelerator."""
    try:
        layer, mapping = descriptor_layer(record)
        mapping.check(layer, accelerator)
        isa.ResidualCode(int(record["residual"]))
    except (CodesignError, ValueError) as error:
        numbers = list(record.tolist())
        raise InvalidValueError(name, numbers, f"a layer that the engine can run ({error})") from error
    return layer, mapping


def _shape_rules(record: np.void, layer: Layer, layers_left: int) -> Iterator[Rule]:
    """Yield the rules of a layer's shape and of the group that it runs in."""
    for field, size in (("out_height", layer.out_height), ("out_width", layer.out_width)):
        yield field, record[field] == size, f"{size}, as its input has"
    yield "out_channels", layer.out_channels <= isa.MAX_CHANNELS, f"at most {isa.MAX_CHANNELS}"
    most, group = isa.MAX_GROUP_LAYERS, record["group_layers"]
    is_possible = 0 <= group <= min(most, layers_left)
    yield "group_layers", is_possible, f"in 0 to {most}, and no more than the layers that are left"
    yield "band_height", not group or record["band_height"] >= 1, "at least 1 in a group"
    for field in ("ifmap_ring", "ofmap_ring"):
        yield field, record[field] >= 0, "zero or more"


def accesses(record: np.void, layer: Layer, mapping: Mapping, accelerator: Accelerator) -> Iterator[Access]:
    """Yield everything that a layer reads or writes in memory; on-chip feature maps are left out."""
    word = accelerator.axi_bytes
    in_words, out_words = math.ceil(layer.in_channels / word), math.ceil(layer.out_channels / word)
    outputs = layer.out_height * layer.out_width * out_words

    yield Access("parameter_word", out_words * isa.CHANNEL_PARAMETERS.itemsize, (CONTENT,))
    yield Access("table_word", isa.TABLE_BYTES // word, (CONTENT,))
    yield Access("counter_word", isa.COUNTERS.itemsize // word, (COUNTERS,))
    if record["ifmap_ring"] == 0:
        yield Access("ifmap_word", layer.in_height * layer.in_width * in_words, (IMAGE, MAPS))
    if record["ofmap_ring"] == 0:
        yield Access("ofmap_word", outputs, (MAPS, LOGITS))
    if layer.residual:
        yield Access("residual_word", outputs, (IMAGE, MAPS))
    if layer.operation.reads_gate:
        yield Access("weight_word", out_words, (IMAGE, MAPS))
    elif layer.operation.has_weights:
        yield Access("weight_word", _weight_words(layer, mapping, accelerator), (CONTENT,))


def _weight_words(layer: Layer, mapping: Mapping, accelerator: Accelerator) -> int:
    """Return the memory words that all weights of a layer take; see :func:`codesign.emit.program.pack_weights`."""
    taps = layer.kernel_height * layer.kernel_width
    port_bytes = accelerator.axi_bytes * accelerator.weight_port_words

    def words(weights: int) -> int:
        return math.ceil(math.ceil(weights * layer.weight_bits / 8) / port_bytes) * accelerator.weight_port_words

    if layer.operation.is_dense:
        rows, cols = accelerator.pe_rows, accelerator.pe_cols
        return words(taps * math.ceil(layer.out_channels / rows) * math.ceil(layer.in_channels / cols) * rows * cols)
    lanes = accelerator.lanes
    full, rest = divmod(layer.out_channels, mapping.tile_out_channels)
    return full * words(taps * mapping.tile_out_channels) + words(taps * math.ceil(rest / lanes) * lanes)
