"""Reading JSON into checked dataclasses: every defect is one line that names file and field."""

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutations import drive, mutated_json

from hw_templates.errors import InvalidValueError, StorageError
from hw_templates.json_records import check_record, parse_json, read_json, reading


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


def test_a_sound_record_is_read_with_its_nested_values():
    text = '{"name": "x", "parts": [{"size": 1, "share": 2}], "by_name": {"a": {"size": 3, "colour": "red"}}}'
    assert parse_json(text, Whole, "whole") == Whole("x", (Part(1, 2.0),), {"a": Part(3)})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"name": 3}', "whole.name: must be str, got int"),
        ("{}", "whole.name: must be given, got nothing"),
        ('{"name": "x", "parts": [{"size": 1}, {"size": 1.0}]}', "whole.parts[1].size: must be int, got float"),
        ('{"name": "x", "parts": [{"size": true}]}', "whole.parts[0].size: must be int, got bool"),
        ('{"name": "x", "parts": [{"size": 1, "share": 1e999}]}', "whole: must be sound JSON (Number out of range"),
        ('{"name": "x", "parts": [{"size": 1, "share": NaN}]}', "whole: must be sound JSON"),
        ('{"name": "x", "parts": [{"size": 1, "colour": "blue"}]}', "whole.parts[0].colour"),
        ('{"name": "x", "parts": [{"size": 7}]}', "part.size: must be another, got 7"),
        ('{"name": "x", "parts": [{"size": 8}]}', "whole.parts[0]: must be a valid value, got eight is not allowed"),
        ('{"name": "x", "parts": [{"size": 1, "sise": 2}]}', "whole.parts[0].sise: must be left out"),
        ('{"name": "x", "by_name": {"a": {"size": 1, "b": 2}}}', "whole.by_name.a.b: must be left out"),
        ("[]", "whole: must be an object, got array"),
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
    with pytest.raises(
        StorageError, match=r"plan\.json: plan\.parts\[0\]\.size: must be given, got nothing; plan first"
    ):
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
