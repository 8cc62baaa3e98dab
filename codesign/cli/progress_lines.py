"""Progress as lines of text, for output that is no terminal and for log files."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from codesign.progress import Update

INTERVAL_S = 20.0
"""Longest silence; below the half minute after which a run would look dead, for timers may be late."""

Clock = Callable[[], float]


class StageProgress:
    """Progress of one stage, and an estimate of the time that it still takes."""

    def __init__(self, name: str, clock: Clock) -> None:
        self._name, self._clock = name, clock
        self._begin_s = clock()
        # Work that is resumed begins at a share above zero: the speed is that since the first update.
        self._first: tuple[float, float] | None = None
        self._share, self._text = 0.0, ""

    def update(self, share: float, text: str) -> None:
        """Record the share that is done, 0 to 1, and a few words on where the work stands."""
        if self._first is None:
            self._first = self._clock(), share
        self._share, self._text = share, text

    def line(self) -> str:
        """Describe the stage in one line: what, how far, for how long, and for how much longer."""
        now, share, left = self._clock(), "", "time left unknown"
        if self._first is not None:
            (since, before), share = self._first, f"{self._share:.0%}"
            if self._share > before:
                left = f"about {_duration((1 - self._share) * (now - since) / (self._share - before))} left"
        parts = (share, self._text, f"{_duration(now - self._begin_s)} elapsed", left)
        return f"{self._name}: {', '.join(filter(None, parts))}"


class ProgressLines:
    """Writes a line about the current stage whenever nothing else was written for a while.

    Args:
        write: called with each line, in a thread of its own.
        clock: seconds; never goes back.
    """

    def __init__(self, write: Callable[[str], None], clock: Clock) -> None:
        self._write, self._clock = write, clock
        self._stages: list[StageProgress] = []
        self._last_s = clock()

    def written(self) -> None:
        """Note that something else was written just now."""
        self._last_s = self._clock()

    @contextmanager
    def stage(self, name: str) -> Iterator[Update]:
        """Make a stage the current one while it lasts; the value is called as the work gets on."""
        stage = StageProgress(name, self._clock)
        self._stages.append(stage)
        try:
            yield stage.update
        finally:
            self._stages.remove(stage)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Write lines in the background, whatever the caller's thread does meanwhile."""
        stop = threading.Event()
        thread = threading.Thread(target=self.run, args=(stop.wait,), name="progress lines", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def run(self, wait: Callable[[float], bool]) -> None:
        """Write lines until ``wait`` returns true; it is called with the seconds to wait."""
        while not wait(max(self._last_s + INTERVAL_S - self._clock(), 0.0)):
            if self._clock() < self._last_s + INTERVAL_S:
                continue
            self._last_s = self._clock()
            for stage in self._stages[-1:]:
                self._write(stage.line())


def _duration(seconds: float) -> str:
    """Format seconds as hours, minutes and seconds.

    >>> _duration(3725.4)
    '1:02:05'
    """
    return str(timedelta(seconds=round(seconds)))
