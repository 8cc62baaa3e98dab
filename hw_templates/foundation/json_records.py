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
from dataclasses import asdict, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from itertools import chain, repeat
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, ClassVar, TypeVar, Union, get_args, get_origin, get_type_hints

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

# How msgspec words its errors.
_WRONG_TYPE = re.compile(r"Expected `(?P<expected>[^`]*)`, got `[^`]*`")
_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]*)`")
_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "object": "an object",
    "array": "a list",
}


@dataclass(frozen=True)
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
        # The part of the text around the byte that msgspec names.
        byte = re.search(r"byte (\d+)", str(error))
        begin = max(0, int(byte[1]) - 20) if byte else 0
        raise InvalidValueError(name, content[begin : begin + 40], f"sound JSON ({_one_line(error)})") from error
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
        raise _refusal(value, kind, name) from error
    for refusal in _unknown_fields(value, kind, name):
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
    return json.dumps({"format": record.FORMAT, **asdict(record)}, indent=indent, default=_listed)


def record_text(record: Record, *, wide: bool = False) -> str:
    """Return the content of the file that holds a record; ``wide`` writes each of its fields on one line."""
    if not wide:
        return record_line(record, indent=2) + "\n"
    values = {"format": record.FORMAT, **asdict(record)}
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

    array = np.array(values, dtype=object)
    if not {*map(type, array.flat)} <= {int, float}:
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
    for field, kind in _field_types(own).items():
        found = _plain(getattr(record, field))
        try:
            converted = msgspec.convert(found, kind)
        except msgspec.ValidationError as error:
            raise _refusal(found, kind, f"{name}.{field}") from error
        # msgspec also converts, for example a list into a tuple or text into an enumeration's member.
        same = type(converted) is type(found) or isinstance(converted, float)
        if not same or converted != found:
            word = getattr(kind, "__name__", str(kind))
            raise InvalidValueError(f"{name}.{field}", found, _limits(kind) or _WORDS.get(word, f"of type {word}"))


def _plain(value: Any) -> Any:
    """The value with floats in place of its subclasses, such as numpy's, which msgspec does not know."""
    if isinstance(value, float):
        return float(value)
    if type(value) is dict:
        return {key: _plain(entry) for key, entry in value.items()}
    return tuple(map(_plain, value)) if type(value) is tuple else value


@cache
def _field_types(kind: Any) -> dict[str, Any]:
    """Name to type of a dataclass's fields; nothing for any other type."""
    if not is_dataclass(kind):
        return {}
    hints = get_type_hints(kind, include_extras=True)
    # What a class puts in the place of the type variables of a generic one, such as int in Parameters[int].
    bound = tuple(part for base in getattr(kind, "__orig_bases__", ()) for part in get_args(base))
    types = {field.name: hints[field.name] for field in fields(kind)}
    return {name: hint[bound] if getattr(hint, "__parameters__", ()) else hint for name, hint in types.items()}


def _refusal(value: object, kind: Any, name: str) -> InvalidValueError:
    """The error for a value that msgspec refuses; names the smallest part of it that is at fault."""
    for place, part, part_kind in _parts(value, kind, name):
        if _fault(part, part_kind):
            return _refusal(part, part_kind, place)
    fault = _fault(value, kind)
    if missing := _MISSING.fullmatch(fault):
        field = missing["field"]
        renamed = (error for error in _unknown_fields(value, kind, name) if error.expected == f"given as {field}")
        return next(renamed, InvalidValueError(f"{name}.{field}", None, "given"))
    if wrong := _WRONG_TYPE.fullmatch(fault):
        words = (_WORDS.get(word, word) for word in wrong["expected"].split(" | "))
        return InvalidValueError(name, value, " or ".join(words))
    return InvalidValueError(name, value, _limits(kind) or f"valid ({fault})")


def _fault(value: object, kind: Any) -> str:
    """Return msgspec's words against a value; nothing where it describes a ``kind``."""
    try:
        msgspec.convert(value, kind, dec_hook=_array)
    except (msgspec.ValidationError, RecursionError) as error:
        return _one_line(error)
    return ""


def _options(kind: Any) -> tuple[Any, ...]:
    """The types of a union; of any other type, this one."""
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _parts(value: object, kind: Any, name: str) -> Iterator[tuple[str, object, Any]]:
    """Yield place, value and type of each part of a plain value that is to describe a ``kind``."""
    for option in _options(kind):
        origin, inner = get_origin(option), [part for part in get_args(option) if part is not ...]
        known = _field_types(option)
        if isinstance(value, Mapping) and known:
            yield from ((f"{name}.{field}", value[field], known[field]) for field in known if field in value)
        elif isinstance(value, Mapping) and origin in (dict, Mapping):
            yield from ((f"{name}.{_shown(key)}", entry, inner[-1]) for key, entry in value.items())
        elif isinstance(value, list | tuple) and origin in (list, tuple):
            kinds = chain(inner, repeat(inner[-1]))
            yield from ((f"{name}[{index}]", *part) for index, part in enumerate(zip(value, kinds, strict=False)))


def _limits(kind: Any) -> str:
    """Return what the limits of a type, or the members of an enumeration, allow; nothing where it has neither."""
    for option in _options(kind):
        if isinstance(option, type) and issubclass(option, Enum):
            return f"one of {', '.join(str(member.value) for member in option)}"
        for limit in getattr(option, "__metadata__", ()):
            return getattr(limit, "description", None) or ""
    return ""


def _unknown_fields(value: object, kind: Any, name: str) -> Iterator[InvalidValueError]:
    """Yield an error for each entry of ``value`` that a dataclass of a ``kind`` has no field for."""
    for option in _options(kind):
        if _field_types(option) and isinstance(value, Mapping):
            # A field that is not given, but misspelt or in another unit, comes first.
            known = sorted(_field_types(option), key=lambda field: (field in value, field))
            for key in value.keys() - set(known):
                near = next((field for field in known if _alike(str(key), field)), None)
                expected = f"given as {near}" if near else "a known field"
                yield InvalidValueError(f"{name}.{_shown(key)}", value[key], expected)
    for place, part, part_kind in _parts(value, kind, name):
        if isinstance(part, dict | list | tuple):
            yield from _unknown_fields(part, part_kind, place)


def _alike(first: str, second: str) -> bool:
    """Say whether two names differ only in their unit, as latency_ms and latency_us do, or in a few letters."""
    stem = first.rpartition("_")[0]
    same_stem = bool(stem) and stem == second.rpartition("_")[0]
    return same_stem or sorted(first) == sorted(second) or bool(difflib.get_close_matches(first, [second], cutoff=0.8))


def _shown(key: object) -> str:
    """A key as messages name it: short, on one line, without what a terminal would obey."""
    text = str(key)[:40]
    return text if text.isprintable() else ascii(text)


def _one_line(error: BaseException) -> str:
    words = " ".join(str(error).split())
    text = "".join(letter if letter.isprintable() else "?" for letter in words)
    return text if isinstance(error, msgspec.MsgspecError) else f"{type(error).__name__}: {text}"[:200]
