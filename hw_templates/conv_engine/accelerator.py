"""The parameters of one convolution engine: one table, what is legal, and the shapes that follow from them.

The shapes are properties of one :class:`Accelerator` and of :class:`AcceleratorColumns` of many alike, numbers there
and arrays here.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from operator import and_
from typing import Annotated, Any, Generic, TypeVar

import numpy as np

from hw_templates.board import Board
from hw_templates.foundation.arrays import BoolArray, IntArray
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.foundation.json_records import check_fields

Number = TypeVar("Number", int, IntArray)

ACCUMULATOR_BYTES = 4
PARAMETER_MAX = 1 << 20
"""No parameter is larger; products of two fit in 64 bits."""
TILE_WORDS = 1 << 16
"""A tile in a buffer has fewer memory words."""


Choices = tuple[int, ...]


@dataclass(frozen=True)
class Parameter:
    """A row of the table of parameters.

    Attributes:
        meaning: what the parameter sets, with its unit.
        choices: the values that a search chooses from, or a function that returns those of a board.
        legal: the only legal values; empty where others than the choices may be legal.
        least: no value is smaller.
    """

    meaning: str
    choices: Choices | Callable[[Board], Choices]
    legal: Choices = ()
    least: int = 1

    def choices_on(self, board: Board) -> Choices:
        """Return the values that a search chooses from on a board, ascending."""
        return self.choices(board) if callable(self.choices) else self.choices


_SIDES = (4, 8, 12, 16, 24, 32, 48, 64)
_BUFFERS_KIB = (2, 4, 8, 16, 32, 64, 128)
_PORTS_BITS = (32, 64, 128)
_ONE_OR_TWO = (1, 2)
_BUFFERS = (
    "2 for ping-pong: one is filled while the other is read; 1, of twice the size in the same memory, makes {} wait"
)


def _greater(first: Number, second: Number) -> Number:
    return max(first, second) if isinstance(first, int) else np.maximum(first, second)


def _common(first: Number, second: Number) -> Number:
    """Return the greatest common divisor."""
    return math.gcd(first, second) if isinstance(first, int) else np.gcd(first, second)


@dataclass(frozen=True, kw_only=True)
class Parameters(Generic[Number]):
    """The table: every parameter of the engine is a field, and its type holds its row.

    Reading and writing, the space of a search and the constants of ``config.h`` follow from it. A parameter that is
    added needs a default that describes the engines built before, so that their files can still be read; it is one of
    an :class:`Accelerator`, as columns have none.
    """

    pe_rows: Annotated[Number, Parameter("output channels computed in parallel", _SIDES)]
    pe_cols: Annotated[Number, Parameter("input channels computed in parallel", _SIDES)]
    pe_pixels: Annotated[Number, Parameter("output pixels of a row computed in parallel", (1, 2, 3, 4, 6, 7, 8))]
    pack: Annotated[Number, Parameter("int8 products that a DSP slice yields a cycle", _ONE_OR_TWO, _ONE_OR_TWO)]
    ifmap_kib: Annotated[Number, Parameter("KiB of one input feature-map buffer", _BUFFERS_KIB)]
    weight_kib: Annotated[Number, Parameter("KiB of one weight buffer", _BUFFERS_KIB)]
    ofmap_kib: Annotated[Number, Parameter("KiB of one accumulator buffer", _BUFFERS_KIB)]
    axi_bits: Annotated[
        Number,
        Parameter(
            "bits of each memory port",
            lambda board: tuple(bits for bits in _PORTS_BITS if bits <= board.axi_bits_max),
            _PORTS_BITS,
        ),
    ]
    clock_mhz: Annotated[Number, Parameter("clock of the programmable logic in MHz", lambda board: board.clocks_mhz)]
    map_kib: Annotated[
        Number,
        Parameter(
            "KiB of one of the two halves of the memory in which feature maps stay on chip between layers, 0 for none; "
            "with it, results are post-processed pe_rows at a time instead of one AXI word",
            (0, 8, 32, 128, 256),
            least=0,
        ),
    ] = 0  # type: ignore[assignment]
    weight_port_words: Annotated[
        Number,
        Parameter(
            "memory words that the weight port moves a cycle",
            lambda board: tuple(words for words in _ONE_OR_TWO if 64 * words <= board.axi_bits_max),
            _ONE_OR_TWO,
        ),
    ] = 1  # type: ignore[assignment]
    ifmap_buffers: Annotated[Number, Parameter(_BUFFERS.format("ifmap loads"), _ONE_OR_TWO, _ONE_OR_TWO)] = 2  # type: ignore[assignment]
    weight_buffers: Annotated[Number, Parameter(_BUFFERS.format("weight loads"), _ONE_OR_TWO, _ONE_OR_TWO)] = 2  # type: ignore[assignment]
    ofmap_buffers: Annotated[Number, Parameter(_BUFFERS.format("the computation"), _ONE_OR_TWO, _ONE_OR_TWO)] = 2  # type: ignore[assignment]

    @property
    def axi_bytes(self) -> Number:
        """Bytes of one AXI word: also the channels of one word of a feature map in memory."""
        return self.axi_bits // 8

    @property
    def weight_port_bytes(self) -> Number:
        """Bytes that the weight port moves a cycle."""
        return self.axi_bytes * self.weight_port_words

    @property
    def lanes(self) -> Number:
        """Channels of a channel-wise layer computed in parallel, for each of ``pe_pixels``: the array's diagonal."""
        return _common(self.pe_rows, self.pe_cols)

    @property
    def channelwise_steps(self) -> Number:
        """Steps of a channel-wise layer that share a line of ``pe_rows`` x ``pe_cols`` weights."""
        return self.pe_rows * self.pe_cols // self.lanes

    @property
    def ifmap_banks(self) -> Number:
        """Banks of one ifmap buffer; each holds AXI words and is read once a cycle."""
        return self.pe_pixels * (self.pe_cols // self.axi_bytes)

    @property
    def ifmap_depth(self) -> Number:
        """Words of each ifmap bank."""
        return self.ifmap_kib * 1024 // (self.pe_pixels * self.pe_cols)

    @property
    def weight_banks(self) -> Number:
        """Banks of one weight buffer; each holds AXI words and all are read each cycle."""
        return self.pe_rows * self.pe_cols // self.axi_bytes

    @property
    def weight_depth(self) -> Number:
        """Words of each weight bank."""
        return self.weight_kib * 1024 // (self.pe_rows * self.pe_cols)

    @property
    def ofmap_banks(self) -> Number:
        """Banks of one accumulator buffer; each holds 32-bit sums."""
        return self.pe_rows * self.pe_pixels

    @property
    def ofmap_depth(self) -> Number:
        """Sums of each accumulator bank."""
        return self.ofmap_kib * 1024 // (self.ofmap_banks * ACCUMULATOR_BYTES)

    @property
    def post_lanes(self) -> Number:
        """Results that are post-processed a cycle: all rows of the array where maps stay on chip, else one AXI word."""
        return _greater(self.axi_bytes, self.pe_rows * (self.map_kib > 0))

    @property
    def map_banks(self) -> Number:
        """Banks of one half of the map memory, of AXI words; it takes a line of results, and yields one of inputs."""
        return _greater(self.pe_rows, self.pe_cols) // self.axi_bytes

    @property
    def map_depth(self) -> Number:
        """Words of each bank of the map memory."""
        return self.map_kib * 1024 // _greater(self.pe_rows, self.pe_cols)


ROWS: dict[str, Parameter] = {name: hint.__metadata__[0] for name, hint in Parameters.__annotations__.items()}
PARAMETERS: tuple[str, ...] = tuple(ROWS)


@dataclass(frozen=True, kw_only=True)
class Accelerator(Parameters[int]):
    """One accelerator: the compile-time parameters of the engine in ``conv_engine``.

    Raises:
        InvalidValueError: a parameter is not a whole number or is illegal; the message says what would be legal.
    """

    def __post_init__(self) -> None:
        check_fields(self, "accelerator")
        for broken, name, expected in _rules(self):
            if broken:
                raise InvalidValueError(f"accelerator.{name}", getattr(self, name), expected)

    def as_dict(self) -> dict[str, int]:
        """Return the values by name, in declaration order."""
        return asdict(self)


Accelerator.__doc__ = f"{Accelerator.__doc__}\n    Attributes:\n" + "".join(
    f"        {name}: {row.meaning}.\n" for name, row in ROWS.items()
)


class AcceleratorColumns(Parameters[IntArray]):
    """Many accelerators as columns of equal length A; the fields are those of :class:`Accelerator`."""

    @classmethod
    def of(cls, accelerators: Sequence[Accelerator]) -> "AcceleratorColumns":
        """Return the columns of the given accelerators, in order."""
        return cls(**{name: np.array([getattr(a, name) for a in accelerators], dtype=np.int64) for name in PARAMETERS})

    def __len__(self) -> int:
        return len(self.pe_rows)

    def __getitem__(self, index: int) -> Accelerator:
        return Accelerator(**{name: int(getattr(self, name)[index]) for name in PARAMETERS})

    def __iter__(self) -> Iterator[Accelerator]:
        return (self[index] for index in range(len(self)))

    def take(self, selection: IntArray | BoolArray) -> "AcceleratorColumns":
        """Return the accelerators that an index or boolean array selects."""
        return AcceleratorColumns(**{name: getattr(self, name)[selection] for name in PARAMETERS})


AnyAccelerator = Parameters[Any]


def _rules(a: AnyAccelerator) -> Iterator[tuple[Any, str, str]]:
    """Yield (is broken, parameter, what would be legal) of each rule, elementwise for columns.

    A rule may divide by what the rules before it have refused.
    """
    for name, row in ROWS.items():
        value = getattr(a, name)
        yield (value < row.least) | (value > PARAMETER_MAX), name, f"a whole number from {row.least} to {PARAMETER_MAX}"
        if row.legal:
            yield reduce(and_, (value != choice for choice in row.legal)), name, f"one of {row.legal}"
    # One bus word fills whole banks, and one bus word of results leaves the array each cycle.
    for name in ("pe_rows", "pe_cols"):
        yield getattr(a, name) % a.axi_bytes != 0, name, "a multiple of the bytes of an AXI word"
    yield a.axi_bits * a.weight_port_words > 128, "weight_port_words", "1 where axi_bits is 128"
    # Weights of a tile, and a gate, begin with a word of that port.
    yield a.pe_rows % a.weight_port_bytes != 0, "pe_rows", "a multiple of the bytes of the weight port"
    # The program format counts the words of a tile in 16 bits; results are a byte of each sum.
    for name, bytes_per_kib in (("ifmap_kib", 1024), ("weight_kib", 1024), ("ofmap_kib", 1024 // ACCUMULATOR_BYTES)):
        too_many = getattr(a, name) * bytes_per_kib >= TILE_WORDS * a.axi_bytes
        yield too_many, name, f"less than {TILE_WORDS} words of a memory port"
    yield a.ifmap_depth < 1, "ifmap_kib", "enough for one word in each bank"
    yield a.weight_depth < 1, "weight_kib", "enough for one word of pe_rows x pe_cols weights"
    yield a.ofmap_depth < 1, "ofmap_kib", "enough for one accumulator in each bank"
    yield (a.map_kib > 0) & (a.map_depth < 1), "map_kib", "0, or enough for one word in each bank"


def is_legal(columns: AcceleratorColumns) -> BoolArray:
    """[A] which accelerators obey every structural rule that :class:`Accelerator` enforces."""
    broken = np.zeros(len(columns), dtype=bool)
    for rule, _, _ in _rules(columns):
        broken |= rule
    return ~broken
