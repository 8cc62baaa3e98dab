"""Supply power while an engine runs: rails and sensors of the board, or the file of a meter outside."""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from bitstreams.board.session import Session
from hw_templates.foundation.arrays import FloatArray
from hw_templates.foundation.csv_table import Row, read_table
from hw_templates.foundation.errors import BoardError, StorageError

INTERVAL_S = 0.05
_POWER_COLUMNS = (("power_w",), ("voltage_v", "current_a"))
_HWMON = "/sys/class/hwmon/hwmon"


@dataclass(frozen=True)
class PowerTrace:
    """Power over time.

    Attributes:
        times_s: seconds since 1970, ascending.
        watts: at those times.
        source: what was read, as a report says it.
    """

    times_s: FloatArray
    watts: FloatArray
    source: str

    def mean_w(self, window: tuple[float, float]) -> float:
        """Return the mean power over (begin, end), with straight lines between samples.

        Raises:
            StorageError: the trace does not cover the window, or has fewer than two samples in it.
        """
        begin, end = window
        inside = (self.times_s > begin) & (self.times_s < end)
        if inside.sum() < 2 or self.times_s[0] > begin or self.times_s[-1] < end:
            covered = f"{self.times_s[0]:.1f} to {self.times_s[-1]:.1f}" if len(self.times_s) else "nothing"
            raise StorageError(
                f"{self.source}: must cover {begin:.1f} to {end:.1f} s since 1970 with two samples, has {covered}; "
                "see that its clock is set"
            )
        times = np.concatenate([[begin], self.times_s[inside], [end]])
        watts = np.interp(times, self.times_s, self.watts)
        return float(np.sum((watts[1:] + watts[:-1]) / 2 * np.diff(times)) / (end - begin))


@dataclass(frozen=True, kw_only=True)
class Energy:
    """Energy of one inference.

    Attributes:
        total_mj: of the whole board, its idle power included.
        above_idle_mj: what the inference adds.
        busy_w, idle_w: mean powers with the engine at work and without.
        source: what was read.
    """

    total_mj: float
    above_idle_mj: float
    busy_w: float
    idle_w: float
    source: str


def energy_of(trace: PowerTrace, idle: tuple[float, float], busy: tuple[float, float], images: int) -> Energy:
    """Return the energy of one of ``images`` inferences that filled the ``busy`` window; the engine rested in ``idle``.

    Raises:
        StorageError: the trace does not cover a window.
    """
    idle_w, busy_w = trace.mean_w(idle), trace.mean_w(busy)
    each_ms = (busy[1] - busy[0]) * 1e3 / images
    return Energy(
        total_mj=busy_w * each_ms,
        above_idle_mj=(busy_w - idle_w) * each_ms,
        busy_w=busy_w,
        idle_w=idle_w,
        source=trace.source,
    )


def read_meter(path: Path) -> PowerTrace:
    """Read a meter's CSV: ``time`` (seconds since 1970, or ISO 8601 with a zone) and the power.

    The power is ``power_w``, or ``voltage_v`` times ``current_a``. The meter may still be writing: a last line without
    an end is left out.

    Raises:
        StorageError: it cannot be read, or a column or value is wrong; names the line.
    """
    table = read_table(path, growing=True)
    factors = next((names for names in _POWER_COLUMNS if {"time", *names} <= set(table.columns)), None)
    if factors is None:
        raise StorageError(f"{path}: must have columns time and power_w, or voltage_v and current_a")
    times, watts = [], []
    for row in table.rows:
        times.append(_seconds(row))
        watts.append(math.prod(row.number(name) for name in factors))
        if not math.isfinite(watts[-1]):
            raise StorageError(f"{row.place}: powers must be finite, got {' times '.join(map(row.text, factors))}")
        if len(times) > 1 and times[-1] <= times[-2]:
            raise StorageError(f"{row.place}: times must ascend, got {times[-1]!r} after {times[-2]!r}")
    return PowerTrace(np.array(times), np.array(watts), f"meter {path.name}")


def _seconds(row: Row) -> float:
    """Return the time of a row in seconds since 1970."""
    text = row.text("time")
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise StorageError(f"{row.place}: time must be seconds since 1970 or ISO 8601, got {text!r}") from None
        if moment.tzinfo is None:
            raise StorageError(f"{row.place}: time must have a zone, such as +00:00, got {text!r}") from None
        return moment.timestamp()
    if not math.isfinite(seconds):
        raise StorageError(f"{row.place}: time must be finite, got {text!r}")
    return seconds


def hwmon_reader(session: Session) -> tuple[str, Callable[[], float]]:
    """Return the name of the board's power sensor and a function that reads it in watts.

    Raises:
        BoardError: it has none.
    """
    for number in range(16):
        name, path = session.read_file(f"{_HWMON}{number}/name"), f"{_HWMON}{number}/power1_input"
        if name is not None and session.read_file(path) is not None:
            # Microwatts (Linux, Documentation/hwmon/sysfs-interface).
            return name.decode().strip(), lambda path=path: int(session.read_file(path) or b"") / 1e6
    raise BoardError(f"{session.where}: has no power sensor under {_HWMON}*; use a meter's file")


def log_power(source: str, watts: Callable[[], float]) -> Callable[[], PowerTrace]:
    """Read a sensor again and again until the function that is returned is called, which returns what was read.

    Raises:
        BoardError: by that function: the sensor stopped answering.
    """
    samples: list[tuple[float, float]] = []
    errors: list[Exception] = []
    stopped = threading.Event()

    def read() -> None:
        try:
            while not stopped.is_set():
                samples.append((time.time(), watts()))
                stopped.wait(INTERVAL_S)
        except (BoardError, ValueError) as error:
            errors.append(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()

    def stop() -> PowerTrace:
        stopped.set()
        thread.join()
        for error in errors:
            raise BoardError(f"{source}: stopped answering ({error})") from error
        times_s, taken = np.array(samples).reshape(-1, 2).T
        return PowerTrace(times_s, taken, source)

    return stop
