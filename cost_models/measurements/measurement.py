"""Measured runs as records, and append-only files of such records.

A file holds one JSON object a line, with the fields of :class:`Measurement`. Their names carry the units, so that a
value in another unit is an unknown field and not a wrong number.
"""

import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
import numpy as np

from cost_models.measurements.engine_run import OWN_ENGINE, EngineRun, Text
from hw_templates.foundation.arrays import FloatArray
from hw_templates.foundation.errors import InvalidValueError, StorageError
from hw_templates.foundation.json_lines import append_lines, read_lines
from hw_templates.foundation.json_records import PositiveInt, Record, check_fields, parse_json, reading

_MOST = 1e300

Milliseconds = Annotated[float, msgspec.Meta(gt=0, le=_MOST, description="a positive number of milliseconds")]
Watts = Annotated[float, msgspec.Meta(gt=0, le=_MOST, description="a positive number of watts")]


@dataclass(frozen=True)
class Percentiles:
    """Latency over the repetitions, in milliseconds; only the median is always known."""

    p50: Milliseconds
    p05: Milliseconds | None = None
    p95: Milliseconds | None = None

    def __post_init__(self) -> None:
        check_fields(self, "measurement.latency_ms")
        if not (self.p05 or self.p50) <= self.p50 <= (self.p95 or self.p50):
            raise InvalidValueError("measurement.latency_ms", asdict(self), "ascending: p05, p50, p95")

    @classmethod
    def of(cls, times_ms: FloatArray) -> "Percentiles":
        """Return the percentiles of the times of all repetitions."""
        low, middle, high = (float(value) for value in np.percentile(times_ms, [5, 50, 95]))
        return cls(middle, low, high)


@dataclass(frozen=True, kw_only=True)
class Measurement(EngineRun, Record):
    """A run and how long it took.

    Attributes:
        campaign: as in :class:`EngineRun`, and always known.
        source: where the row comes from.
        latency_ms: of one run.
        date: day of the run as YYYY-MM-DD; None where the source does not say.
        repetitions: runs behind the percentiles, where known.
        power_w: mean supply power of the whole board.
        run_id: identity of the run, from :func:`new_run_id`; two runs may agree in everything else. None where the
            source gives none: such rows are told apart by their content.

    Raises:
        InvalidValueError: a field breaks a rule.
    """

    FORMAT_KEYS: ClassVar[tuple[str, ...]] = ("format", "schema")
    _name: ClassVar[str] = "measurement"

    campaign: Text
    source: Text
    latency_ms: Percentiles
    date: str | None = None
    repetitions: PositiveInt | None = None
    power_w: Watts | None = None
    run_id: Text | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            datetime.strptime(self.date or "2000-01-01", "%Y-%m-%d")
        except ValueError:
            raise InvalidValueError("measurement.date", self.date, "a day as YYYY-MM-DD") from None
        if self.engine == OWN_ENGINE and self.date is None:
            raise InvalidValueError("measurement.date", None, f"given for {OWN_ENGINE}")


def new_run_id() -> str:
    """Make an identity that no other run has."""
    return uuid.uuid4().hex


def read_measurements(paths: Sequence[Path]) -> tuple[Measurement, ...]:
    """Read all records of some files, in order; a last line that an interrupted run left unfinished is left out.

    Raises:
        StorageError: a file cannot be read, a line is no sound record, or a record stands twice; names the line.
    """
    found: dict[str, str] = {}
    records = []
    for path in paths:
        for number, line in enumerate(read_lines(path), start=1):
            place = f"{path}:{number}"
            with reading(place):
                record = parse_json(line, Measurement, "measurement")
            identity = record.run_id or _line(record)
            if identity in found:
                raise StorageError(f"{place}: the same run as {found[identity]}; remove one of them")
            found[identity] = place
            records.append(record)
    if not records:
        raise StorageError(f"{', '.join(map(str, paths))}: no measurements")
    return tuple(records)


def _line(record: Measurement) -> str:
    return json.dumps({"format": Measurement.FORMAT, **asdict(record)}, sort_keys=True, allow_nan=False)


def append_measurements(path: Path, records: Iterable[Measurement]) -> None:
    """Add records to the end of a file, which is made where there is none; its earlier lines stay as they are.

    A last line that an interrupted run left unfinished is cut off.

    Raises:
        StorageError: the file cannot be written.
    """
    append_lines(path, map(_line, records))
