"""How a supernet is trained, as a value; those with a name come with the package, from others, or in TOML files."""

import dataclasses
import math
from dataclasses import dataclass
from importlib.resources import files
from typing import Annotated, Literal

from msgspec import Meta

from codesign.supernet.spaces.space import ELASTIC
from hw_templates.foundation.catalogue import Catalogue, Source
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.foundation.json_records import Positive, PositiveInt, ZeroOrMore, check_fields, check_record


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Random changes of a training image.

    Attributes:
        shift: largest shift in each direction, as a part of the image's side; what comes from outside is black.
        degrees: largest rotation.
        scale: largest relative change of size.
        flip: whether half of the images are mirrored.
        least_area: the image is a crop of at least this part of the area, of an aspect ratio of 3/4 to 4/3 (Szegedy et
            al. 2015); 1 takes all of it.
        brightness, saturation: largest relative change.
    """

    shift: ZeroOrMore = 0.0
    degrees: ZeroOrMore = 0.0
    scale: ZeroOrMore = 0.0
    flip: bool = False
    least_area: Annotated[float, Meta(gt=0, le=1, description="above 0, at most 1")] = 1.0
    brightness: ZeroOrMore = 0.0
    saturation: ZeroOrMore = 0.0

    def __post_init__(self) -> None:
        check_fields(self, "augmentation")


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A part of the training with its own freedom of subnets.

    Attributes:
        name: for messages and pictures.
        length: in optimiser steps or epochs, as the schedule says.
        learning_rate: the highest; it rises linearly at first and falls to 0 as half a cosine.
        subnets_per_step: how many, whose gradients each step sums.
        elastic: which kinds of genes vary in addition to the resolution, which always does.
        open_choices: (kind, how many) of those kinds of which only the largest choices are open yet.
        warm_up: share of the phase in which the learning rate rises.
    """

    name: str
    length: Positive
    learning_rate: Positive
    subnets_per_step: PositiveInt = 1
    elastic: tuple[str, ...] = ()
    open_choices: tuple[tuple[str, PositiveInt], ...] = ()
    warm_up: Annotated[float, Meta(ge=0, lt=1, description="at least 0, below 1")] = 0.1

    def __post_init__(self) -> None:
        check_fields(self, "phase")
        kinds = tuple(kind for kind in ELASTIC if kind != "resolution")
        if not set(self.elastic) <= set(kinds):
            raise InvalidValueError("phase.elastic", self.elastic, f"chosen from {', '.join(kinds)}")
        if not {kind for kind, _ in self.open_choices} <= set(self.elastic):
            raise InvalidValueError("phase.open_choices", self.open_choices, "of kinds that are elastic")

    def learning_rate_at(self, step: int) -> float:
        """Return learning rate of a step counted from the phase's first; its length is in steps."""
        warm_up = max(1, int(self.length * self.warm_up)) if self.warm_up else 0
        if step < warm_up:
            return self.learning_rate * (step + 1) / warm_up
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / (self.length - warm_up)))


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Progressive shrinking (Cai et al. 2020): the full net, then ever smaller subnets taught by it.

    Attributes:
        name: as on the command line.
        phases: in order; where the first trains the full net alone, it teaches the later ones.
        batch_size: images a step, in all processes together.
        weight_decay: on weights of convolutions.
        label_smoothing: of the cross-entropy with the labels.
        distillation: weight of the cross-entropy with the teacher's answer, where that with the labels has 1.
        augmentation: of the training images.
        smallest_share, largest_share: of the steps of later phases in which the smallest subnet of the phase, or the
            full net, takes the place of a random one: the ends of the space, which random draws hardly reach.
        sandwich: instead, both ends are trained in every step of later phases (Yu and Huang 2019).
        teacher: the full net as the first phase left it, or, in a sandwich, as it answers in the same step.
        optimiser: AdamW (Loshchilov and Hutter 2019) or SGD with Nesterov's momentum of 0.9.
        group_size: images that batch norms normalise together, None for all of a step; a step's groups are computed
            one after the other or by several processes, with the same result.
        unit: of the lengths of the phases.
    """

    name: str
    phases: tuple[Phase, ...]
    batch_size: Annotated[int, Meta(ge=2, description="at least 2, for batch norms")]
    weight_decay: float
    label_smoothing: float
    distillation: float
    augmentation: Augmentation
    smallest_share: ZeroOrMore = 0.0
    largest_share: ZeroOrMore = 0.0
    sandwich: bool = False
    teacher: Literal["first phase", "same step"] = "first phase"
    optimiser: Literal["adamw", "sgd"] = "adamw"
    group_size: int | None = None
    unit: Literal["steps", "epochs"] = "steps"

    def __post_init__(self) -> None:
        check_fields(self, "schedule")
        if not self.phases:
            raise InvalidValueError("schedule.phases", self.phases, "one or more")
        if self.group_size is not None and (self.group_size < 2 or self.batch_size % self.group_size):
            raise InvalidValueError("schedule.group_size", self.group_size, f"a divisor of {self.batch_size} above 1")
        shares = (self.smallest_share, self.largest_share)
        if sum(shares) > 1:
            raise InvalidValueError("schedule.smallest_share, largest_share", shares, "together at most 1")
        fewest = min((phase.subnets_per_step for phase in self.phases if phase.elastic), default=2)
        if self.sandwich and fewest < 2:
            raise InvalidValueError("schedule.subnets_per_step", fewest, "at least 2 for a sandwich")
        if self.teacher == "same step" and not self.sandwich:
            raise InvalidValueError("schedule.teacher", self.teacher, "the first phase where there is no sandwich")

    @property
    def steps(self) -> int:
        """Optimiser steps of all phases.

        Raises:
            InvalidValueError: the schedule counts in epochs; see :meth:`in_steps`.
        """
        if self.unit != "steps":
            raise InvalidValueError("schedule.unit", self.unit, "steps, once the number of images is known")
        return sum(int(phase.length) for phase in self.phases)

    def in_steps(self, images: int) -> "Schedule":
        """Return the same in steps, for ``images`` training images; an epoch ends with its last whole batch."""
        if self.unit == "steps":
            return self
        an_epoch = max(1, images // self.batch_size)
        phases = (dataclasses.replace(phase, length=max(1, round(phase.length * an_epoch))) for phase in self.phases)
        return dataclasses.replace(self, phases=tuple(phases), unit="steps")

    def for_one_subnet(self) -> "Schedule":
        """Return an equally long schedule of the same rate for one subnet: nothing shrinks, and there is no teacher."""
        first = self.phases[0]
        alone = Phase(
            name=first.name,
            length=sum(phase.length for phase in self.phases),
            learning_rate=first.learning_rate,
            warm_up=first.warm_up,
        )
        return dataclasses.replace(self, phases=(alone,))

    def groups(self, images: int) -> int:
        """Return how many groups the batches of ``images`` training images fall into."""
        return 1 if self.group_size is None else max(1, min(self.batch_size, images) // self.group_size)

    def locate(self, step: int) -> tuple[int, int]:
        """(phase, step in it) of a step, both counted from 0.

        Raises:
            InvalidValueError: the schedule has no such step.
        """
        left = step
        for index, phase in enumerate(self.phases):
            if 0 <= left < phase.length:
                return index, left
            left -= int(phase.length)
        raise InvalidValueError("step", step, f"in 0..{self.steps - 1}")


@dataclass(frozen=True)
class NamedSchedule:
    """A schedule and the spaces that it is made for.

    Attributes:
        schedule: how to train.
        spaces: names of spaces.
    """

    schedule: Schedule
    spaces: tuple[str, ...] = ()


def _parse(name: str, table: dict[str, object]) -> NamedSchedule:
    fields = {**table, "name": name}
    spaces = check_record(fields.pop("spaces", []), tuple[str, ...], "schedule.spaces")
    return NamedSchedule(check_record(fields, Schedule, "schedule"), spaces)


SCHEDULES = Catalogue[NamedSchedule](
    "schedule", files("codesign.supernet.training") / "schedules", "codesign.schedules", _parse
)


def schedule_names(space: str | None = None) -> tuple[str, ...]:
    """Return the names of the known schedules, sorted: all of them, or those made for the space of that name."""
    names = SCHEDULES.names()
    return names if space is None else tuple(name for name in names if space in SCHEDULES.load(name).spaces)


def load_schedule(source: Source) -> Schedule:
    """Return the schedule of a name, the path of a TOML file or a record of one; see :meth:`Catalogue.load`."""
    return SCHEDULES.load(source).schedule
