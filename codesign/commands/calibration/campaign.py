"""A campaign on disk: measured runs, failed runs and the reasons, and the runs that are left.

The measurements, BOARD.jsonl, have a companion BOARD.failures.jsonl: every connection lost during a run, and every run
that is not tried again. To have a run tried again, remove its lines.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.measurements.measurement import (
    OWN_ENGINES,
    MeasuredLayer,
    Measurement,
    RunPlan,
    append_measurements,
    mapped,
    read_measurements,
)
from hw_templates.board import board_name
from hw_templates.foundation.errors import CodesignError, InvalidValueError, StorageError
from hw_templates.foundation.json_lines import append_lines, read_lines
from hw_templates.foundation.json_records import Record, parse_json, reading, record_line
from hw_templates.foundation.lock import exclusive, in_use

LOSSES = 3
"""Connections lost during one run after which the run is skipped."""

Layers = tuple[MappedLayer, ...]


class Failure(StrEnum):
    """Reasons for which a run fails; only a lost connection need not be its fault."""

    LOST = "lost"
    HANG = "hang"
    WRONG = "wrong"


@dataclass(frozen=True)
class FailedRun(Record):
    """A failed run: the reason, the error's line, and the time (UTC, as ISO 8601 writes it)."""

    kind: Failure
    error: str
    at: str
    layers: tuple[MeasuredLayer, ...]


class Campaign:
    """The runs of a plan on one bitstream, with what an earlier process left of them, however it ended.

    Attributes:
        plan: the runs.
        path: file of measurements.
        failures: file of the failed runs.
        measured: runs that are measured.
        losses: how often the connection was lost during each run.
        skipped: runs that are not tried again.

    Raises:
        StorageError: a file cannot be read, or holds something else than runs on the plan's board and engine.
    """

    def __init__(self, plan: RunPlan, path: Path) -> None:
        self.plan, self.path, self.failures = plan, path, path.with_suffix(".failures.jsonl")
        self.measured = list(read_measurements([path])) if path.exists() and read_lines(path) else []
        self.losses, self.skipped = Counter[Layers](), set[Layers]()
        for run in self.measured:
            found = run.board, run.accelerator, run.engine
            if found != (plan.board, plan.accelerator, OWN_ENGINES[plan.implementation]):
                raise StorageError(
                    f"{path}: holds runs of another engine or board ({board_name(run.board)}); name another file"
                )
        for number, line in enumerate(read_lines(self.failures) if self.failures.exists() else (), start=1):
            with reading(f"{self.failures}:{number}", "remove the line"):
                failed = parse_json(line, FailedRun, "failure")
                self._count(mapped(failed.layers), failed.kind)

    @property
    def todo(self) -> list[Layers]:
        """Runs of the plan that are neither measured nor skipped, in its order."""
        done = {run.mapped_layers for run in self.measured} | self.skipped
        return [layers for layers in self.plan.runs if layers not in done]

    @property
    def skipped_of_plan(self) -> int:
        """Number of runs of the plan that are skipped."""
        return sum(layers in self.skipped for layers in self.plan.runs)

    def check_bitstream(self, bitstream: str) -> None:
        """Refuse to mix runs of two bitstreams.

        Raises:
            InvalidValueError: the file holds runs of another one.
        """
        for run in self.measured:
            if run.bitstream != bitstream:
                other = "none" if run.bitstream is None else run.bitstream[:12]
                expected = f"{other}, whose runs {self.path} holds; name another file for this one"
                raise InvalidValueError("bitstream", bitstream[:12], expected)

    def check_clock(self, clock_mhz: float) -> None:
        """Refuse to mix runs at two clocks.

        Raises:
            InvalidValueError: the file holds runs at another one.
        """
        for run in self.measured:
            if abs(run.clock_mhz / clock_mhz - 1) > 1e-3:
                expected = f"{run.clock_mhz:.4g}, as of the runs that {self.path} holds; name another file"
                raise InvalidValueError("clock_mhz", f"{clock_mhz:.4g}", expected)

    def add(self, run: Measurement) -> None:
        """Keep a measurement, at once.

        Raises:
            StorageError: the file cannot be written.
        """
        append_measurements(self.path, [run])
        self.measured.append(run)

    def fail(self, layers: Layers, kind: Failure, error: CodesignError) -> bool:
        """Keep the failure of a run, at once; return whether the run is skipped from now on.

        Raises:
            StorageError: the file cannot be written.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        failed = FailedRun(kind, str(error), now, tuple(map(MeasuredLayer.of, layers)))
        append_lines(self.failures, [record_line(failed)])
        self._count(layers, kind)
        return layers in self.skipped

    def _count(self, layers: Layers, kind: Failure) -> None:
        if kind == Failure.LOST:
            self.losses[layers] += 1
        if kind != Failure.LOST or self.losses[layers] >= LOSSES:
            self.skipped.add(layers)


@contextmanager
def opened(plan: RunPlan, path: Path) -> Iterator[Campaign]:
    """Yield the campaign whose measurements go to a file, which no other process writes to meanwhile.

    Raises:
        StorageError: another process does, or the files cannot be read or are of something else.
    """
    lock = path.with_name(f".{path.name}.lock")
    with exclusive(lock, in_use(lock, f"the campaign of {path.name}")):
        yield Campaign(plan, path)
