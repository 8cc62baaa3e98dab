"""Schedules by name: those that come with the package, those of other packages, and a user's own TOML files."""

from dataclasses import dataclass
from importlib.resources import files

from codesign.supernet.training.schedule import Schedule
from hw_templates.foundation.catalogue import Catalogue, Source
from hw_templates.foundation.json_records import check_record


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
    fields = {field: value for field, value in table.items() if field != "spaces"}
    spaces = check_record(table.get("spaces", []), tuple[str, ...], "schedule.spaces")
    return NamedSchedule(check_record({**fields, "name": name}, Schedule, "schedule"), spaces)


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
