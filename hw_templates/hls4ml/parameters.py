"""The parameters of an accelerator that hls4ml makes: every layer of one network is hardware of its own.

The engine of :mod:`hw_templates.conv_engine` runs any subnet; such an accelerator holds exactly one.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from hw_templates.board import Board
from hw_templates.foundation.arrays import IntArray
from hw_templates.foundation.json_records import PositiveInt, check_fields, check_record

# Three quarters of each power of two lie between: no interval is more than 1.5 times the one before.
_INTERVALS = tuple(sorted(side * 2**power for power in range(8, 16) for side in (2, 3)))


class IoType(StrEnum):
    """Way in which feature maps pass between layers: as streams of pixels through FIFOs, or whole in registers."""

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

    precision_bits: Annotated[int, Meta(ge=4, le=8, description="in 4..8")]
    io_type: IoType
    interval_cycles: Annotated[int, Meta(ge=16, le=2**20, description="in 16..1048576")]
    clock_mhz: PositiveInt

    def __post_init__(self) -> None:
        check_fields(self, "accelerator")


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
