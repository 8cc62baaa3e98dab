"""Spoilt copies of a sound sample, the same ones for the same seed, to drive a reader with.

A fuzz test of a reader takes one sound sample and reads thousands of spoilt copies of it::

    def test_any_plan_is_read_or_refused_in_one_line():
        accepted, refused = drive(read_plan_bytes, mutated_json(SOUND_PLAN, 2_000, seed=0))
        assert accepted and refused > 1_000

:func:`mutated_bytes` spoils any content, :func:`mutated_text` content made of words and numbers (XML, reports, CSV),
:func:`mutated_json` plain values, which it writes as JSON text, :func:`mutated_fields` dictionaries for other formats.
:func:`drive` allows a reader to return or to raise a
``CodesignError`` whose message is one line; for anything else it fails, and shows the input. Both counts should be
asserted: a reader that refuses everything is not driven by the sample.
"""

import json
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from hw_templates.foundation.errors import CodesignError

T = TypeVar("T")

HOSTILE_JSON = (
    "null", "true", "false", "0", "-1", "0.5", "1e30", "-0.0", "1e999", "-1e999", "NaN", "Infinity", "1" + "0" * 400,
    "9223372036854775808", '""', '"x"', '"NaN"', r'"\u0000"', r'"\ud800"', '"\\n\\u001b[31m"', '"' + "x" * 5_000 + '"',
    "[]", "{}", "[[]]", '{"x": null}', "[1]", "[null]", "[" * 100_000, '{"a":' * 20_000,
)  # fmt: skip
"""JSON text that stands where another value is expected."""

HOSTILE_TEXT = (
    "", "nan", "inf", "-inf", "1e999", "-1e999", "-1", "0", "1" + "0" * 400, "0x", "٣", "²", "\0", "\n", "\r", "\t",
    "\ufeff", "\u2028", "<", "&", "]]>", "<!DOCTYPE x [<!ENTITY e 'e'>]>", "&e;", ",", ";", "|", "x" * 5_000,
    "../../etc/passwd",
)  # fmt: skip
"""Words that stand where another word or number is expected."""

_ENDINGS = ("_", "\n", "\0", "\u2028", "\x1b[31m", "x" * 5_000)
_PLACE = "\ue000 here \ue001"


def mutated_bytes(sample: bytes, count: int, seed: int = 0) -> Iterator[bytes]:
    """``count`` copies of ``sample``, each with one to three faults.

    A fault is a flipped bit, other bytes, a truncation, an insertion, a missing part, a repeated part, or a length of
    little or big endian that is extreme.
    """
    chance = random.Random(seed)
    for _ in range(count):
        content = sample
        for _ in range(chance.randint(1, 3)):
            content = chance.choice(_BYTE_FAULTS)(content, chance)
        yield content


def mutated_text(sample: str, count: int, seed: int = 0) -> Iterator[bytes]:
    """``count`` copies of ``sample`` in UTF-8: some words and numbers are hostile ones, some bytes are spoilt."""
    chance = random.Random(seed)
    words = [match.span() for match in re.finditer(r"\w[\w.+-]*", sample)] or [(0, len(sample))]
    for _ in range(count):
        if chance.random() < 0.4:
            yield next(mutated_bytes(sample.encode(), 1, chance.randrange(1 << 30)))
            continue
        text = sample
        for first, last in sorted(chance.sample(words, min(len(words), chance.randint(1, 3))), reverse=True):
            text = text[:first] + chance.choice(HOSTILE_TEXT) + text[last:]
        yield text.encode()


def mutated_json(sample: Any, count: int, seed: int = 0) -> Iterator[bytes]:
    """``count`` JSON texts of ``sample`` with one or two faults each.

    A fault is a value replaced by one of :data:`HOSTILE_JSON` or by another value of the sample, a missing or an
    unknown field, or a repeated or missing item; some texts are spoilt as bytes instead.
    """
    chance = random.Random(seed)
    text = json.dumps(sample)
    for _ in range(count):
        if chance.random() < 0.2:
            yield next(mutated_bytes(text.encode(), 1, chance.randrange(1 << 30)))
            continue
        values = {"": json.loads(text)}
        tokens: list[str] = []
        for _ in range(chance.randint(1, 2)):
            _spoil_value(values, chance, tokens)
        spoilt = json.dumps(values[""])
        for index, token in enumerate(tokens):
            spoilt = spoilt.replace(json.dumps(f"{_PLACE}{index}"), token)
        yield spoilt.encode()


