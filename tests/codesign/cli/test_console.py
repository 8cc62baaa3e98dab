"""What a command shows: bars or lines, a log, errors as one line and an exit code."""

import io
import itertools
import json
import os
import pty
import queue
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from codesign.cli.console import ConsoleProgress, in_session
from codesign.cli.group import group
from codesign.cli.main import _options
from codesign.cli.main import app as codesign
from codesign.cli.options import Seed
from codesign.cli.progress_lines import INTERVAL_S, ProgressLines
from codesign.run.choices import WinnerRule
from hw_templates.foundation.arrays import IntArray
from hw_templates.foundation.errors import (
    CodesignError,
    ExtrapolationWarning,
    InvalidValueError,
    StorageError,
    VerificationError,
)


def run_command(work: Callable[[ConsoleProgress], None], *arguments: str) -> Result:
    """Run a command that does ``work`` in a session."""
    app = group()

    @app.command()
    @in_session
    def train(console: ConsoleProgress, seed: Seed = 0) -> None:
        work(console)

    app.callback()(_options)

    return CliRunner().invoke(app, arguments or ("train",))


@dataclass(frozen=True)
class Found:
    """A result with all that JSON does not know by itself."""

    folder: Path
    counts: IntArray
    share: float
    kind: WinnerRule = WinnerRule.KNEE


FOUND = Found(Path("runs/x"), np.array([1, 2]), 0.5)


def found_lines(found: Found) -> Iterator[str]:
    yield f"share {found.share:.0%}"


def test_a_result_is_shown_as_lines() -> None:
    done = run_command(lambda console: print(console.show(FOUND, found_lines) is FOUND))
    assert done.stdout == "share 50%\nTrue\n"


def test_a_result_is_one_json_document_on_standard_output_and_all_else_on_standard_error(tmp_path: Path) -> None:
    def work(console: ConsoleProgress) -> None:
        with console.stage("work") as update:
            update(0.5, "half")
        console.say("said")
        console.show(FOUND, found_lines)

    done = run_command(work, "train", "--json", "--log-file", str(tmp_path / "run.log"))
    expected = {"folder": "runs/x", "counts": [1, 2], "share": 0.5, "kind": "knee"}
    assert (json.loads(done.stdout), done.stderr) == (expected, "said\n")
    assert [line.split(" ", 1)[1] for line in (tmp_path / "run.log").read_text().splitlines()][1:] == [
        "said",
        "share 50%",
    ]


def test_a_command_of_several_results_keeps_in_its_json_document_what_was_reached_before_an_error() -> None:
    def work(console: ConsoleProgress) -> None:
        console.show(FOUND, found_lines, "first")
        console.show((), lambda _: (), "second")
        raise VerificationError("the third differs")

    done = run_command(work, "train", "--json")
    assert (done.exit_code, done.stderr) == (1, "codesign: the third differs\n")
    document = json.loads(done.stdout)
    assert (list(document), document["first"]["share"], document["second"]) == (["first", "second"], 0.5, [])
    assert run_command(failing(StorageError("a: is missing")), "train", "--json").stdout == ""


def failing(error: BaseException) -> Callable[[ConsoleProgress], None]:
    def work(_: ConsoleProgress) -> None:
        raise error

    return work


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
        (InvalidValueError("train.seed", 1, "0 as before"), 2, "codesign: --seed: must be 0 as before, got 1"),
        (VerificationError("c differs"), 1, "codesign: c differs"),
        (KeyboardInterrupt(), 130, "codesign: stopped; the same command goes on from here"),
    ],
)
def test_what_goes_wrong_is_one_line_and_an_exit_code(
    tmp_path: Path, error: BaseException, code: int, line: str
) -> None:
    log = tmp_path / "run.log"
    done = run_command(failing(error), "train", "--log-file", str(log))
    assert (done.exit_code, done.stderr) == (code, line + "\n")
    assert log.read_text().endswith(f" {line}\n")


def test_what_is_warned_of_is_one_line_once(tmp_path: Path) -> None:
    def work(_progress: ConsoleProgress) -> None:
        for _ in range(3):
            warnings.warn("coefficients mine: pe_rows 64 is outside of 8 to 16", ExtrapolationWarning, stacklevel=1)

    done = run_command(work, "--log-file", str(tmp_path / "run.log"), "train")
    line = "codesign: warning: coefficients mine: pe_rows 64 is outside of 8 to 16\n"
    assert done.stderr == line
    assert (tmp_path / "run.log").read_text().count(line) == 1

    def of_others(_: ConsoleProgress) -> None:
        warnings.warn("of others", UserWarning, stacklevel=1)

    assert isinstance(run_command(of_others).exception, UserWarning)


