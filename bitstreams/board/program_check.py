"""The check that a program keeps to its own memory, made before any of it is loaded.

A program is relocated part by part (:mod:`bitstreams.board.linking`): an access that begins in one part must end in it,
or it would reach whatever lies behind that part on the board.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bitstreams.board.descriptors import descriptor_layer, mapped_layers
from cost_models.mapping.mapping import Mapping
from cost_models.workload import Layer
from hw_templates.conv_engine import isa
from hw_templates.conv_engine.accelerator import Accelerator, axi_bytes
from hw_templates.conv_engine.program import Program
from hw_templates.foundation.errors import CodesignError, InvalidValueError

CONTENT, COUNTERS, IMAGE, MAPS, LOGITS = "content", "counters", "image", "maps", "logits"

_ON_WEIGHT_PORT = ("weight_word", "parameter_word", "table_word")


@dataclass(frozen=True, kw_only=True)
class Access:
    """Consecutive words that one layer reads or writes.

    Attributes:
        field: of the descriptor; it holds the first word.
        first, words: where the access begins, in words from the arena's start, and its length.
        parts: of the program in which it may lie.
        multiple: the first word is a multiple of this: the words that the weight port moves at once.
    """

    field: str
    first: int
    words: int
    parts: tuple[str, ...]
    multiple: int


def check_program(program: Program, accelerator: Accelerator) -> list[list[Access]]:
    """Refuse a program that the engine cannot run, or that reads or writes outside of its own parts.

    Returns what each layer reads and writes.

    Args:
        program: what is to be loaded.
        accelerator: the engine's.

    Raises:
        InvalidValueError: names the field of the program or of one of its descriptors.
    """
    parts = _parts(program, accelerator)
    records = program.descriptors
    made = []
    for index, record in enumerate(records):
        name = f"program.layers[{index}]"
        layer, mapping = _decoded(name, record, accelerator)
        made.append(list(accesses(record, layer, mapping, accelerator)))
        for access in made[-1]:
            _check_access(name, access, parts)
        for field in isa.PLACES:
            if not 0 <= record[field] < program.arena_words:
                raise InvalidValueError(f"{name}.{field}", int(record[field]), f"in 0 to {program.arena_words - 1}")
    _check_placements(records, accelerator)
    return made


def _parts(program: Program, accelerator: Accelerator) -> dict[str, range]:
    """Return the words of each part of a program; the parts follow each other."""
    word = int(axi_bytes(accelerator))
    if program.axi_bytes != word:
        raise InvalidValueError("program.axi_bytes", program.axi_bytes, f"{word}, the accelerator's")
    if program.layer_count < 1 or program.logits_count < 1:
        name = "layer_count" if program.layer_count < 1 else "logits_count"
        raise InvalidValueError(f"program.{name}", getattr(program, name), "at least 1")
    content = len(program.arena) // word
    table_words = program.layer_count * isa.DESCRIPTOR.itemsize // word
    counter_words = program.layer_count * isa.COUNTERS.itemsize // word
    image_end = program.image_word + program.image_words
    logits_end = program.logits_word + math.ceil(program.logits_count / word)
    port = accelerator.weight_port_words
    if program.program_word % port or not 0 <= program.program_word <= content - table_words:
        expected = f"a multiple of {port} from 0 to {content - table_words}, so that all descriptors lie in the content"
        raise InvalidValueError("program.program_word", program.program_word, expected)
    bounds = (
        ("counter_word", program.counter_word, content),
        ("image_word", program.image_word, program.counter_word + counter_words),
        ("image_words", program.image_words, 1),
        ("logits_word", program.logits_word, image_end),
        ("arena_words", program.arena_words, logits_end),
    )
    for name, value, least in bounds:
        if not least <= value <= np.iinfo(np.int32).max:
            raise InvalidValueError(f"program.{name}", value, f"in {least} to {np.iinfo(np.int32).max}")
    return {
        CONTENT: range(content),
        COUNTERS: range(program.counter_word, program.counter_word + counter_words),
        IMAGE: range(program.image_word, image_end),
        MAPS: range(image_end, program.logits_word),
        LOGITS: range(program.logits_word, program.arena_words),
    }


def _decoded(name: str, record: np.void, accelerator: Accelerator) -> tuple[Layer, Mapping]:
    """Return the layer and mapping of a descriptor, which must be legal on the accelerator."""
    try:
        layer, mapping = descriptor_layer(record)
        mapping.check(layer, accelerator)
        isa.ResidualCode(int(record["residual"]))
    except (CodesignError, ValueError) as error:
        raise InvalidValueError(name, _numbers(record), f"a layer that the engine can run ({error})") from error
    for field in ("out_height", "out_width"):
        if record[field] != getattr(layer, field):
            raise InvalidValueError(f"{name}.{field}", int(record[field]), f"{getattr(layer, field)}, as its input has")
    if layer.out_channels > isa.MAX_CHANNELS:
        raise InvalidValueError(f"{name}.out_channels", layer.out_channels, f"at most {isa.MAX_CHANNELS}")
    return layer, mapping


def _numbers(record: np.void) -> list[int]:
    return [int(record[name]) for name, _ in isa.FIELDS]


def accesses(record: np.void, layer: Layer, mapping: Mapping, accelerator: Accelerator) -> Iterator[Access]:
    """Yield everything that a layer reads or writes in memory; on-chip feature maps are left out."""
    word = int(axi_bytes(accelerator))
    in_words, out_words = math.ceil(layer.in_channels / word), math.ceil(layer.out_channels / word)
    outputs = layer.out_height * layer.out_width * out_words

    def access(field: str, words: int, *parts: str) -> Access:
        multiple = accelerator.weight_port_words if field in _ON_WEIGHT_PORT else 1
        return Access(field=field, first=int(record[field]), words=words, parts=parts, multiple=multiple)

    yield access("parameter_word", out_words * isa.CHANNEL_PARAMETERS.itemsize, CONTENT)
    yield access("table_word", isa.TABLE_BYTES // word, CONTENT)
    yield access("counter_word", isa.COUNTERS.itemsize // word, COUNTERS)
    if record["ifmap_ring"] == 0:
        yield access("ifmap_word", layer.in_height * layer.in_width * in_words, IMAGE, MAPS)
    if record["ofmap_ring"] == 0:
        yield access("ofmap_word", outputs, MAPS, LOGITS)
    if layer.residual:
        yield access("residual_word", outputs, IMAGE, MAPS)
    if layer.operation.reads_gate:
        yield access("weight_word", out_words, IMAGE, MAPS)
    elif layer.operation.has_weights:
        yield access("weight_word", _weight_words(layer, mapping, accelerator), CONTENT)


def _weight_words(layer: Layer, mapping: Mapping, accelerator: Accelerator) -> int:
    """Return the memory words that all weights of a layer take; see :func:`codesign.emit.program.pack_weights`."""
    taps = layer.kernel_height * layer.kernel_width
    port_bytes = int(axi_bytes(accelerator)) * accelerator.weight_port_words

    def words(weights: int) -> int:
        return math.ceil(math.ceil(weights * layer.weight_bits / 8) / port_bytes) * accelerator.weight_port_words

    if layer.operation.is_dense:
        rows, cols = accelerator.pe_rows, accelerator.pe_cols
        return words(taps * math.ceil(layer.out_channels / rows) * math.ceil(layer.in_channels / cols) * rows * cols)
    lanes = accelerator.depthwise_lanes
    full, rest = divmod(layer.out_channels, mapping.tile_out_channels)
    return full * words(taps * mapping.tile_out_channels) + words(taps * math.ceil(rest / lanes) * lanes)


def _check_access(name: str, access: Access, parts: dict[str, range]) -> None:
    end = access.first + access.words
    if not any(parts[part].start <= access.first and end <= parts[part].stop for part in access.parts):
        places = " or ".join(f"the {part} ({parts[part].start} to {parts[part].stop})" for part in access.parts)
        expected = f"such that its {access.words} words lie in {places}"
        raise InvalidValueError(f"{name}.{access.field}", access.first, expected)
    if access.first % access.multiple:
        raise InvalidValueError(f"{name}.{access.field}", access.first, f"a multiple of {access.multiple}")


def _check_placements(records: npt.NDArray[np.void], accelerator: Accelerator) -> None:
    """Refuse groups and bands that the engine cannot run, and rings that the map memory does not hold."""
    most = isa.MAX_GROUP_LAYERS
    for index, size in enumerate(records["group_layers"].tolist()):
        if not 0 <= size <= min(most, len(records) - index):
            expected = f"in 0 to {most}, and no more than the layers that are left"
            raise InvalidValueError(f"program.layers[{index}].group_layers", size, expected)
        if size and records["band_height"][index] < 1:
            height = int(records["band_height"][index])
            raise InvalidValueError(f"program.layers[{index}].band_height", height, "at least 1 in a group")
    for index, record in enumerate(records):
        for field in ("ifmap_ring", "ofmap_ring"):
            if record[field] < 0:
                raise InvalidValueError(f"program.layers[{index}].{field}", int(record[field]), "zero or more")
    for index, mapped in enumerate(mapped_layers(records)):
        try:
            mapped.placement.check(mapped.layer, accelerator)
        except CodesignError as error:
            rings = (mapped.placement.ifmap_ring, mapped.placement.ofmap_ring)
            raise InvalidValueError(f"program.layers[{index}].rings", rings, f"legal ({error})") from error
