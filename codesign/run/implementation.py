"""The implementation of the engine that a command works with: what its search or project records, and no other."""

from pathlib import Path

from codesign.run.folder import read_json
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.errors import InvalidValueError, UnknownNameError
from hw_templates.project.record import PROJECT_FILE, ProjectRecord


def parse_implementation(name: str) -> Implementation:
    """Return the implementation of a name.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if name not in set(Implementation):
        raise UnknownNameError("implementation", name, Implementation)
    return Implementation(name)


def check_implementation(asked: str | None, recorded: Implementation, source: str, otherwise: str) -> None:
    """Refuse another implementation than the one that an earlier command recorded.

    Args:
        asked: name of the implementation asked for; None for the recorded one, whichever it is.
        recorded: what was recorded.
        source: says where, to follow the implementation's name.
        otherwise: what to do for the other one.

    Raises:
        InvalidValueError: another one is asked for, or one that does not exist.
    """
    if asked is not None and parse_implementation(asked) != recorded:
        raise InvalidValueError("implementation", str(asked), f"{recorded}, {source}; leave it out, or {otherwise}")


def read_project(project: Path, asked: str | None = None) -> ProjectRecord:
    """Return the record of an emitted project, whose implementation is the one asked for.

    Args:
        project: folder of the project.
        asked: name of an implementation; None for that of the project.

    Raises:
        InvalidValueError: the project is of another implementation, or there is none of that name.
        StorageError: nothing is emitted there, or the record is damaged.
    """
    record = read_json(project / PROJECT_FILE, ProjectRecord)
    check_implementation(
        asked,
        record.implementation,
        f"which {project} was emitted for",
        f"search with --implementation {asked} and emit again",
    )
    return record
