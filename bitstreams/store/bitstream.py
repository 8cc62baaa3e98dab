"""The record of one bitstream, and its place in a store."""

import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from bitstreams.building.reports import Timing, Utilisation
from hw_templates.board import BoardRecord
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.foundation.json_records import Positive, Record, ZeroOrMore, check_fields

NAME_DIGITS = 16
"""Digits of the digest that name a bitstream's files."""


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """One quantity as predicted and as built; what a tool did not report is None.

    Attributes:
        name: as in :class:`hw_templates.board.Board` or :class:`cost_models.closed_form.estimate.Estimate`.
        predicted: value that the cost model predicts.
        synthesis: value that C synthesis expects, where there is one.
        implementation: value of the routed engine; cycles are those of RTL co-simulation, and None without it.
        deviation: relative deviation from the prediction of the implementation, or else of the synthesis; it is always
            computed.
    """

    name: str
    predicted: ZeroOrMore
    synthesis: ZeroOrMore | None
    implementation: ZeroOrMore | None
    deviation: float | None = None

    def __post_init__(self) -> None:
        check_fields(self, f"figure.{self.name}")
        reached = self.implementation if self.implementation is not None else self.synthesis
        deviation = None
        if reached is not None:
            deviation = reached / self.predicted - 1 if self.predicted else None if reached else 0.0
        object.__setattr__(self, "deviation", deviation)


@dataclass(frozen=True, kw_only=True)
class Bitstream(Record):
    """Everything that is known of one bitstream; what is not known of one made elsewhere is None or empty.

    Those of format 1 may hold version 1 of the engine.

    Attributes:
        determined_by: digest or version of everything that determines the hardware, by its name.
        board, part: the target board and its device.
        design: name of the block design.
        clock_mhz: actual clock of the logic; None where the hand-off does not state it.
        hardware_sha256: digest of the sources, which the identity registers hold as well.
        implementation: of the engine.
        accelerator: parameters of the engine.
        tools: version of each tool.
        timing, utilisation: reports on the routed design.
        figures: quantities as predicted and as built.
        digest: SHA-256 of ``determined_by``, in hexadecimal digits; it is always computed.
    """

    FORMAT = 2

    determined_by: dict[str, str]
    board: BoardRecord
    part: str
    design: str
    clock_mhz: Positive | None
    hardware_sha256: str | None = None
    implementation: Implementation | None = None
    accelerator: Accelerator | None = None
    tools: dict[str, str] = field(default_factory=dict)
    timing: Timing = field(default_factory=Timing)
    utilisation: Utilisation = field(default_factory=Utilisation)
    figures: tuple[Quantity, ...] = ()
    digest: str = ""

    def __post_init__(self) -> None:
        check_fields(self, "bitstream")
        content = json.dumps(self.determined_by, sort_keys=True)
        object.__setattr__(self, "digest", hashlib.sha256(content.encode()).hexdigest())


@dataclass(frozen=True, kw_only=True)
class StoredBitstream(Bitstream):
    """``build.json`` of a stored bitstream.

    Attributes:
        imported: time at which it was put into the store, ISO 8601 with its zone.
        files: SHA-256 of every other file by its path in the folder.
    """

    imported: str
    files: dict[str, str]

    def __post_init__(self) -> None:
        super().__post_init__()
        if datetime.fromisoformat(self.imported).tzinfo is None:
            raise InvalidValueError("build.imported", self.imported, "a time with its zone")
        for path, sha256 in self.files.items():
            if not is_plain(path) or not re.fullmatch("[0-9a-f]{64}", sha256):
                raise InvalidValueError("build.files", {path: sha256}, "paths inside the folder and their SHA-256")


@dataclass(frozen=True)
class Entry:
    """A bitstream in a store, and the folder that holds it, whose name is the digest."""

    folder: Path
    bitstream: StoredBitstream

    @property
    def digest(self) -> str:
        """Return the digest that the folder is named by."""
        return self.folder.name

    def path(self, suffix: str) -> Path:
        """Return the path of the ``bit``, ``hwh`` or ``xsa`` file."""
        return self.folder / f"{self.digest[:NAME_DIGITS]}.{suffix}"


def is_plain(path: str) -> bool:
    """Return whether a path leads to a file inside a folder and is written in the only normal way."""
    return bool(path) and path.isprintable() and all(part not in ("", ".", "..") for part in path.split("/"))
