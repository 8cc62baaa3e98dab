"""Reading JSON into checked dataclasses: every defect is one line that names file and field."""

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.mutations import drive, mutated_json

from hw_templates.foundation.arrays import FloatArray
from hw_templates.foundation.errors import InvalidValueError, StorageError
from hw_templates.foundation.json_records import (
    Positive,
    PositiveInt,
    Record,
    ZeroOrMore,
    check_fields,
    check_record,
    parse_json,
    read_json,
    reading,
    record_text,
    write_record,
)


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Part:
    size: int
    share: float = 1.0
    colour: Colour = Colour.RED

    def __post_init__(self) -> None:
        if self.size == 7:
            raise InvalidValueError("part.size", self.size, "another")
        if self.size == 8:
            raise ValueError("eight is not allowed")


@dataclass(frozen=True)
class Whole:
    name: str
    parts: tuple[Part, ...] = ()
    by_name: dict[str, Part] | None = None


@dataclass(frozen=True)
class Limited:
    share: ZeroOrMore
    count: PositiveInt | None = None
    powers: dict[str, Positive] | None = None

    def __post_init__(self) -> None:
        check_fields(self, "limited")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"share": -1}, "limited.share: must be a number, zero or more, got -1"),
        ({"share": "1"}, "limited.share: must be a number, got '1'"),
        ({"share": 1, "count": 0}, "limited.count: must be a positive whole number, got 0"),
        ({"share": 1, "count": 1.5}, "limited.count: must be a whole number or null, got 1.5"),
        ({"share": 1, "powers": {"a": 1, "b": 0}}, "limited.powers.b: must be a positive number, got 0"),
    ],
)
def test_limits_hold_for_files_and_constructors(fields, message):
    for make in (lambda: Limited(**fields), lambda: parse_json(json.dumps(fields), Limited, "limited")):
        with pytest.raises(InvalidValueError) as caught:
            make()
        assert str(caught.value) == message
    with pytest.raises(InvalidValueError, match=r"limited\.share: must be a number, zero or more, got inf"):
        Limited(float("inf"))
    assert Limited(0.0, 1, {"a": 0.5}) == parse_json('{"share": 0, "count": 1, "powers": {"a": 0.5}}', Limited, "x")


@dataclass(frozen=True)
class Columns(Record):
    times: FloatArray
    shares: dict[str, FloatArray]
    more: object = None


def test_arrays_are_written_and_read_as_lists():
    columns = Columns(np.array([1.0, 2.5]), {"a": np.zeros((1, 2))}, [1])
    for wide in (False, True):
        text = record_text(columns, wide=wide)
        assert json.loads(text) == {"format": 1, "times": [1.0, 2.5], "shares": {"a": [[0.0, 0.0]]}, "more": [1]}
        read = parse_json(text, Columns, "columns")
        assert (read.times.dtype, read.times.tolist(), read.more) == (np.float64, [1.0, 2.5], [1])
    assert record_text(columns, wide=True).count("\n") == 6
    for times in ('"x"', '["1"]', "[[1], 2]", "[true]", "[1.5, true]", "[[1], [2, 3]]", "null"):
        with pytest.raises(InvalidValueError, match=r"columns\.times"):
            parse_json(f'{{"times": {times}, "shares": {{}}}}', Columns, "columns")


def test_a_sound_record_is_read_with_its_nested_values():
    text = '{"name": "x", "parts": [{"size": 1, "share": 2}], "by_name": {"a": {"size": 3, "colour": "red"}}}'
    assert parse_json(text, Whole, "whole") == Whole("x", (Part(1, 2.0),), {"a": Part(3)})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"name": 3}', "whole.name: must be text, got 3"),
        ("{}", "whole.name: must be given, got None"),
        (
            '{"name": "x", "parts": [{"size": 1}, {"size": 1.0}]}',
            "whole.parts[1].size: must be a whole number, got 1.0",
        ),
        ('{"name": "x", "parts": [{"size": true}]}', "whole.parts[0].size: must be a whole number, got True"),
        ('{"name": "x", "parts": [{"size": 1, "share": 1e999}]}', "whole: must be sound JSON (Number out of range"),
        ('{"name": "x", "parts": [{"size": 1, "share": NaN}]}', "whole: must be sound JSON"),
        (
            '{"name": "x", "parts": [{"size": 1, "colour": "blue"}]}',
            "whole.parts[0].colour: must be one of red, got 'blue'",
        ),
        ('{"name": "x", "parts": [{"size": 7}]}', "part.size: must be another, got 7"),
        ('{"name": "x", "parts": [{"size": 8}]}', "whole.parts[0]: must be valid (eight is not allowed), got {"),
        ('{"name": "x", "parts": [{"size": 1, "sise": 2}]}', "whole.parts[0].sise: must be a known field, got 2"),
        ('{"name": "x", "by_name": {"a": {"size": 1, "b": 2}}}', "whole.by_name.a.b: must be a known field, got 2"),
        ('{"name": "x", "by_name": {"a": {"size": "1"}}}', "whole.by_name.a.size: must be a whole number"),
        ('{"name": "x", "by_name": 3}', "whole.by_name: must be an object or null, got 3"),
        ('{"name": "x", "parts": [{"size_kib": 1}]}', "whole.parts[0].size: must be given, got None"),
        ('{"name_text": "x"}', "whole.name: must be given, got None"),
        ("[]", "whole: must be an object, got []"),
        ("", "whole: must be sound JSON"),
        ('{"name": "x", "more": ' + "[" * 100_000, "whole: must be sound JSON"),
        ('{"name": 1' + "0" * 5000 + "}", "whole"),
        ("\ud800", "whole: must be sound JSON"),
        (b"\xff", "whole: must be sound JSON"),
    ],
)
def test_a_defect_is_one_line_that_names_the_field(text, message):
    with pytest.raises(InvalidValueError) as caught:
        parse_json(text, Whole, "whole")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda c: st.lists(c) | st.dictionaries(st.text(), c),
    )
)
def test_any_plain_value_is_read_or_refused(value):
    try:
        record = check_record(value, Whole, "whole")
    except InvalidValueError as error:
        message = str(error)
    else:
        message = f"whole {record}"
    assert message.startswith("whole")


