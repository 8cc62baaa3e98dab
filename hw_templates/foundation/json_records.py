"""JSON from outside the process, decoded by msgspec into checked values: any defect becomes one line naming it."""

import csv
import difflib
import json
import pickle
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, ClassVar, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import msgspec

from hw_templates.foundation.atomic_file import write_text_atomically
from hw_templates.foundation.errors import CodesignError, InvalidValueError, StorageError

T = TypeVar("T")

Positive = Annotated[float, msgspec.Meta(gt=0, le=sys.float_info.max, description="a positive number")]
PositiveInt = Annotated[int, msgspec.Meta(ge=1, description="a positive whole number")]
Finite = Annotated[float, msgspec.Meta(ge=-sys.float_info.max, le=sys.float_info.max, description="a finite number")]
ZeroOrMore = Annotated[float, msgspec.Meta(ge=0, le=sys.float_info.max, description="a number, zero or more")]
"""Types of fields with limits; the description of a limit is what messages say would be right."""

MALFORMED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    csv.Error,
    pickle.UnpicklingError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""What parsers and constructors raise on content that they were not made for."""

# How msgspec words its errors, for example: Expected `int`, got `str` - at `$.runs[3].layer.stride`.
_PLACE = re.compile(r"(?P<what>.*?)(?: - at `\$(?P<place>[^`]*)`)?", re.DOTALL)
_WRONG_TYPE = re.compile(r"Expected `(?P<expected>[^`]*)`, got `(?P<got>[^`]*)`")
_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]*)`")
_STEP = re.compile(r"\.(?P<field>[^.\[]+)|\[(?P<index>\d+)\]|\[\.\.\.\]")
_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "object": "an object",
    "array": "a list",
}


class Record:
    """Base of a dataclass that is the content of a JSON file.

    Attributes:
        FORMAT: version of the file's layout. It is written as ``format``; a file without that entry has format 1.
        FORMAT_KEYS: names under which earlier versions wrote it, too.
    """

    FORMAT: ClassVar[int] = 1
    FORMAT_KEYS: ClassVar[tuple[str, ...]] = ("format",)


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
    except MALFORMED as error:
        raise StorageError(f"{source}: is corrupt ({_one_line(error)}){ending}") from error


def parse_json(content: bytes | str, kind: type[T], name: str) -> T:
    """Decode JSON text as a value of type ``kind``, most often a dataclass.

    Types are checked strictly: no number from text, no whole number from a fraction or a truth value. Unknown and
    missing fields of dataclasses, NaN and numbers beyond the range of a float are errors. A field whose type is
    ``Annotated`` with a ``msgspec.Meta`` is checked against its limits, such as :data:`Positive`.

    Args:
        content: the text; bytes must be UTF-8.
        kind: the expected type.
        name: what the content is, such as "plan"; messages name fields as ``plan.runs[3].layer``.

    Raises:
        InvalidValueError: the text is not JSON or does not describe a ``kind``, or its constructor refuses a value.
    """
    try:
        value = msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise InvalidValueError(name, _excerpt(content, str(error)), f"sound JSON ({_one_line(error)})") from error
    return check_record(value, kind, name)


def check_record(value: object, kind: type[T], name: str) -> T:
    """Build a ``kind`` from plain values (dictionaries, lists, text, numbers), checked as by :func:`parse_json`.

    Raises:
        InvalidValueError: the values do not describe a ``kind``, or have another format than a :class:`Record`; the
            message names the field.
    """
    if isinstance(kind, type) and issubclass(kind, Record) and isinstance(value, Mapping):
        value = without_format(value, kind.FORMAT, name, kind.FORMAT_KEYS)
    try:
        record = msgspec.convert(value, kind, dec_hook=_array)
    except (msgspec.ValidationError, RecursionError) as error:
        raise _refusal(value, kind, name, _one_line(error)) from error
    for refusal in _unknown_fields(value, record, name):
        raise refusal
    return record


def without_format(
    values: Mapping[str, object], expected: int, name: str, keys: Sequence[str] = ("format",)
) -> dict[str, object]:
    """Return a file's values without their format, which is under one of ``keys``, and 1 where it is not stated.

    Raises:
        InvalidValueError: the format is not the ``expected`` one.
    """
    stated = next((values[key] for key in keys if key in values), 1)
    if type(stated) is not int or stated != expected:
        raise InvalidValueError(f"{name}.format", stated, f"{expected}, which this version reads")
    return {key: value for key, value in values.items() if key not in keys}


def read_json(path: Path, kind: type[T], advice: str) -> T:
    """Decode a JSON file as a value of type ``kind``; see :func:`parse_json`.

    Raises:
        StorageError: the file is missing, cannot be read, is not JSON, or does not describe a ``kind``. The message
            names the file and the field, and ends with ``advice``.
    """
    with reading(path, advice):
        return parse_json(path.read_bytes(), kind, path.stem)


def record_line(record: Record, indent: int | None = None) -> str:
    """Return the JSON object that holds a record and begins with its ``format``, in one line without ``indent``."""
    return json.dumps({"format": record.FORMAT, **asdict(cast(Any, record))}, indent=indent, default=_listed)


def record_text(record: Record, *, wide: bool = False) -> str:
    """Return the content of the file that holds a record; ``wide`` writes each of its fields on one line."""
    if not wide:
        return record_line(record, indent=2) + "\n"
    values = {"format": record.FORMAT, **asdict(cast(Any, record))}
    lines = (f" {json.dumps(name)}: {json.dumps(value, default=_listed)}" for name, value in values.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def write_record(path: Path, record: Record, *, wide: bool = False) -> None:
    """Write a record to its file, atomically, as :func:`record_text` writes it; :func:`read_json` is the inverse.

    Raises:
        StorageError: the file cannot be written.
    """
    write_text_atomically(path, record_text(record, wide=wide))


def _listed(array: Any) -> Any:
    return array.tolist()


def _array(kind: Any, values: Any) -> Any:
    """Return a field of a type that msgspec does not know: an array of numbers, or the value itself."""
    if getattr(get_origin(kind), "__name__", None) != "ndarray":
        return values
    # Most commands read no arrays and start faster without numpy.
    import numpy as np

    array = np.array(values)
    if array.size and array.dtype.kind not in "iuf":
        raise ValueError("a list of numbers")
    return array.astype(get_args(get_args(kind)[1])[0])


def check_fields(record: object, name: str) -> None:
    """Check the fields of a dataclass instance against their declared types, as strictly as a file's.

    A dataclass calls it first in its ``__post_init__``, so that a value built in Python obeys what one read from a
    file does. A whole number may stand for a float.

    Raises:
        InvalidValueError: a field holds a value of another type, or NaN.
    """
    own: Any = type(record)
    for field, kind in _field_types(own):
        found = _plain(getattr(record, field))
        try:
            converted = msgspec.convert(found, kind)
        except msgspec.ValidationError as error:
            raise _refusal(found, kind, f"{name}.{field}", _one_line(error)) from error
        # msgspec also converts, for example a list into a tuple or text into an enumeration's member.
        same = type(converted) is type(found) or isinstance(converted, float)
        if not same or converted != found:
            raise InvalidValueError(f"{name}.{field}", found, _described(kind))


def _plain(value: Any) -> Any:
    """The value with floats in place of its subclasses, such as numpy's, which msgspec does not know."""
    if isinstance(value, float):
        return float(value)
    if type(value) is dict:
        return {key: _plain(entry) for key, entry in value.items()}
    return tuple(map(_plain, value)) if type(value) is tuple else value


