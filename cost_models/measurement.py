"""One measured run of layers on an engine, as a record, and append-only files of such records.

A file holds one JSON object a line. Its fields are those of :class:`Measurement`, whose names carry the units, so that
a value in another unit is an unknown field and not a wrong number.
"""

import json
import sys
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from cost_models.mapping import LoopOrder, Mapping
from cost_models.placement import IN_MEMORY, Placement
from cost_models.workload import Activation, Layer, Operation
from hw_templates.accelerator import Accelerator
from hw_templates.errors import CodesignError, InvalidValueError, StorageError
from hw_templates.json_lines import append_lines, read_lines

SCHEMA = 1
OWN_ENGINE = "conv_engine"
_DIGEST_LENGTH = 64


@dataclass(frozen=True)
class MeasuredLayer:
    """A layer that ran: its shape, the function applied to its results, how it was cut, where known, and where its maps
    were."""

    layer: Layer
    activation: Activation = Activation.IDENTITY
    mapping: Mapping | None = None
    placement: Placement = IN_MEMORY

    @classmethod
    def from_dict(cls, prefix: str, values: Any) -> "MeasuredLayer":
        """The record of a parsed object, which messages call ``prefix``.

        Raises:
            CodesignError: a field is missing or unknown, or breaks a rule.
        """
        _check_fields(prefix, cls, values)
        layer, mapping, placement = values["layer"], values.get("mapping"), values.get("placement", {})
        if isinstance(layer, dict) and "operation" in layer:
            layer = {**layer, "operation": _member(f"{prefix}.layer.operation", Operation, layer["operation"])}
        if isinstance(mapping, dict) and "loop_order" in mapping:
            order = _member(f"{prefix}.mapping.loop_order", LoopOrder, mapping["loop_order"])
            mapping = {**mapping, "loop_order": order}
        if isinstance(placement, dict) and "bands" in placement:
            placement = {**placement, "bands": _bands(f"{prefix}.placement.bands", placement["bands"])}
        return cls(
            layer=_record(f"{prefix}.layer", Layer, layer),
            activation=_member(f"{prefix}.activation", Activation, values.get("activation", Activation.IDENTITY)),
            mapping=None if mapping is None else _record(f"{prefix}.mapping", Mapping, mapping),
            placement=_record(f"{prefix}.placement", Placement, placement),
        )


@dataclass(frozen=True)
class Percentiles:
    """Latency over the repetitions, in milliseconds; only the median is always known."""

    p50: float
    p05: float | None = None
    p95: float | None = None

    def __post_init__(self) -> None:
        for name in ("p05", "p50", "p95"):
            value = getattr(self, name)
            if value is None and name != "p50":
                continue
            _check_number(f"latency_ms.{name}", value, "a positive number of milliseconds")
        if (self.p05 or self.p50) > self.p50 or self.p50 > (self.p95 or self.p50):
            raise InvalidValueError("measurement.latency_ms", asdict(self), "ascending: p05, p50, p95")


