"""The parameters of one convolution engine, what is legal, and the shapes that follow from them.

The same rules stand as ``static_assert`` in ``conv_engine/include/config.h``. The shape functions take one
:class:`Accelerator` or an :class:`AcceleratorColumns` of many, and answer with numbers or arrays alike.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from hw_templates.foundation.arrays import BoolArray, IntArray
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.foundation.json_records import check_fields, check_record

ACCUMULATOR_BYTES = 4
DATA_BITS = 8
PARAMETER_MAX = 1 << 20
"""No parameter is larger; products of two fit in 64 bits."""


@dataclass(frozen=True, kw_only=True)
class Accelerator:
    """Compile-time parameters of the engine in ``conv_engine``.

    Attributes:
        pe_rows: output channels computed in parallel.
        pe_cols: input channels computed in parallel.
        pe_pixels: output pixels of a row computed in parallel.
        pack: int8 products that one DSP slice yields a cycle, 1 or 2.
        ifmap_kib: one input feature-map buffer.
        weight_kib: one weight buffer.
        ofmap_kib: one accumulator buffer.
        axi_bits: width of each memory port.
        clock_mhz: clock of the programmable logic.
        depthwise_lanes: channels that the depthwise unit computes in parallel, for each of ``pe_pixels``.
        map_kib: memory in which maps stay on chip between layers, one of its two halves; 0 for none. With it, results
            are post-processed ``pe_rows`` at a time instead of one AXI word.
        weight_port_words: memory words that the weight port moves a cycle, 1 or 2.
        ifmap_buffers, weight_buffers, ofmap_buffers: 2 for ping-pong: one is filled while the other is read. With 1,
            which may then be twice as large in the same memory, loads wait for the computation that reads the buffer,
            and the computation for the store that empties it.

    Raises:
        InvalidValueError: a parameter is illegal; the message says what would be legal.
    """

    pe_rows: int
    pe_cols: int
    pe_pixels: int
    pack: int
    ifmap_kib: int
    weight_kib: int
    ofmap_kib: int
    axi_bits: int
    clock_mhz: int
    depthwise_lanes: int
    map_kib: int = 0
    weight_port_words: int = 1
    ifmap_buffers: int = 2
    weight_buffers: int = 2
    ofmap_buffers: int = 2

    def __post_init__(self) -> None:
        check_fields(self, "accelerator")
        for name in PARAMETERS:
            value, least = getattr(self, name), 0 if name == "map_kib" else 1
            if not least <= value <= PARAMETER_MAX:
                expected = "a positive whole number" if least else "a whole number, 0 or more"
                expected = f"at most {PARAMETER_MAX}" if value > PARAMETER_MAX else expected
                raise InvalidValueError(f"accelerator.{name}", value, expected)
        for broken, name, expected in _rules(self):
            if broken:
                raise InvalidValueError(f"accelerator.{name}", getattr(self, name), expected)

    def as_dict(self) -> dict[str, int]:
        """Field names to values, in declaration order."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Accelerator":
        """Build the accelerator of a dictionary as :meth:`as_dict` makes it.

        Fields that have defaults may be missing, as they are in what was recorded before they existed.

        Raises:
            InvalidValueError: a field is unknown, missing or of another type, or a parameter is illegal.
        """
        return check_record(values, cls, "accelerator")


PARAMETERS: tuple[str, ...] = tuple(field.name for field in fields(Accelerator))


@dataclass(frozen=True, kw_only=True)
class AcceleratorColumns:
    """Many accelerators as columns of equal length A; the fields are those of :class:`Accelerator`."""

    pe_rows: IntArray
    pe_cols: IntArray
    pe_pixels: IntArray
    pack: IntArray
    ifmap_kib: IntArray
    weight_kib: IntArray
    ofmap_kib: IntArray
    axi_bits: IntArray
    clock_mhz: IntArray
    depthwise_lanes: IntArray
    map_kib: IntArray
    weight_port_words: IntArray
    ifmap_buffers: IntArray
    weight_buffers: IntArray
    ofmap_buffers: IntArray

    @classmethod
    def of(cls, accelerators: Sequence[Accelerator]) -> "AcceleratorColumns":
        """Columns of the given accelerators, in order."""
        return cls(**{name: np.array([getattr(a, name) for a in accelerators], dtype=np.int64) for name in PARAMETERS})

    def __len__(self) -> int:
        return len(self.pe_rows)

    def __getitem__(self, index: int) -> Accelerator:
        return Accelerator(**{name: int(getattr(self, name)[index]) for name in PARAMETERS})

    def __iter__(self) -> Iterator[Accelerator]:
        return (self[index] for index in range(len(self)))

    def take(self, selection: npt.NDArray[Any]) -> "AcceleratorColumns":
        """The rows that an index or boolean array selects."""
        return AcceleratorColumns(**{name: getattr(self, name)[selection] for name in PARAMETERS})


AnyAccelerator = Accelerator | AcceleratorColumns


