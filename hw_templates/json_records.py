"""JSON from outside the process, decoded by msgspec into checked values: any defect becomes one line naming it."""

import csv
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from hw_templates.errors import CodesignError, InvalidValueError, StorageError

T = TypeVar("T")

# How msgspec words its errors, for example: Expected `int`, got `str` - at `$.runs[3].layer.stride`.
_PLACE = re.compile(r"(?P<what>.*?)(?: - at `\$(?P<place>[^`]*)`)?", re.DOTALL)
_WRONG_TYPE = re.compile(r"Expected `(?P<expected>[^`]*)`, got `(?P<got>[^`]*)`")
_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]*)`")
# What parsers and constructors raise on content that they were not made for.
_MALFORMED = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
    csv.Error,
)


@contextmanager
def reading(source: object, advice: str = "") -> Iterator[None]:
    """Convert errors from an unreadable or malformed ``source`` into a one-line ``StorageError``.

    Args:
        source: the file, or what else is being read; the message begins with it.
        advice: what the user can do about it; the message ends with it.

    Raises:
        StorageError: instead of any error that missing files, malformed content or invalid values raise.
    """
    ending = f"; {advice}" if advice else ""
    try:
        yield
    except StorageError:
        raise
    except CodesignError as error:
        raise StorageError(f"{source}: {error}{ending}") from error
    except FileNotFoundError as error:
        raise StorageError(f"{source}: is missing{ending}") from error
    except OSError as error:
        raise StorageError(f"{source}: cannot be read ({error.strerror or error}){ending}") from error
    except _MALFORMED as error:
        raise StorageError(f"{source}: is corrupt ({_one_line(error)}){ending}") from error


def parse_json(content: bytes | str, kind: type[T], name: str) -> T:
    """Decode JSON text as a value of type ``kind``, most often a dataclass.

    Types are checked strictly: no number from text, no whole number from a fraction or a truth value. Unknown and
    missing fields of dataclasses, NaN and numbers beyond the range of a float are errors.

    Args:
        content: the text; bytes must be UTF-8.
        kind: the expected type.
        name: what the content is, such as "plan"; messages name fields as ``plan.runs[3].layer``.

    Raises:
        InvalidValueError: the text is not JSON or does not describe a ``kind``, or its constructor refuses a value.
    """
    try:
        return check_record(msgspec.json.decode(content), kind, name)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise InvalidValueError(name, content[:40], f"sound JSON ({_one_line(error)})") from error


def check_record(value: object, kind: type[T], name: str) -> T:
    """Build a ``kind`` from plain values (dictionaries, lists, text, numbers), checked as by :func:`parse_json`.

    Raises:
        InvalidValueError: the values do not describe a ``kind``; the message names the field.
    """
    try:
        record = msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise _refusal(name, _one_line(error)) from error
    for field in _unknown_fields(value, record, name):
        raise InvalidValueError(field, _Unquoted("an unknown field"), "left out")
    return record


def read_json(path: Path, kind: type[T], advice: str) -> T:
    """Decode a JSON file as a value of type ``kind``; see :func:`parse_json`.

    Raises:
        StorageError: the file is missing, cannot be read, is not JSON, or does not describe a ``kind``. The message
            names the file and the field, and ends with ``advice``.
    """
    with reading(path, advice):
        return parse_json(path.read_bytes(), kind, path.stem)


def _refusal(name: str, message: str) -> InvalidValueError:
    found = _PLACE.fullmatch(message)
    what, place = (found["what"], found["place"] or "") if found else (message, "")
    if wrong := _WRONG_TYPE.fullmatch(what):
        return InvalidValueError(
            name + place, _Unquoted(wrong["got"]), wrong["expected"].replace("object", "an object")
        )
    if missing := _MISSING.fullmatch(what):
        return InvalidValueError(f"{name}{place}.{missing['field']}", _Unquoted("nothing"), "given")
    return InvalidValueError(name + place, _Unquoted(what), "a valid value")


class _Unquoted(str):
    """Words that stand in a message in place of a value."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _unknown_fields(value: object, record: object, name: str) -> Iterator[str]:
    """Name the entries of ``value`` that a dataclass in ``record`` has no field for."""
    if is_dataclass(record) and isinstance(value, Mapping):
        known = {field.name for field in fields(record)}
        yield from (f"{name}.{_shown(key)}" for key in value if key not in known)
        for key in known & value.keys():
            yield from _unknown_fields(value[key], getattr(record, key), f"{name}.{key}")
    elif isinstance(record, Mapping) and isinstance(value, Mapping):
        for key in record:
            yield from _unknown_fields(value.get(key), record[key], f"{name}.{_shown(key)}")
    elif isinstance(record, list | tuple) and isinstance(value, list | tuple):
        for index, (part, found) in enumerate(zip(value, record, strict=True)):
            yield from _unknown_fields(part, found, f"{name}[{index}]")


def _shown(key: object) -> str:
    """A key as messages name it: short, on one line, without what a terminal would obey."""
    text = str(key)[:40]
    return text if text.isprintable() else ascii(text)


def _one_line(error: BaseException) -> str:
    words = " ".join(str(error).split())
    text = "".join(letter if letter.isprintable() else "?" for letter in words)
    return text if isinstance(error, msgspec.MsgspecError) else f"{type(error).__name__}: {text}"[:200]