@cache
def _field_types(record: Any) -> tuple[tuple[str, Any], ...]:
    hints = get_type_hints(record, include_extras=True)
    return tuple((field.name, hints[field.name]) for field in fields(record))


def _refusal(value: object, kind: Any, name: str, message: str) -> InvalidValueError:
    """The error for what msgspec says of ``value``."""
    found = _PLACE.fullmatch(message)
    what, place = (found["what"], found["place"] or "") if found else (message, "")
    place, part, part_kind = _at(value, kind, place)
    if missing := _MISSING.fullmatch(what):
        return _missing_field(part, part_kind, f"{name}{place}", missing["field"])
    if wrong := _WRONG_TYPE.fullmatch(what):
        expected = " or ".join(_WORDS.get(word, word) for word in wrong["expected"].split(" | "))
        return InvalidValueError(name + place, part, expected)
    options = get_args(part_kind) if get_origin(part_kind) in (Union, UnionType) else (part_kind,)
    limits = (meta.description for option in options for meta in getattr(option, "__metadata__", ()))
    limit = next(filter(None, limits), None)
    if limit is not None or (isinstance(part_kind, type) and issubclass(part_kind, Enum)):
        return InvalidValueError(name + place, part, limit or _described(part_kind))
    return InvalidValueError(name + place, part, f"valid ({what})")