def _rules(a: AnyAccelerator) -> list[tuple[Any, str, str]]:
    """(is broken, parameter, what would be legal) for each structural rule, elementwise for columns."""
    word = axi_bytes(a)
    return [
        ((a.pack != 1) & (a.pack != 2), "pack", "1 or 2"),
        ((a.axi_bits != 32) & (a.axi_bits != 64) & (a.axi_bits != 128), "axi_bits", "32, 64 or 128"),
        # One bus word fills whole banks, and one bus word of results leaves the array each cycle.
        (a.pe_rows % word != 0, "pe_rows", "a multiple of the bytes of an AXI word"),
        (a.pe_cols % word != 0, "pe_cols", "a multiple of the bytes of an AXI word"),
        ((a.weight_port_words != 1) & (a.weight_port_words != 2), "weight_port_words", "1 or 2"),
        *(
            ((getattr(a, name) != 1) & (getattr(a, name) != 2), name, "1 or 2")
            for name in ("ifmap_buffers", "weight_buffers", "ofmap_buffers")
        ),
        (a.axi_bits * a.weight_port_words > 128, "weight_port_words", "1 where axi_bits is 128"),
        # Weights of a tile, and a gate, begin with a word of that port.
        (a.pe_rows % (word * a.weight_port_words) != 0, "pe_rows", "a multiple of the bytes of the weight port"),
        # A group of depthwise channels lies in one row group of results, and in one line of the ifmap buffer.
        (
            (a.pe_rows % a.depthwise_lanes != 0)
            | ((a.pe_cols % a.depthwise_lanes != 0) & (a.depthwise_lanes % a.pe_cols != 0)),
            "depthwise_lanes",
            "a divisor of pe_rows, and a divisor or multiple of pe_cols",
        ),
        (ifmap_depth(a) < 1, "ifmap_kib", "enough for one word in each bank"),
        (weight_depth(a) < 1, "weight_kib", "enough for one word of pe_rows x pe_cols weights"),
        (ofmap_depth(a) < 1, "ofmap_kib", "enough for one accumulator in each bank"),
        ((a.map_kib > 0) & (map_depth(a) < 1), "map_kib", "0, or enough for one word in each bank"),
    ]


def is_legal(columns: AcceleratorColumns) -> BoolArray:
    """[A] which accelerators obey every structural rule that :class:`Accelerator` enforces."""
    broken = np.zeros(len(columns), dtype=bool)
    for rule, _, _ in _rules(columns):
        broken |= rule
    return ~broken


def axi_bytes(a: AnyAccelerator) -> Any:
    """Bytes of one AXI word: also the channels of one word of a feature map in memory."""
    return a.axi_bits // 8


def weight_port_bytes(a: AnyAccelerator) -> Any:
    """Bytes that the weight port moves a cycle."""
    return axi_bytes(a) * a.weight_port_words


def ifmap_cols(a: AnyAccelerator) -> Any:
    """Channels of a pixel that the ifmap buffer yields a cycle: enough for the PE array and for the depthwise unit."""
    return _greater(a.pe_cols, a.depthwise_lanes)


def ifmap_banks(a: AnyAccelerator) -> Any:
    """Banks of one ifmap buffer; each holds AXI words and is read once a cycle."""
    return a.pe_pixels * (ifmap_cols(a) // axi_bytes(a))


def ifmap_depth(a: AnyAccelerator) -> Any:
    """Words of each ifmap bank."""
    return a.ifmap_kib * 1024 // (a.pe_pixels * ifmap_cols(a))


def weight_banks(a: AnyAccelerator) -> Any:
    """Banks of one weight buffer; each holds AXI words and all are read each cycle."""
    return a.pe_rows * a.pe_cols // axi_bytes(a)


def weight_depth(a: AnyAccelerator) -> Any:
    """Words of each weight bank."""
    return a.weight_kib * 1024 // (a.pe_rows * a.pe_cols)


def ofmap_banks(a: AnyAccelerator) -> Any:
    """Banks of one accumulator buffer; each holds 32-bit sums."""
    return a.pe_rows * a.pe_pixels


def ofmap_depth(a: AnyAccelerator) -> Any:
    """Sums of each accumulator bank."""
    return a.ofmap_kib * 1024 // (ofmap_banks(a) * ACCUMULATOR_BYTES)


def post_lanes(a: AnyAccelerator) -> Any:
    """Results that are post-processed a cycle: all rows of the array where maps stay on chip, else one AXI word."""
    with_map = np.where(a.map_kib > 0, a.pe_rows, axi_bytes(a))
    return int(with_map) if isinstance(a, Accelerator) else with_map


def map_banks(a: AnyAccelerator) -> Any:
    """Banks of one half of the map memory, each of AXI words: it takes a line of results, and yields one of inputs."""
    return _greater(a.pe_rows, ifmap_cols(a)) // axi_bytes(a)


def map_depth(a: AnyAccelerator) -> Any:
    """Words of each bank of the map memory."""
    return a.map_kib * 1024 // _greater(a.pe_rows, ifmap_cols(a))


def _greater(first: Any, second: Any) -> Any:
    return max(first, second) if isinstance(first, int) else np.maximum(first, second)
