"""The parameters of an accelerator that hls4ml makes: every layer of one network is hardware of its own.

The engine of :mod:`hw_templates.conv_engine` runs any subnet; such an accelerator holds exactly one.
"""

from dataclasses import dataclass
from enum import StrEnum

from hw_templates.board import Board
from hw_templates.foundation.arrays import IntArray
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.foundation.json_records import check_fields, check_record

PRECISIONS = (4, 5, 6, 7, 8)
INTERVAL_MIN_CYCLES = 16
INTERVAL_MAX_CYCLES = 2**20
# Three quarters of each power of two lie between: no interval is more than 1.5 times the one before.
_INTERVALS = tuple(sorted(side * 2**power for power in range(8, 16) for side in (2, 3)))


class IoType(StrEnum):
    """How feature maps pass between layers: as streams of pixels through FIFOs, or whole in registers."""

    STREAM = "io_stream"
    PARALLEL = "io_parallel"


@dataclass(frozen=True)
class Hls4mlAccelerator:
    """Compile-time parameters.

    Attributes:
        precision_bits: of weights and maps, fixed point with a power-of-two scale each.
        io_type: how feature maps pass between layers.
        interval_cycles: cycles that each layer may spend on an image. Its reuse factor (how many products share a
            multiplier) is the largest that keeps to it, so that layers are balanced and none is faster than its
            neighbours need.
        clock_mhz: clock of the programmable logic.

    Raises:
        InvalidValueError: a parameter is out of range.
    """

    precision_bits: int
    io_type: IoType
    interval_cycles: int
    clock_mhz: int

    def __post_init__(self) -> None:
        check_fields(self, "accelerator")
        if self.precision_bits not in PRECISIONS:
            raise InvalidValueError("accelerator.precision_bits", self.precision_bits, f"in 4..{PRECISIONS[-1]}")
        if not INTERVAL_MIN_CYCLES <= self.interval_cycles <= INTERVAL_MAX_CYCLES:
            expected = f"in {INTERVAL_MIN_CYCLES}..{INTERVAL_MAX_CYCLES}"
            raise InvalidValueError("accelerator.interval_cycles", self.interval_cycles, expected)
        if self.clock_mhz < 1:
            raise InvalidValueError("accelerator.clock_mhz", self.clock_mhz, "at least 1")


@dataclass(frozen=True)
class Hls4mlSpace:
    """The choices for each parameter on ``board``."""

    board: Board

    @property
    def genes(self) -> tuple[tuple[str, tuple[int | str, ...]], ...]:
        """(parameter, choices) in the order of :class:`Hls4mlAccelerator`'s fields."""
        return (
            ("precision_bits", (6, 8)),
            ("io_type", tuple(str(io_type) for io_type in IoType)),
            ("interval_cycles", _INTERVALS),
            ("clock_mhz", self.board.clocks_mhz),
        )

    def decode(self, rows: IntArray) -> tuple[Hls4mlAccelerator, ...]:
        """Return the accelerators of choice indices [n, 4]."""
        names, tables = zip(*self.genes, strict=True)
        picked = ([choices[index] for choices, index in zip(tables, row, strict=True)] for row in rows.tolist())
        return tuple(
            check_record(dict(zip(names, values, strict=True)), Hls4mlAccelerator, "accelerator") for values in picked
        )
