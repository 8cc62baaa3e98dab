import warnings

import pytest
import typer
from rich.console import Console

from codesign.console import ConsoleProgress, session
from hw_templates.errors import CodesignError, ExtrapolationWarning, StorageError, VerificationError


def test_what_is_said_is_printed_as_it_is_and_not_wrapped(capsys) -> None:
    progress = ConsoleProgress(Console(width=20))
    with progress.stage("work") as update:
        update(0.5, "half")
        update(1.0, "done")
    progress.say("x [bold]y")
    progress.say("word " * 20)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "x [bold]y"
    assert lines[1].split() == ["word"] * 20


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (StorageError("a: is missing"), 2, "codesign: a: is missing"),
        (CodesignError("b"), 2, "codesign: b"),
        (VerificationError("c differs"), 1, "codesign: c differs"),
        (KeyboardInterrupt(), 130, "codesign: stopped; the same command goes on from here"),
    ],
)
def test_what_goes_wrong_is_one_line_and_an_exit_code(capsys, error: BaseException, code: int, line: str) -> None:
    with pytest.raises(typer.Exit) as exit_, session():
        raise error
    assert exit_.value.exit_code == code
    assert capsys.readouterr().err == line + "\n"


def test_what_is_warned_of_is_one_line_once(capsys) -> None:
    with session():
        for _ in range(3):
            warnings.warn("coefficients mine: pe_rows 64 is outside of 8 to 16", ExtrapolationWarning, stacklevel=1)
    assert capsys.readouterr().err == "codesign: warning: coefficients mine: pe_rows 64 is outside of 8 to 16\n"
    with pytest.raises(UserWarning, match="of others"), session():
        warnings.warn("of others", UserWarning, stacklevel=1)