def _missing_field(part: object, kind: Any, place: str, field: str) -> InvalidValueError:
    """The error for a field that is not there, or is there misspelt or in another unit."""
    known = {known.name for known in fields(kind)} if is_dataclass(kind) else set()
    for other in part if isinstance(part, Mapping) else ():
        if other not in known and _alike(str(other), field):
            return InvalidValueError(f"{place}.{_shown(other)}", part[other], f"given as {field}")  # type: ignore[index]
    return InvalidValueError(f"{place}.{field}", None, "given")


def _alike(first: str, second: str) -> bool:
    """Whether two names differ only in their unit, as latency_ms and latency_us do, or in a few letters."""
    stem = first.rpartition("_")[0]
    same_stem = bool(stem) and stem == second.rpartition("_")[0]
    return same_stem or sorted(first) == sorted(second) or bool(difflib.get_close_matches(first, [second], cutoff=0.8))


def _at(value: object, kind: Any, place: str) -> tuple[str, object, Any]:
    """Return the name, the value and the type of a part at a place as msgspec writes it, as far as they can be told."""
    name = ""
    for step in _STEP.finditer(place):
        kind = _required(kind)
        if step["field"] is not None:
            name += step[0]
            kind = dict(_field_types(cast(Any, kind))).get(step["field"]) if is_dataclass(kind) else None
            value = value.get(step["field"]) if isinstance(value, Mapping) else None
            continue
        kind = next(iter(option for option in reversed(get_args(kind)) if option is not ...), None)
        if step["index"] is None and isinstance(value, Mapping):
            # msgspec does not name the entry of a dictionary.
            key, value = next(((key, entry) for key, entry in value.items() if not _is(entry, kind)), ("[...]", None))
            name += f".{_shown(key)}"
        else:
            known = step["index"] is not None and isinstance(value, list | tuple)
            value = value[int(step["index"])] if known else "a value of another type"  # type: ignore[index]
            name += step[0]
    return name, value, _required(kind)


def _is(value: object, kind: Any) -> bool:
    """Whether a plain value describes a ``kind``."""
    try:
        msgspec.convert(value, kind)
    except (msgspec.ValidationError, CodesignError, RecursionError):
        return False
    return True


def _required(kind: Any) -> Any:
    """The type of a field that may be null when it is not."""
    options = get_args(kind)
    return next(option for option in options if option is not type(None)) if type(None) in options else kind


def _described(kind: Any) -> str:
    kind = get_args(kind)[0] if hasattr(kind, "__metadata__") else kind
    if isinstance(kind, type):
        if issubclass(kind, Enum):
            return f"one of {', '.join(str(member.value) for member in kind)}"
        return _WORDS.get(kind.__name__, f"of type {kind.__name__}")
    return f"of type {getattr(get_origin(kind), '__name__', kind)}"


def _unknown_fields(value: object, record: object, name: str) -> Iterator[InvalidValueError]:
    """Yield an error for each entry of ``value`` that a dataclass in ``record`` has no field for."""
    if is_dataclass(record) and isinstance(value, Mapping):
        known = {field.name for field in fields(record)}
        for key in value.keys() - known:
            near = next((field for field in sorted(known) if _alike(str(key), field)), None)
            expected = f"given as {near}" if near else "a known field"
            yield InvalidValueError(f"{name}.{_shown(key)}", value[key], expected)
        for key in known & value.keys():
            yield from _unknown_fields(value[key], getattr(record, key), f"{name}.{key}")
    elif isinstance(record, Mapping) and isinstance(value, Mapping):
        for key in record:
            yield from _unknown_fields(value.get(key), record[key], f"{name}.{_shown(key)}")
    elif isinstance(record, list | tuple) and isinstance(value, list | tuple):
        for index, (part, found) in enumerate(zip(value, record, strict=True)):
            yield from _unknown_fields(part, found, f"{name}[{index}]")


def _excerpt(content: bytes | str, message: str) -> bytes | str:
    """The part of JSON text around the byte that msgspec names."""
    byte = re.search(r"byte (\d+)", message)
    begin = max(0, int(byte[1]) - 20) if byte else 0
    return content[begin : begin + 40]


def _shown(key: object) -> str:
    """A key as messages name it: short, on one line, without what a terminal would obey."""
    text = str(key)[:40]
    return text if text.isprintable() else ascii(text)


def _one_line(error: BaseException) -> str:
    words = " ".join(str(error).split())
    text = "".join(letter if letter.isprintable() else "?" for letter in words)
    return text if isinstance(error, msgspec.MsgspecError) else f"{type(error).__name__}: {text}"[:200]