@dataclass(frozen=True)
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
        for name in ("engine", "board", "campaign", "source"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name).strip():
                raise InvalidValueError(f"measurement.{name}", getattr(self, name), "text that is not empty")
        if self.run_id is not None and not (isinstance(self.run_id, str) and self.run_id.strip()):
            raise InvalidValueError("measurement.run_id", self.run_id, "text that is not empty")
        try:
            datetime.strptime(self.date or "2000-01-01", "%Y-%m-%d")
        except (TypeError, ValueError):
            raise InvalidValueError("measurement.date", self.date, "a day as YYYY-MM-DD") from None
        _check_number("clock_mhz", self.clock_mhz, "a positive number of megahertz, below 10000", most=9_999.0)
        for name in ("batch", "repetitions"):
            value = getattr(self, name)
            if (value is not None or name == "batch") and not (type(value) is int and value >= 1):
                raise InvalidValueError(f"measurement.{name}", value, "a positive whole number")
        if self.power_w is not None:
            _check_number("power_w", self.power_w, "a positive number of watts")
        for name in ("settings", "counters"):
            if not isinstance(getattr(self, name), dict):
                raise InvalidValueError(f"measurement.{name}", getattr(self, name), "an object of numbers")
            for key, value in getattr(self, name).items():
                if value != 0:
                    _check_number(f"{name}.{key}", value, "a number, zero or more")
        if not self.layers and not self.network:
            raise InvalidValueError("measurement.layers", (), "at least one layer, or the network named")
        digest = self.bitstream
        if digest is not None and (
            not isinstance(digest, str) or len(digest) != _DIGEST_LENGTH or set(digest) - set("0123456789abcdef")
        ):
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
        given = {name: value for name, value in values.items() if name != "schema"}
        _check_fields("measurement", cls, given)
        accelerator, layers = given.get("accelerator"), given.get("layers", [])
        if not isinstance(layers, list | tuple):
            raise InvalidValueError("measurement.layers", layers, "a list")
        return cls(
            **{
                **given,
                "latency_ms": _record("measurement.latency_ms", Percentiles, given["latency_ms"]),
                "layers": tuple(
                    MeasuredLayer.from_dict(f"measurement.layers[{i}]", entry) for i, entry in enumerate(layers)
                ),
                "accelerator": None if accelerator is None else Accelerator.from_dict(accelerator),
            }
        )


def _check_number(name: str, value: object, expected: str, most: float = sys.float_info.max) -> None:
    """A positive number, at most ``most``."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and 0 < value <= most):  # type: ignore[operator]
        raise InvalidValueError(f"measurement.{name}", value, expected)


def _check_fields(prefix: str, record: type, values: dict[str, Any]) -> None:
    """Every given field is known, and every field without a default is given."""
    if not isinstance(values, dict):
        raise InvalidValueError(prefix, values, "an object")
    known = {entry.name: entry for entry in fields(record)}
    for name in values.keys() - known.keys():
        stem = str(name).rpartition("_")[0]
        unit = next((other for other in known if stem and other.rpartition("_")[0] == stem), None)
        raise InvalidValueError(f"{prefix}.{name}", values[name], f"given as {unit}" if unit else "a known field")
    for entry in known.values():
        name = entry.name
        if name not in values and entry.default is MISSING and entry.default_factory is MISSING:
            raise InvalidValueError(f"{prefix}.{name}", None, "given")


def _record(prefix: str, record: type, values: Any) -> Any:
    _check_fields(prefix, record, values)
    try:
        return record(**values)
    except (TypeError, ValueError) as error:
        raise InvalidValueError(prefix, values, f"an object of the right types ({error})") from error


def _bands(name: str, values: Any) -> tuple[tuple[int, int], ...]:
    try:
        bands = tuple((begin, end) for begin, end in values)
    except (TypeError, ValueError):
        bands = ((-1, -1),)
    if any(type(row) is not int or row < 0 for band in bands for row in band):
        raise InvalidValueError(name, values, "a list of pairs of rows, first and end")
    return bands


def _member(name: str, enumeration: Any, value: object) -> Any:
    if value not in list(enumeration):
        raise InvalidValueError(name, value, f"one of {', '.join(enumeration)}")
    return enumeration(value)


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
            try:
                record = Measurement.from_dict(json.loads(line, parse_constant=_refuse_constant))
            except ValueError as error:
                raise StorageError(f"{place}: must be one JSON object ({error})") from error
            except CodesignError as error:
                raise StorageError(f"{place}: {error}") from error
            identity = record.run_id or _line(record)
            if identity in found:
                raise StorageError(f"{place}: the same run as {found[identity]}; remove one of them")
            found[identity] = place
            records.append(record)
    if not records:
        raise StorageError(f"{', '.join(map(str, paths))}: no measurements")
    return tuple(records)


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is no measured value")


def _line(record: Measurement) -> str:
    return json.dumps(record.as_dict(), sort_keys=True, allow_nan=False)


def append_measurements(path: Path, records: Iterable[Measurement]) -> None:
    """Add records to the end of a file, which is made where there is none; what it holds stays as it is.

    A last line that an interrupted run left unfinished is cut off.

    Raises:
        StorageError: the file cannot be written.
    """
    append_lines(path, map(_line, records))
