from rich.console import Console

from codesign.cli import ConsoleProgress
from codesign.progress import Progress, Silent


def use(progress: Progress) -> int:
    with progress.stage("work") as update:
        update(0.5, "half")
        update(1.0, "done")
    progress.say("x [bold]y")
    return 1


def test_silent_progress_takes_everything_and_shows_nothing(capsys) -> None:
    assert use(Silent()) == 1
    assert capsys.readouterr().out == ""


def test_what_is_said_is_printed_as_it_is_and_not_wrapped(capsys) -> None:
    assert use(ConsoleProgress(Console(width=20))) == 1
    ConsoleProgress(Console(width=20)).say("word " * 20)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "x [bold]y"
    assert lines[1].split() == ["word"] * 20
