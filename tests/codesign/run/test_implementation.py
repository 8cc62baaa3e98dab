import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from codesign.cli.main import app
from codesign.run.folder import Run
from codesign.run.implementation import check_implementation, parse_implementation
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.errors import InvalidValueError, UnknownNameError


def test_no_choice_and_the_recorded_one_pass() -> None:
    for recorded in Implementation:
        check_implementation(None, recorded, "which it is", "do otherwise")
        check_implementation(recorded.value, recorded, "which it is", "do otherwise")


def test_another_one_is_refused_and_an_unknown_one_named() -> None:
    with pytest.raises(InvalidValueError, match="must be hls, which it is; leave it out, or do otherwise, got 'rtl'"):
        check_implementation("rtl", Implementation.HLS, "which it is", "do otherwise")
    with pytest.raises(UnknownNameError, match="implementation: must be one of hls, rtl, got 'rtl2'; did you mean"):
        parse_implementation("rtl2")


def files(folder: Path) -> dict[Path, bytes]:
    """What a folder holds, less the mark of the process at work in it."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".claim"}


@pytest.mark.parametrize(
    "command",
    [
        ("emit", "RUN"),
        ("csim", "RUN"),
        ("build", "RUN"),
        ("build", "RUN", "--bundle"),
        ("build", "RUN", "--tool", "csim"),
        ("deploy", "RUN", "--board", "pynq-z2", "--via", "twin"),
        ("twin", "--project", "RUN/project"),
        ("calibrate", "plan", "--project", "RUN/project", "--board", "pynq-z2", "--budget", "3", "--out", "RUN/plan"),
    ],
    ids=" ".join,
)
def test_every_command_refuses_another_implementation_in_one_line(
    command: tuple[str, ...], finished_run: Run, tmp_path: Path
) -> None:
    run = Run(Path(shutil.copytree(finished_run.folder, tmp_path / "run")))
    before = files(run.folder)
    arguments = [part.replace("RUN", str(run.folder)) for part in command]
    done = CliRunner().invoke(app, [*arguments, "--implementation", "rtl"])
    assert done.exit_code == 2
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith(f"codesign: --implementation: must be hls, which {run.folder}")
    assert line.endswith(", got 'rtl'")
    assert files(run.folder) == before


def test_a_template_with_one_implementation_takes_no_choice(finished_run: Run) -> None:
    for command in ("search", "emit", "csim"):
        done = CliRunner().invoke(
            app, [command, str(finished_run.folder), "--template", "hls4ml", "--implementation", "rtl"]
        )
        expected = "codesign: --implementation: must be left out with --template hls4ml: hls4ml has one, got 'given'"
        assert done.stderr.strip() == expected


def test_the_search_and_the_project_say_which_it_is(finished_run: Run) -> None:
    assert json.loads(finished_run.configuration.read_text())["search"]["implementation"] == "hls"
    assert json.loads((finished_run.project / "project.json").read_text())["implementation"] == "hls"
