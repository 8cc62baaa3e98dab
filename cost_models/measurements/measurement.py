"""One measured run of layers on an engine, as a record, and append-only files of such records.

A file holds one JSON object a line. Its fields are those of :class:`Measurement`, whose names carry the units, so that
a value in another unit is an unknown field and not a wrong number.
"""

import json
import re
import sys
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.mapping.mapping import Mapping
from cost_models.mapping.placement import IN_MEMORY, Placement
from cost_models.workload import Activation, Layer
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.errors import InvalidValueError, StorageError
from hw_templates.foundation.json_lines import append_lines, read_lines
from hw_templates.foundation.json_records import check_fields, check_record, parse_json, reading

SCHEMA = 1
OWN_ENGINE = "conv_engine"
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class MeasuredLayer:
    """A layer that ran: its shape, the function applied to its results, how it was cut, where known, and where its maps
    were.

    Raises:
        InvalidValueError: a field is of another type.
    """

    layer: Layer
    activation: Activation = Activation.IDENTITY
    mapping: Mapping | None = None
    placement: Placement = IN_MEMORY

    def __post_init__(self) -> None:
        check_fields(self, "measurement.layers")

    @classmethod
    def of(cls, ran: MappedLayer) -> "MeasuredLayer":
        """Return the record of a layer that ran on our engine."""
        return cls(ran.layer, mapping=ran.mapping, placement=ran.placement)

    @property
    def mapped(self) -> MappedLayer:
        """The layer as our engine ran it.

        Raises:
            InvalidValueError: the mapping is not known.
        """
        if self.mapping is None:
            raise InvalidValueError("measurement.layers.mapping", None, f"given for {OWN_ENGINE}")
        return MappedLayer(self.layer, self.mapping, self.placement)


