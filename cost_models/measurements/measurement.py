"""Runs of an engine: what it runs, how long that took, and which to measure; with their files.

A file of measurements holds one JSON object a line, with the fields of :class:`Measurement`. Their names carry the
units, so that a value in another unit is an unknown field and not a wrong number. A file of a plan holds one object.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
import numpy as np

from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.mapping.mapping import Mapping
from cost_models.mapping.placement import IN_MEMORY, Placement
from cost_models.workload import Activation, Layer
from hw_templates.board import Board, BoardRecord
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.arrays import FloatArray
from hw_templates.foundation.errors import InvalidValueError, StorageError
from hw_templates.foundation.json_lines import append_lines, read_lines
from hw_templates.foundation.json_records import (
    PositiveInt,
    Record,
    ZeroOrMore,
    check_fields,
    parse_json,
    reading,
    record_line,
    write_record,
)

OWN_ENGINES = {Implementation.HLS: "conv_engine_hls", Implementation.RTL: "conv_engine_rtl"}
"""Names of this project's engine by its implementation: measurements of one say nothing about the other."""

_OLDER_ENGINE = "conv_engine"
"""Name of an engine that this project had before; it ran layers otherwise."""

ClockMhz = Annotated[float, msgspec.Meta(gt=0, lt=10_000, description="a positive number of megahertz, below 10000")]
Text = Annotated[str, msgspec.Meta(pattern=r"\S", description="text that is not empty")]
Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$", description="a sha256 in hexadecimal")]
_MOST = 1e300

Milliseconds = Annotated[float, msgspec.Meta(gt=0, le=_MOST, description="a positive number of milliseconds")]
Watts = Annotated[float, msgspec.Meta(gt=0, le=_MOST, description="a positive number of watts")]


@dataclass(frozen=True)
class MeasuredLayer:
    """A layer that ran; its mapping is optional, because published tables seldom state one.

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


@dataclass(frozen=True, kw_only=True)
class EngineRun:
    """Layers that one start of an engine runs.

    Attributes:
        engine: one of :data:`OWN_ENGINES`, or the name of a foreign engine.
        board: where it runs: the name of a board, or a board of the user's own.
        clock_mhz: of the programmable logic.
        layers: in order; empty where only the network's name is known.
        network: name of what runs, where ``layers`` do not say it.
        accelerator: parameters of the engine, where it has ours.
        bitstream: sha256 of the bitstream; None where it is not known.
        batch: images a run.
        settings: further numbers that the engine is told.
        counters: what the engine or its compiler counts, for example ``ddr_bytes``.
        campaign: runs with the same driver, bitstream and clock share a campaign, and with it all coefficients; empty
            for a campaign that is not known.
        group: rows of one group resemble each other and are left out together; without one, a row stands alone.

    Raises:
        InvalidValueError: a field breaks a rule.
        MappingError: our engine cannot run a layer as it is mapped.
    """

    _name: ClassVar[str] = "run"

    engine: Text
    board: Text | Board
    clock_mhz: ClockMhz
    layers: tuple[MeasuredLayer, ...] = ()
    network: str | None = None
    accelerator: Accelerator | None = None
    bitstream: Sha256 | None = None
    batch: PositiveInt = 1
    settings: dict[str, ZeroOrMore] = field(default_factory=dict)
    counters: dict[str, ZeroOrMore] = field(default_factory=dict)
    campaign: str = field(default_factory=str)
    group: str | None = None

    def __post_init__(self) -> None:
        check_fields(self, self._name)
        if self.engine == _OLDER_ENGINE:
            known = " or ".join(OWN_ENGINES.values())
            expected = f"{known}; that engine is no more, measure again with `codesign calibrate run`"
            raise InvalidValueError(f"{self._name}.engine", self.engine, expected)
        if not self.layers and not self.network:
            raise InvalidValueError(f"{self._name}.layers", (), "at least one layer, or the network named")
        if self.is_own:
            if self.accelerator is None:
                raise InvalidValueError(f"{self._name}.accelerator", None, f"given for {self.engine}")
            if self.accelerator.clock_mhz < self.clock_mhz:
                raise InvalidValueError(f"{self._name}.clock_mhz", self.clock_mhz, "at most the accelerator's clock")
            for ran in self.mapped_layers:
                ran.check(self.accelerator)

    @property
    def is_own(self) -> bool:
        """Say whether the engine is this project's, in either implementation."""
        return self.engine in OWN_ENGINES.values()

    @property
    def mapped_layers(self) -> tuple[MappedLayer, ...]:
        """Layers with the mappings and placements that our engine runs.

        Raises:
            InvalidValueError: a mapping is not known.
        """
        return mapped(self.layers, f"{self._name}.layers")