def mutated_fields(
    sample: Mapping[str, Any], hostile: Sequence[Any], count: int, seed: int = 0
) -> Iterator[dict[str, Any]]:
    """``count`` copies of a dictionary, which may hold others, to be written as other formats than JSON.

    In each, one to three values are replaced by one of ``hostile``, left out, or given another name.
    """
    chance = random.Random(seed)
    for _ in range(count):
        copy = dict(sample)
        for _ in range(chance.randint(1, 3)):
            holder, key = copy, chance.choice(sorted(copy, key=str))
            while isinstance(holder[key], Mapping) and holder[key] and chance.random() < 0.7:
                holder[key] = dict(holder[key])
                holder = holder[key]
                key = chance.choice(sorted(holder, key=str))
            fault = chance.random()
            if fault < 0.8 or len(holder) == 1:
                holder[key] = chance.choice(hostile)
            else:
                value = holder.pop(key)
                if fault < 0.9:
                    holder[f"{key}{chance.choice(_ENDINGS)}"] = value
        yield copy


def drive(read: Callable[[T], object], inputs: Iterable[T]) -> tuple[int, int]:
    """Read every input; how many were accepted, and how many refused with a one-line ``CodesignError``.

    Raises:
        AssertionError: the reader raised anything else, or its message has several lines or none.
    """
    accepted = refused = 0
    for index, content in enumerate(inputs):
        try:
            read(content)
        except CodesignError as error:
            message = str(error)
            assert message.strip(), f"input {index} is refused without a word: {_shown(content)}"
            assert len(message.splitlines()) == 1, f"input {index} is refused in several lines ({message!r})"
            refused += 1
        except Exception as error:
            raise AssertionError(
                f"input {index} raises {type(error).__name__} ({str(error)[:200]}): {_shown(content)}"
            ) from error
        else:
            accepted += 1
    return accepted, refused


def from_file(path: Path, read: Callable[[], object]) -> Callable[[bytes], None]:
    """The reader of bytes that puts them into the file ``path``, which ``read`` reads.

    The file is a new one each time: to truncate an old one waits for the disk.
    """

    def read_content(content: bytes) -> None:
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        read()

    return read_content


def _shown(content: object) -> str:
    text = repr(content)
    return text if len(text) <= 400 else f"{text[:200]} ... {text[-200:]}"


def _slots(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key or index) below a value."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _slots(value[key])


def _spoil_value(values: dict[str, Any], chance: random.Random, tokens: list[str]) -> None:
    """Spoil one place of the tree below ``values``; texts that no value stands for go into ``tokens``."""
    slots = list(_slots(values))
    container, key = chance.choice(slots)
    fault = chance.random()
    if fault < 0.6 or container is values:
        container[key] = f"{_PLACE}{len(tokens)}"
        tokens.append(chance.choice(HOSTILE_JSON))
    elif fault < 0.7:
        other, there = chance.choice(slots)
        container[key] = json.loads(json.dumps(other[there]))
    elif fault < 0.85 or isinstance(container, dict):
        if fault < 0.85:
            del container[key]
        else:
            container[f"{key}{chance.choice(_ENDINGS)}"] = container.pop(key) if fault < 0.92 else None
    else:
        container.insert(key, container[key])


def _flip(content: bytes, chance: random.Random) -> bytes:
    if not content:
        return b"\0"
    at = chance.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1 :]


def _overwrite(content: bytes, chance: random.Random) -> bytes:
    at, new = chance.randrange(len(content) + 1), chance.randbytes(chance.choice((1, 2, 4, 16)))
    return content[:at] + new + content[at + len(new) :]


def _truncate(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content) + 1)]


def _insert(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content) + 1)
    words = chance.choice(HOSTILE_TEXT).encode(), chance.randbytes(chance.choice((1, 8, 64)))
    return content[:at] + chance.choice(words) + content[at:]


def _remove(content: bytes, chance: random.Random) -> bytes:
    first = chance.randrange(len(content) + 1)
    return content[:first] + content[first + chance.choice((1, 2, 7, 64, 512)) :]


def _repeat(content: bytes, chance: random.Random) -> bytes:
    first = chance.randrange(len(content) + 1)
    last = first + chance.choice((1, 8, 64, 512))
    return content[:last] + content[first:]


def _extreme_length(content: bytes, chance: random.Random) -> bytes:
    size = chance.choice((2, 4, 8))
    value = chance.choice((0, 1, (1 << 8 * size - 1) - 1, 1 << 8 * size - 1, (1 << 8 * size) - 1))
    at = chance.randrange(len(content) + 1)
    return content[:at] + value.to_bytes(size, chance.choice(("big", "little"))) + content[at + size :]


_BYTE_FAULTS = (_flip, _overwrite, _truncate, _insert, _remove, _repeat, _extreme_length)
