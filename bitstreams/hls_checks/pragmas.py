"""The pragmas of an HLS tool in C++ sources. Compilers do not know them, so they are read from the text."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bitstreams.hls_checks.ir import Place
from hw_templates.foundation.errors import StorageError

_PRAGMA = re.compile(r"^\s*#\s*pragma\s+HLS\s+(\w+)\s*(.*?)\s*(?://.*)?$", re.IGNORECASE)
_OPTION = re.compile(r"(\w+)\s*=\s*([\w.\->]+)|(\w+)")
_LABEL = re.compile(r"^\s*([A-Za-z_]\w*):(?!:)")


@dataclass(frozen=True)
class Pragma:
    """One pragma: where, its kind in capitals, and its options in small letters; an option without a value has none."""

    place: Place
    kind: str
    options: Mapping[str, str]


@dataclass(frozen=True)
class Sources:
    """The texts of C++ files by path, and the pragmas in them."""

    lines: Mapping[str, tuple[str, ...]]
    pragmas: tuple[Pragma, ...]

    def of_kind(self, kind: str) -> list[Pragma]:
        """Return the pragmas of a kind."""
        return [pragma for pragma in self.pragmas if pragma.kind == kind]

    def pipelines(self) -> list[Pragma]:
        """Return the pragmas that ask for a pipelined loop."""
        return [pragma for pragma in self.of_kind("PIPELINE") if "off" not in pragma.options]

    def label(self, place: Place) -> str:
        """Return the label of the statement at a line, which may stand on the line before; empty where it has none."""
        lines = self.lines.get(place.file, ())
        for number in (place.line, place.line - 1):
            if 0 < number <= len(lines) and (match := _LABEL.match(lines[number - 1])):
                return match[1]
        return ""

    def registers(self) -> frozenset[str]:
        """Return the names of arrays of registers: partitioned completely, along all dimensions."""
        return frozenset(
            _name(pragma)
            for pragma in self.of_kind("ARRAY_PARTITION")
            if "complete" in pragma.options
            and pragma.options.get("dim", "1") in ("0", "1")
            and not self._in_banks(pragma)
        )

    def banked(self) -> frozenset[str]:
        """Return the names of arrays that are partitioned along their first dimension, and not along all."""
        return frozenset(_name(pragma) for pragma in self.of_kind("ARRAY_PARTITION") if self._in_banks(pragma))

    def independent(self) -> frozenset[str]:
        """Return the names of arrays of which a pragma says that no iteration depends on another one by them."""
        return frozenset(
            _name(pragma)
            for pragma in self.of_kind("DEPENDENCE")
            if "false" in pragma.options.values() or "false" in pragma.options
        )

    def _in_banks(self, pragma: Pragma) -> bool:
        return pragma.options.get("dim") == "1"


def _name(pragma: Pragma) -> str:
    return re.split(r"\.|->", pragma.options.get("variable", ""))[-1]


def read_sources(paths: Iterable[Path]) -> Sources:
    """Read C++ files.

    Raises:
        StorageError: one cannot be read.
    """
    lines = {}
    for path in paths:
        try:
            lines[str(path)] = tuple(path.read_text().splitlines())
        except (OSError, UnicodeDecodeError) as error:
            raise StorageError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    pragmas = tuple(
        Pragma(Place(name, number), match[1].upper(), _options(match[2]))
        for name, text in lines.items()
        for number, line in enumerate(text, 1)
        if (match := _PRAGMA.match(line))
    )
    return Sources(lines, pragmas)


def _options(text: str) -> dict[str, str]:
    """Return options, the names and words of which count in any case.

    >>> _options("variable = sums inter FALSE")
    {'variable': 'sums', 'inter': '', 'false': ''}
    """
    return {
        (match[1] or match[3]).lower(): match[2]
        if match[1] and match[1].lower() == "variable"
        else (match[2] or "").lower()
        for match in _OPTION.finditer(text)
    }