def mapped(layers: Sequence[MeasuredLayer], name: str = "layers") -> tuple[MappedLayer, ...]:
    """Return layers as our engine runs them; ``name`` is what messages call them.

    Raises:
        InvalidValueError: a mapping is not known.
    """
    found = []
    for index, ran in enumerate(layers):
        if ran.mapping is None:
            raise InvalidValueError(f"{name}[{index}].mapping", None, "given for this project's engine")
        found.append(MappedLayer(ran.layer, ran.mapping, ran.placement))
    return tuple(found)


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
        low, middle, high = np.percentile(times_ms, [5, 50, 95]).tolist()
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
        if self.is_own and self.date is None:
            raise InvalidValueError("measurement.date", None, f"given for {self.engine}")


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
            identity = record.run_id or record_line(record)
            if identity in found:
                raise StorageError(f"{place}: the same run as {found[identity]}; remove one of them")
            found[identity] = place
            records.append(record)
    if not records:
        raise StorageError(f"{', '.join(map(str, paths))}: no measurements")
    return tuple(records)


def append_measurements(path: Path, records: Iterable[Measurement]) -> None:
    """Add records to the end of a file, which is made where there is none; its earlier lines stay as they are.

    A last line that an interrupted run left unfinished is cut off.

    Raises:
        StorageError: the file cannot be written.
    """
    append_lines(path, map(record_line, records))


@dataclass(frozen=True, kw_only=True)
class RunPlan(Record):
    """Runs to measure, each a few layers that one start runs; see :mod:`codesign.emit.random_program`.

    Attributes:
        board: the board to measure on.
        accelerator: the engine on it.
        implementation: of that engine.
        runs: in the order in which they were chosen.
        deviations: uncertainty before the first and after each, as :class:`cost_models.calibration.planning.Plan` has.

    Raises:
        CodesignError: a run is empty, stands twice, or cannot run on the accelerator.
    """

    FORMAT: ClassVar[int] = 4
    FORMAT_KEYS: ClassVar[tuple[str, ...]] = ("format", "plan")

    board: BoardRecord
    accelerator: Accelerator
    runs: tuple[tuple[MappedLayer, ...], ...]
    implementation: Implementation = Implementation.HLS
    deviations: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self, "plan")
        if not self.runs:
            raise InvalidValueError("plan.runs", (), "at least one")
        for index, layers in enumerate(self.runs):
            if not layers or self.runs.index(layers) < index:
                raise InvalidValueError(f"plan.runs[{index}]", "a second time" if layers else (), "one that is new")
            for ran in layers:
                ran.check(self.accelerator)


def write_plan(path: Path, plan: RunPlan) -> None:
    """Write a plan to a file.

    Raises:
        StorageError: the file cannot be written.
    """
    write_record(path, plan, wide=True)


def read_plan(path: Path) -> RunPlan:
    """Read the plan in a file.

    Raises:
        StorageError: the file cannot be read or holds no plan.
    """
    with reading(path, "`codesign calibrate plan` makes one"):
        return parse_json(path.read_bytes(), RunPlan, "plan")
