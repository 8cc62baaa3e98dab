"""``build.json`` of a stored bitstream: what it is, the digest of every file beside it, and when it came in."""

import json
import re
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from bitstreams.building.comparison import Figure
from bitstreams.building.reports import Timing, Utilisation
from bitstreams.store.bitstream import Bitstream, Entry
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.foundation.json_records import check_record, parse_json

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class StoredFigure:
    """A figure as it is written, with its deviation for whoever reads the file."""

    name: str
    predicted: float
    synthesis: float | None
    implementation: float | None
    deviation: float | None = None


@dataclass(frozen=True, kw_only=True)
class StoredBitstream:
    """The content of ``build.json``.

    Attributes:
        format: of the file.
        digest: of what determines the hardware.
        imported: when it came into the store, ISO 8601 with its zone.
        files: path in the folder to SHA-256.

    The others are those of :class:`bitstreams.store.bitstream.Bitstream`.
    """

    format: int
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
    figures: tuple[StoredFigure, ...]
    digest: str
    imported: str
    files: dict[str, str]

    def __post_init__(self) -> None:
        if datetime.fromisoformat(self.imported).tzinfo is None:
            raise InvalidValueError("build.imported", self.imported, "a time with its zone")
        for path, sha256 in self.files.items():
            if not is_plain(path) or not re.fullmatch("[0-9a-f]{64}", sha256):
                raise InvalidValueError("build.files", {path: sha256}, "paths inside the folder and their SHA-256")


def is_plain(path: str) -> bool:
    """Whether a path leads to a file inside a folder, in the one way of writing it."""
    return bool(path) and path.isprintable() and all(part not in ("", ".", "..") for part in path.split("/"))


def record_text(bitstream: Bitstream, files: dict[str, str], imported: str) -> str:
    """The text of ``build.json``."""
    record = {"format": FORMAT, **bitstream.as_dict(), "imported": imported, "files": files}
    return json.dumps(record, indent=2) + "\n"


def parse_entry(content: bytes, folder: Path) -> Entry:
    """The entry in ``folder`` that the content of its ``build.json`` describes.

    Raises:
        InvalidValueError: it is no such record; the message names the field.
    """
    record = parse_json(content, dict[str, Any], "build")
    if record.get("format") != FORMAT:
        raise InvalidValueError("build.format", record.get("format"), f"{FORMAT}, which this version reads")
    stored = check_record(record, StoredBitstream, "build")
    plain = {entry.name: getattr(stored, entry.name) for entry in fields(Bitstream)}
    figures = tuple(
        Figure(figure.name, figure.predicted, figure.synthesis, figure.implementation) for figure in stored.figures
    )
    return Entry(folder, Bitstream(**{**plain, "figures": figures}), stored.files, stored.imported)
