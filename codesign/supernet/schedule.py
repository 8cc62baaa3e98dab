"""How a supernet is trained, as a value."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hw_templates.errors import InvalidValueError


@dataclass(frozen=True)
class Augmentation:
    """Random affine changes of an image.

    Attributes:
        shift: largest shift in each direction, as a part of the image's side.
        degrees: largest rotation.
        scale: largest relative change of size.
    """

    shift: float
    degrees: float
    scale: float

    def __post_init__(self) -> None:
        for field in ("shift", "degrees", "scale"):
            if getattr(self, field) < 0:
                raise InvalidValueError(f"augmentation.{field}", getattr(self, field), "zero or more")


@dataclass(frozen=True)
class Phase:
    """A part of the training with its own freedom of subnets.

    Attributes:
        name: for messages and pictures.
        steps: optimiser steps.
        learning_rate: the highest; it rises linearly over the first tenth and falls to 0 as half a cosine.
        subnets_per_step: random ones, whose gradients each step sums.
        elastic: which kinds of genes vary beside the resolution, which always does.
    """

    name: str
    steps: int
    learning_rate: float
    subnets_per_step: int = 1
    elastic: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field in ("steps", "learning_rate", "subnets_per_step"):
            if not getattr(self, field) > 0:
                raise InvalidValueError(f"phase.{field}", getattr(self, field), "positive")
        if not set(self.elastic) <= {"kernel", "depth", "expand"}:
            raise InvalidValueError("phase.elastic", self.elastic, "chosen from kernel, depth and expand")

    def learning_rate_at(self, step: int) -> float:
        """Learning rate of a step counted from the phase's first."""
        warm_up = max(1, self.steps // 10)
        if step < warm_up:
            return self.learning_rate * (step + 1) / warm_up
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / (self.steps - warm_up)))


@dataclass(frozen=True)
class Schedule:
    """Progressive shrinking (Cai et al. 2020): the full net, then ever smaller subnets taught by it.

    Attributes:
        name: as on the command line.
        phases: in order; the first trains the full net alone.
        batch_size: images a step.
        weight_decay: of AdamW (Loshchilov and Hutter 2019), on weights of convolutions.
        label_smoothing: of the cross-entropy with the labels.
        distillation: weight of the cross-entropy with the teacher's answer, beside 1 for the labels.
        augmentation: of the training images.
        smallest_share, largest_share: of the steps of later phases in which the smallest subnet of the phase, or the
            full net, takes the place of a random one: the ends of the space, which random draws hardly reach (as in
            the sandwich rule of Yu and Huang 2019).
    """

    name: str
    phases: tuple[Phase, ...]
    batch_size: int
    weight_decay: float
    label_smoothing: float
    distillation: float
    augmentation: Augmentation
    smallest_share: float
    largest_share: float

    def __post_init__(self) -> None:
        if not self.phases or self.phases[0].elastic:
            raise InvalidValueError("schedule.phases", self.phases, "one or more, the first without elastic genes")
        if self.batch_size < 2:
            raise InvalidValueError("schedule.batch_size", self.batch_size, "at least 2, for batch norms")
        if not (self.smallest_share >= 0 <= self.largest_share and self.smallest_share + self.largest_share <= 1):
            shares = (self.smallest_share, self.largest_share)
            raise InvalidValueError(
                "schedule.smallest_share, largest_share", shares, "zero or more, together at most 1"
            )

    @property
    def steps(self) -> int:
        """Optimiser steps of all phases."""
        return sum(phase.steps for phase in self.phases)

    def locate(self, step: int) -> tuple[int, int]:
        """(phase, step in it) of a step, both counted from 0.

        Raises:
            InvalidValueError: the schedule has no such step.
        """
        left = step
        for index, phase in enumerate(self.phases):
            if 0 <= left < phase.steps:
                return index, left
            left -= phase.steps
        raise InvalidValueError("step", step, f"in 0..{self.steps - 1}")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""
        return dataclasses.asdict(self)

    @staticmethod
    def from_dict(table: Mapping[str, Any]) -> "Schedule":
        """The inverse of :meth:`as_dict`.

        Raises:
            InvalidValueError: the table has not that form.
        """
        try:
            phases = tuple(Phase(**{**phase, "elastic": tuple(phase["elastic"])}) for phase in table["phases"])
            augmentation = Augmentation(**table["augmentation"])
            return Schedule(**{**table, "phases": phases, "augmentation": augmentation})
        except (KeyError, TypeError) as error:
            raise InvalidValueError("schedule", table, "the fields of a schedule") from error


_DIGITS = Schedule(
    name="digits",
    phases=(
        Phase("full", 300, 8e-3),
        Phase("kernel", 40, 8e-3, 2, ("kernel",)),
        Phase("depth", 100, 8e-3, 2, ("kernel", "depth")),
        Phase("width", 700, 8e-3, 3, ("kernel", "depth", "expand")),
    ),
    batch_size=64,
    weight_decay=0.02,
    label_smoothing=0.05,
    distillation=1.0,
    augmentation=Augmentation(shift=0.06, degrees=6, scale=0.06),
    smallest_share=0.25,
    largest_share=0.15,
)

_DIGITS_SMALL = dataclasses.replace(
    _DIGITS,
    name="digits-small",
    phases=(
        Phase("full", 25, 8e-3),
        Phase("kernel", 4, 8e-3, 2, ("kernel",)),
        Phase("depth", 8, 8e-3, 2, ("kernel", "depth")),
        Phase("width", 30, 8e-3, 2, ("kernel", "depth", "expand")),
    ),
)

_SCHEDULES = {schedule.name: schedule for schedule in (_DIGITS, _DIGITS_SMALL)}


def schedule_names() -> tuple[str, ...]:
    """Names of the known schedules, sorted."""
    return tuple(sorted(_SCHEDULES))


def load_schedule(name: str) -> Schedule:
    """The schedule of that name.

    Raises:
        InvalidValueError: no such schedule.
    """
    if name not in _SCHEDULES:
        raise InvalidValueError("schedule", name, f"one of {', '.join(schedule_names())}")
    return _SCHEDULES[name]