@dataclass(frozen=True)
class Percentiles:
    """Latency over the repetitions, in milliseconds; only the median is always known."""

    p50: float
    p05: float | None = None
    p95: float | None = None

    def __post_init__(self) -> None:
        check_fields(self, "measurement.latency_ms")
        for name in ("p05", "p50", "p95"):
            value = getattr(self, name)
            if value is None and name != "p50":
                continue
            _check_number(f"latency_ms.{name}", value, "a positive number of milliseconds")
        if (self.p05 or self.p50) > self.p50 or self.p50 > (self.p95 or self.p50):
            raise InvalidValueError("measurement.latency_ms", asdict(self), "ascending: p05, p50, p95")


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One run, measured.

    Attributes:
        engine: ``conv_engine`` or the name of a foreign engine.
        board: where it ran.
        bitstream: sha256 of the bitstream; None where a foreign engine's is not known.
        campaign: runs with the same driver, bitstream and clock share a campaign, and with it all coefficients.
        source: where the row comes from.
        clock_mhz: of the programmable logic.
        latency_ms: of one run.
        date: day of the run as YYYY-MM-DD; None where the source does not say.
        layers: what ran, in order; empty where only the network's name is known.
        network: name of what ran, where ``layers`` do not say it.
        accelerator: parameters of the engine, where it has ours.
        batch: images a run.
        repetitions: runs behind the percentiles, where known.
        settings: what else the engine was told, as numbers.
        counters: what the engine or its compiler counted, for example ``ddr_bytes``.
        power_w: mean supply power of the whole board.
        group: rows of one group resemble each other and are left out together; without one, a row stands alone.
        run_id: identity of the run, from :func:`new_run_id`; two runs may agree in everything else. None where the
            source gives none: such rows are told apart by their content.

    Raises:
        InvalidValueError: a field breaks a rule.
    """

    engine: str
    board: str
    campaign: str
    source: str
    clock_mhz: float
    latency_ms: Percentiles
    date: str | None = None
    bitstream: str | None = None
    layers: tuple[MeasuredLayer, ...] = ()
    network: str | None = None
    accelerator: Accelerator | None = None
    batch: int = 1
    repetitions: int | None = None
    settings: dict[str, float] = field(default_factory=dict)
    counters: dict[str, float] = field(default_factory=dict)
    power_w: float | None = None
    group: str | None = None
    run_id: str | None = None

    def __post_init__(self) -> None:
        check_fields(self, "measurement")
        for name in ("engine", "board", "campaign", "source"):
            if not getattr(self, name).strip():
                raise InvalidValueError(f"measurement.{name}", getattr(self, name), "text that is not empty")
        if self.run_id is not None and not self.run_id.strip():
            raise InvalidValueError("measurement.run_id", self.run_id, "text that is not empty")
        try:
            datetime.strptime(self.date or "2000-01-01", "%Y-%m-%d")
        except ValueError:
            raise InvalidValueError("measurement.date", self.date, "a day as YYYY-MM-DD") from None
        _check_number("clock_mhz", self.clock_mhz, "a positive number of megahertz, below 10000", most=9_999.0)
        for name in ("batch", "repetitions"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InvalidValueError(f"measurement.{name}", value, "a positive whole number")
        if self.power_w is not None:
            _check_number("power_w", self.power_w, "a positive number of watts")
        for name in ("settings", "counters"):
            for key, value in getattr(self, name).items():
                if value != 0:
                    _check_number(f"{name}.{key}", value, "a number, zero or more")
        if not self.layers and not self.network:
            raise InvalidValueError("measurement.layers", (), "at least one layer, or the network named")
        digest = self.bitstream
        if digest is not None and not _SHA256.fullmatch(digest):
            raise InvalidValueError("measurement.bitstream", digest, "a sha256 in hexadecimal")
        if self.engine == OWN_ENGINE:
            self._check_own()

    def _check_own(self) -> None:
        if self.accelerator is None or self.date is None:
            missing = "accelerator" if self.accelerator is None else "date"
            raise InvalidValueError(f"measurement.{missing}", None, f"given for {OWN_ENGINE}")
        if self.accelerator.clock_mhz < self.clock_mhz:
            raise InvalidValueError("measurement.clock_mhz", self.clock_mhz, "at most the accelerator's clock")
        for index, ran in enumerate(self.layers):
            if ran.mapping is None:
                raise InvalidValueError(f"measurement.layers[{index}].mapping", None, f"given for {OWN_ENGINE}")
            ran.mapping.check(ran.layer, self.accelerator)
            ran.placement.check(ran.layer, self.accelerator)

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON holds it."""
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Measurement":
        """The record of a parsed line.

        Raises:
            CodesignError: of another schema, a field is missing, unknown or in another unit, or breaks a rule.
        """
        if not isinstance(values, dict):
            raise InvalidValueError("measurement", values, "an object")
        if values.get("schema") != SCHEMA:
            raise InvalidValueError("measurement.schema", values.get("schema"), f"{SCHEMA}, the one that is known")
        return check_record({name: value for name, value in values.items() if name != "schema"}, cls, "measurement")


def _check_number(name: str, value: float, expected: str, most: float = sys.float_info.max) -> None:
    """A positive number, at most ``most``."""
    if not 0 < value <= most:
        raise InvalidValueError(f"measurement.{name}", value, expected)


def new_run_id() -> str:
    """Make an identity that no other run has."""
    return uuid.uuid4().hex


def read_measurements(paths: Sequence[Path]) -> tuple[Measurement, ...]:
    """All records of some files, in order; a last line that an interrupted run left unfinished is left out.

    Raises:
        StorageError: a file cannot be read, a line is no sound record, or a record stands twice; names the line.
    """
    found: dict[str, str] = {}
    records = []
    for path in paths:
        for number, line in enumerate(read_lines(path), start=1):
            place = f"{path}:{number}"
            with reading(place):
                record = Measurement.from_dict(parse_json(line, dict[str, Any], "measurement"))
            identity = record.run_id or _line(record)
            if identity in found:
                raise StorageError(f"{place}: the same run as {found[identity]}; remove one of them")
            found[identity] = place
            records.append(record)
    if not records:
        raise StorageError(f"{', '.join(map(str, paths))}: no measurements")
    return tuple(records)


def _line(record: Measurement) -> str:
    return json.dumps(record.as_dict(), sort_keys=True, allow_nan=False)


def append_measurements(path: Path, records: Iterable[Measurement]) -> None:
    """Add records to the end of a file, which is made where there is none; what it holds stays as it is.

    A last line that an interrupted run left unfinished is cut off.

    Raises:
        StorageError: the file cannot be written.
    """
    append_lines(path, map(_line, records))
