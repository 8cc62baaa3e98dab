"""Messages begin with what the user wrote, whatever the field is called inside."""

import pytest

from codesign.cli.group import explain
from hw_templates.foundation.errors import InfeasibleError, InvalidValueError, StorageError

NAMES = {"run": "RUN", "board": "--board", "preset": "--preset", "seed": "--seed", "budget": "--budget"}


@pytest.mark.parametrize(
    ("command", "field", "shown"),
    [
        ("search", "board", "--board"),
        ("train", "train.seed", "--seed"),
        ("train", "schedule", "--preset"),
        ("plan", "plan.budget", "--budget"),
        ("deploy", "board.host", "--board: host"),
        ("search", "run", "RUN"),
        # Of no option: another command's setting, and a value from inside.
        ("search", "train.seed", "train.seed"),
        ("search", "accelerator.board", "accelerator.board"),
        ("search", "budgets", "budgets"),
    ],
)
def test_a_field_is_named_as_the_option_that_sets_it(command: str, field: str, shown: str) -> None:
    line = explain(InvalidValueError(field, 7, "smaller"), command, NAMES)
    assert line == f"{shown}: must be smaller, got 7"


def test_a_limit_that_nothing_meets_is_named_as_its_option() -> None:
    names = {"max_latency_ms": "--max-latency-ms"}
    assert explain(InfeasibleError("max_latency_ms: no pair"), "winner", names) == "--max-latency-ms: no pair"
    assert explain(InfeasibleError("the front is empty: no pair"), "winner", names) == "the front is empty: no pair"


def test_other_errors_stay_as_they_are_on_one_line() -> None:
    assert explain(StorageError("board: is missing"), "search", NAMES) == "board: is missing"
    assert explain(StorageError("x: two\nlines"), "search", NAMES) == "x: two lines"
