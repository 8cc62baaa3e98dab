"""What is known of one bitstream, and where it lies in a store."""

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bitstreams.building.comparison import Figure
from bitstreams.building.reports import Timing, Utilisation
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.errors import InvalidValueError

NAME_DIGITS = 16
"""Digits of the digest that name a bitstream's files."""


@dataclass(frozen=True, kw_only=True)
class Bitstream:
    """What a store knows of one bitstream.

    Attributes:
        determined_by: name to digest or version of everything that determines the hardware.
        board: name of the board that it is for.
        part: of that board.
        design: name of the block design.
        clock_mhz: that the processor really gives it, or None where the hand-off does not say.
        hardware_sha256: of the sources, also in the identity registers; None for a bitstream made elsewhere.
        accelerator: what the engine in it is; None likewise.
        tools: tool to version.
        timing, utilisation: of the routed design.
        figures: prediction and outcome.
    """

    determined_by: dict[str, str]
    board: str
    part: str
    design: str
    clock_mhz: float | None
    hardware_sha256: str | None
    accelerator: Accelerator | None
    tools: dict[str, str]
    timing: Timing
    utilisation: Utilisation
    figures: tuple[Figure, ...]

    def __post_init__(self) -> None:
        if self.clock_mhz is not None and not (math.isfinite(self.clock_mhz) and self.clock_mhz > 0):
            raise InvalidValueError("bitstream.clock_mhz", self.clock_mhz, "a finite number above zero, or unknown")

    @property
    def digest(self) -> str:
        """SHA-256 over what determines the hardware, in hexadecimal digits."""
        return hashlib.sha256(json.dumps(self.determined_by, sort_keys=True).encode()).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """Plain values; figures carry their deviation. :mod:`bitstreams.store.record` reads them back."""
        figures = [{**asdict(figure), "deviation": figure.deviation} for figure in self.figures]
        return {**asdict(self), "digest": self.digest, "figures": figures}


@dataclass(frozen=True)
class Entry:
    """A stored bitstream.

    Attributes:
        folder: where it lies.
        bitstream: what it is.
        files: path in the folder to SHA-256.
        imported: when it came into the store, ISO 8601 in UTC.
    """

    folder: Path
    bitstream: Bitstream
    files: dict[str, str]
    imported: str

    @property
    def digest(self) -> str:
        """Of what determines the hardware; the folder's name."""
        return self.folder.name

    def path(self, suffix: str) -> Path:
        """The ``bit``, ``hwh`` or ``xsa`` file."""
        return self.folder / f"{self.digest[:NAME_DIGITS]}.{suffix}"