def test_a_file_is_named_and_the_advice_given(tmp_path: Path):
    path = tmp_path / "plan.json"
    with pytest.raises(StorageError, match=r"plan\.json: is missing; plan first"):
        read_json(path, Whole, "plan first")
    path.write_text(json.dumps({"name": "x", "parts": [{}]}))
    with pytest.raises(StorageError, match=r"plan\.json: plan\.parts\[0\]\.size: must be given, got None; plan first"):
        read_json(path, Whole, "plan first")
    path.write_text('{"name": "x"}')
    assert read_json(path, Whole, "plan first") == Whole("x")
    with pytest.raises(StorageError, match=r"cannot be read \(Is a directory\)"):
        read_json(tmp_path, Whole, "")


@pytest.mark.parametrize("error", [KeyError("a"), ValueError("b"), RecursionError(), OverflowError("x"), EOFError()])
def test_errors_of_parsers_become_one_that_names_the_source(error: Exception):
    with pytest.raises(StorageError, match=r"^table: is corrupt \(\w+Error"), reading("table"):
        raise error


def test_any_spoilt_record_is_read_or_refused_in_one_line():
    sound = {"name": "x", "parts": [{"size": 1, "share": 2.5}], "by_name": {"a": {"size": 3, "colour": "red"}}}
    accepted, refused = drive(lambda content: parse_json(content, Whole, "whole"), mutated_json(sound, 3_000))
    assert accepted > 100
    assert refused > 1_000


@pytest.mark.parametrize("key", ["a\nb", "a\u2028b", "a\x1b[31mb", "a" * 5_000])
def test_a_hostile_name_of_a_field_is_shown_on_one_short_line(key: str):
    with pytest.raises(InvalidValueError) as refused:
        parse_json(json.dumps({"name": "x", key: 1}), Whole, "whole")
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 120


@dataclass(frozen=True)
class Checked:
    count: int
    share: float
    colour: Colour
    pairs: tuple[tuple[int, int], ...] = ()
    part: Part | None = None

    def __post_init__(self) -> None:
        check_fields(self, "checked")


def test_a_constructor_takes_values_of_the_declared_types():
    made = Checked(3, 2, Colour.RED, ((1, 2),), Part(1))
    assert (made.share, made.part) == (2, Part(1))
    assert Checked(3, np.float64(0.5), Colour.RED).share == 0.5


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"count": 64.5}, "checked.count: must be a whole number, got 64.5"),
        ({"count": True}, "checked.count: must be a whole number, got True"),
        ({"count": float("nan")}, "checked.count: must be a whole number, got nan"),
        ({"count": np.int64(3)}, "checked.count: must be a whole number, got"),
        ({"share": float("nan")}, "checked.share: must be a number, got nan"),
        ({"share": "1"}, "checked.share: must be a number, got '1'"),
        ({"colour": "red"}, "checked.colour: must be one of red, got 'red'"),
        ({"colour": "blue"}, "checked.colour: must be one of red, got 'blue'"),
        ({"pairs": [(1, 2)]}, "checked.pairs: must be"),
        ({"pairs": ([1, 2],)}, "checked.pairs: must be"),
        ({"pairs": ((1, 2.0),)}, "checked.pairs[0][1]: must be a whole number, got 2.0"),
        ({"part": {"size": 1}}, "checked.part: must be"),
    ],
)
def test_a_constructor_refuses_values_of_other_types(changed, message):
    with pytest.raises(InvalidValueError) as caught:
        Checked(**{"count": 3, "share": 0.5, "colour": Colour.RED, **changed})
    assert str(caught.value).startswith(message)


@dataclass(frozen=True)
class FileRecord(Record):
    FORMAT = 2
    name: str
    parts: tuple[Part, ...] = ()


def test_a_record_is_written_with_its_format_and_read_back(tmp_path: Path):
    path, record = tmp_path / "part.json", FileRecord("x", (Part(1),))
    write_record(path, record)
    assert path.read_text() == record_text(record)
    assert json.loads(path.read_text()) == {
        "format": 2,
        "name": "x",
        "parts": [{"size": 1, "share": 1.0, "colour": "red"}],
    }
    assert read_json(path, FileRecord, "delete it") == record


@pytest.mark.parametrize(("stated", "shown"), [({}, "1"), ({"format": 3}, "3"), ({"format": 2.0}, "2.0")])
def test_a_record_of_another_format_is_refused_in_one_line(tmp_path: Path, stated: dict[str, object], shown: str):
    path = tmp_path / "part.json"
    path.write_text(json.dumps({**stated, "name": "x", "other": 1}))
    with pytest.raises(StorageError) as refused:
        read_json(path, FileRecord, "repeat it")
    assert str(refused.value) == (f"{path}: part.format: must be 2, which this version reads, got {shown}; repeat it")
