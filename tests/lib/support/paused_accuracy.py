"""Accuracies that pause on their way to a worker process, where a test names it, until the test lets them go on."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from support.pricing.capacity_accuracy import CapacityAccuracy

from codesign.supernet.spaces.space import Space


@dataclass(frozen=True)
class PausedAccuracy(CapacityAccuracy):
    """``place`` is ``sending``, when the second worker is sent them, ``starting``, when a worker reads them, or none.

    They print that they pause, and go on once the file ``gate`` is there.
    """

    place: str
    gate: str
    sent: ClassVar[int] = 0

    def __reduce__(self) -> tuple[object, ...]:
        PausedAccuracy.sent += 1
        if self.place == "sending" and PausedAccuracy.sent == 2:
            _pause(self.gate)
        return _arrive, (self.space, self.place, self.gate)


def _arrive(space: Space, place: str, gate: str) -> PausedAccuracy:
    if place == "starting":
        _pause(gate)
    return PausedAccuracy(space, place, gate)


def _pause(gate: str) -> None:
    print("paused", flush=True)
    while not Path(gate).exists():
        time.sleep(0.01)
