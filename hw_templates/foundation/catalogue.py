"""Catalogues of named definitions: TOML files of a package, entry points of other packages, and a user's own files."""

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Generic, TypeVar

from hw_templates.foundation.errors import CodesignError, InvalidValueError, StorageError, UnknownNameError
from hw_templates.foundation.json_records import reading
from hw_templates.foundation.regular_file import read_regular

T = TypeVar("T")

_SUFFIX = ".toml"
_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class OwnFile:
    """A definition in a user's own TOML file, as a run records it.

    Attributes:
        file: absolute path of the file.
        content: what it held when it was recorded.
    """

    file: str
    content: dict[str, object]


Source = str | OwnFile
"""A name, the path of a TOML file, or the record of such a file."""


class Catalogue(Generic[T]):
    """Everything of one kind that has a name.

    A definition is found by its name, which is that of its TOML file in the package's folder or of an entry point of
    another package, or by the path of a TOML file anywhere, whose name without ``.toml`` is then its name.

    Args:
        kind: what is defined, as messages call it: "space".
        folder: the package's TOML files.
        group: entry points of other packages; each leads to a value like those that ``parse`` returns, or to the path
            of a TOML file.
        parse: makes a value of a name and the content of a TOML file.
    """

    def __init__(
        self, kind: str, folder: Traversable, group: str, parse: Callable[[str, dict[str, object]], T]
    ) -> None:
        self._kind, self._folder, self._group, self._parse = kind, folder, group, parse

    @cached_property
    def _files(self) -> dict[str, Traversable]:
        return {
            entry.name.removesuffix(_SUFFIX): entry for entry in self._folder.iterdir() if entry.name.endswith(_SUFFIX)
        }

    @cached_property
    def _entry_points(self) -> EntryPoints:
        return entry_points(group=self._group)

    def names(self) -> tuple[str, ...]:
        """Return all names, sorted."""
        return tuple(sorted({*self._files, *self._entry_points.names}))

    @cached_property
    def built_in(self) -> dict[str, T]:
        """Values of the package's own files, by name."""
        return {name: self._parse(name, tomllib.loads(file.read_text("utf-8"))) for name, file in self._files.items()}

    def load(self, source: Source) -> T:
        """Return what a name, the path of a TOML file or a record of one stands for.

        Raises:
            UnknownNameError: no definition has the name.
            StorageError: a file is missing, breaks a rule, takes a name that exists, or differs from its record; or an
                entry point does, cannot be loaded, or leads to something else.
        """
        if isinstance(source, OwnFile):
            path = Path(source.file)
            if path.exists() and self._table(path) != source.content:
                raise StorageError(
                    f"{path}: differs from the {self._kind} that the run began with; restore it, or give the changed "
                    "one another name and another run folder"
                )
            return self._load_file(path, source.content)
        if source.endswith(_SUFFIX):
            return self._load_file(Path(source), self._table(Path(source)))
        if entries := [*self._entry_points.select(name=source)]:
            return self._load_entry_point(entries)
        if source not in self._files:
            names = self.names()
            raise UnknownNameError(self._kind, source, names, f"one of {', '.join(names)}, or a TOML file by its path")
        return self.built_in[source]

    def record(self, source: Source) -> Source:
        """Return what a run records of a source: a name as it is, a TOML file with its content.

        Raises:
            StorageError: the file cannot be read.
        """
        if isinstance(source, OwnFile) or not source.endswith(_SUFFIX):
            return source
        path = Path(source).resolve()
        return OwnFile(str(path), self._table(path))

    def text(self, source: str) -> str:
        """Return the TOML text of a definition, to begin another one with.

        Raises:
            UnknownNameError: no definition has the name.
            StorageError: it breaks a rule.
            InvalidValueError: an entry point defines it, which has no such text.
        """
        self.load(source)
        if source.endswith(_SUFFIX):
            return Path(source).read_text("utf-8")
        if source not in self._files:
            raise InvalidValueError(self._kind, source, f"one with a TOML file: {', '.join(sorted(self._files))}")
        return self._files[source].read_text("utf-8")

    def _table(self, path: Path) -> dict[str, object]:
        with reading(path, "correct it"):
            return tomllib.loads(read_regular(path, _MOST_BYTES).decode())

    def _load_file(self, path: Path, table: dict[str, object]) -> T:
        with reading(path):
            if "name" in table:
                raise InvalidValueError(f"{self._kind}.name", table["name"], "left out, as the file's name is the name")
            value = self._parse(path.stem, table)
            if self.built_in.get(path.stem, value) != value:
                expected = f"another file name, as {path.stem} comes with this package"
                raise InvalidValueError(f"{self._kind}.name", path.stem, expected)
        return value

    def _load_entry_point(self, entries: list[EntryPoint]) -> T:
        value, entry = load_entry_point(entries, self._kind, taken=entries[0].name in self._files)
        if isinstance(value, Path | str) and str(value).endswith(_SUFFIX):
            try:
                return self._parse(entry.name, self._table(Path(value)))
            except CodesignError as error:
                raise unsound(entry, str(error)) from error
        kinds = set(map(type, self.built_in.values()))
        if type(value) not in kinds:
            expected = " or ".join(sorted(kind.__name__ for kind in kinds))
            raise unsound(entry, f"is of type {type(value).__name__}, not {expected}")
        stated = getattr(value, "name", entry.name)
        if stated != entry.name:
            raise unsound(entry, f"is called {stated}, not {entry.name}")
        found: T = value
        return found


def load_entry_point(entries: Sequence[EntryPoint], kind: str, *, taken: bool) -> tuple[Any, EntryPoint]:
    """Return the value of the only entry point of a name, and the entry point.

    Args:
        entries: the entry points of that name.
        kind: what they define, as messages call it.
        taken: whether something of this package has the name.

    Raises:
        StorageError: the name is that of another definition, or the entry point cannot be loaded.
    """
    entry = entries[0]
    if len(entries) > 1 or taken:
        raise StorageError(
            f"{_named(entry)}: takes a name that another {kind} has; rename it or uninstall {_package(entry)}"
        )
    try:
        value = entry.load()
    except Exception as error:
        words = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise unsound(entry, f"cannot be loaded ({words})") from error
    return value, entry


def unsound(entry: EntryPoint, reason: str) -> StorageError:
    """Return the error for an entry point that leads to nothing of use."""
    return StorageError(f"{_named(entry)}: {reason}; repair or uninstall {_package(entry)}")


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.value


def _named(entry: EntryPoint) -> str:
    return f"entry point {entry.name} of {entry.group}, package {_package(entry)}"