def test_a_log_that_cannot_be_kept_is_refused_before_any_work(tmp_path: Path) -> None:
    done = run_command(failing(AssertionError("work began")), "train", "--log-file", str(tmp_path))
    assert done.exit_code == 2
    assert done.stderr.startswith("codesign: --log-file: must be a file that can be written")


def test_lines_of_progress_are_written_while_a_command_works(monkeypatch: pytest.MonkeyPatch) -> None:
    began = threading.Event()
    monkeypatch.setattr(ProgressLines, "run", lambda self, wait: began.set())
    done = run_command(lambda _: print(began.wait(timeout=60)))
    assert done.stdout == "True\n"


def test_of_processes_that_train_together_only_the_first_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str | None] = []

    def running(self: ConsoleProgress, name: str | None) -> AbstractContextManager[None]:
        told.append(name)
        return nullcontext()

    monkeypatch.setattr(ConsoleProgress, "running", running)
    for rank in ("0", "1"):
        CliRunner().invoke(codesign, ["train", "new", "--space", "none"], env={"RANK": rank})
    assert told == ["train", None]


@pytest.mark.parametrize("before", [True, False])
def test_a_log_keeps_what_is_said(tmp_path: Path, before: bool) -> None:
    log = ("--log-file", str(tmp_path / "run.log"))
    for text in ("once", "again"):
        done = run_command(
            lambda progress, text=text: progress.say(text), *((*log, "train") if before else ("train", *log))
        )
        assert done.stdout == f"{text}\n"
    lines = [line.split(" ", 1)[1] for line in (tmp_path / "run.log").read_text().splitlines()]
    assert [line for line in lines if "version" not in line] == ["once", "again"]


class Terminal(io.StringIO):
    """Text that is written to a terminal."""

    def isatty(self) -> bool:
        return True


def lines_of(console: Console) -> list[str]:
    """What is logged in the background while a stage says nothing."""
    ticks = itertools.count(step=INTERVAL_S)
    logged: queue.Queue[str] = queue.Queue()
    progress = ConsoleProgress(console, logged.put, clock=lambda: next(ticks))
    with progress.stage("joint search") as update:
        update(0.5, "half")
        with progress.running(None):
            lines = [logged.get(timeout=60)]
    while not logged.empty():
        lines.append(logged.get())
    return lines


@pytest.mark.parametrize("forced", [True, None])
def test_lines_of_progress_hold_no_control_characters_where_output_is_kept(
    monkeypatch: pytest.MonkeyPatch, forced: bool | None
) -> None:
    kept = io.StringIO()
    logged = lines_of(Console(file=kept, force_terminal=forced))
    printed = kept.getvalue().splitlines()
    assert printed == logged
    assert printed[0].startswith("joint search: 50%, half, ")
    assert "\x1b" not in kept.getvalue()
    assert "\r" not in kept.getvalue()


def test_a_terminal_shows_bars_and_its_log_keeps_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    shown = Terminal()
    logged = lines_of(Console(file=shown, force_terminal=True, force_interactive=True, width=100))
    assert logged[0].startswith("joint search: 50%, half, ")
    assert "elapsed" not in shown.getvalue()
    assert "\x1b" in shown.getvalue()


def test_a_real_terminal_is_drawn_on() -> None:
    main, end = pty.openpty()
    try:
        with os.fdopen(end, "w") as file:
            console = Console(file=file, width=80, _environ={"TERM": "xterm"})
            assert ConsoleProgress(console)._draws
            assert not ConsoleProgress(Console(file=file, _environ={"TERM": "dumb"}))._draws
    finally:
        os.close(main)


def test_a_session_tells_of_work_outside_of_stages() -> None:
    ticks = itertools.count(step=INTERVAL_S)
    logged: queue.Queue[str] = queue.Queue()
    progress = ConsoleProgress(Console(file=io.StringIO()), logged.put, clock=lambda: next(ticks))
    with progress.running("train"):
        assert logged.get(timeout=60).startswith("train: ")
