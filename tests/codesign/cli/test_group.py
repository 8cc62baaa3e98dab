"""Help and usage errors as a user meets them."""

import os
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner, Result

from codesign import __version__
from codesign.cli.main import app

PIPELINE = ["train", "predictor", "search", "winner", "emit", "csim", "check", "build", "import", "deploy", "report"]
LATER = ["demo", "fetch", "twin", "boards", "calibrate", "bitstreams", "supernet"]


def codesign(*arguments: str, columns: int = 80, **variables: str) -> Result:
    return CliRunner().invoke(app, list(arguments), prog_name="codesign", env={"COLUMNS": str(columns), **variables})


def test_commands_stand_in_the_order_of_the_pipeline() -> None:
    text = codesign("--help").stdout.partition("Commands:\n")[2]
    assert re.findall(r"^  (\w+) ", text, re.MULTILINE) == [*PIPELINE, *LATER]
    assert "..." not in text


@pytest.mark.parametrize(("columns", "least"), [(80, 70), (140, 110), (200, 141)])
def test_help_is_as_wide_as_the_terminal(columns: int, least: int) -> None:
    command = [sys.executable, "-m", "codesign", "search", "-h"]
    environment = {**os.environ, "COLUMNS": str(columns)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    widest = max(len(line) for line in done.stdout.splitlines() if "Example" not in line)
    assert least <= widest <= columns


def test_each_example_stands_on_one_line() -> None:
    lines = codesign("search", "--help").stdout.splitlines()
    examples = [line.strip() for line in lines if "Example" in line]
    assert len(examples) == 4
    assert all(line.startswith("Example: codesign search runs/") for line in examples)
    assert examples[-1].endswith("--space ofa-mbv3-w1.2 --accuracy official --board zcu104")


def test_the_version_is_shown() -> None:
    assert codesign("--version").stdout == f"codesign {__version__}\n"


def test_completion_can_be_installed() -> None:
    assert "--install-completion" in codesign("-h").stdout
    script = codesign(_CODESIGN_COMPLETE="source_bash").stdout
    assert "complete" in script
    words = codesign(_CODESIGN_COMPLETE="complete_bash", COMP_WORDS="codesign deploy --via ", COMP_CWORD="3")
    assert words.stdout.split() == ["ssh", "remote", "local", "twin"]


@pytest.mark.parametrize(
    ("arguments", "choices"),
    [
        (("search", "RUN", "--accuracy"), "predictor|measured|official"),
        (("search", "RUN", "--template"), "engine|hls4ml"),
        (("emit", "RUN", "--template"), "engine|hls4ml"),
        (("csim", "RUN", "--template"), "engine|hls4ml"),
        (("build", "RUN", "--tool"), "vitis|csim"),
        (("deploy", "RUN", "--via"), "ssh|remote|local|twin"),
        (("calibrate", "run", "--via"), "ssh|remote|local|twin"),
        (("supernet", "export", "RUN", "--format"), "torch|onnx|ofa"),
        (("calibrate", "import"), "vta-tophub|ofa-dpu|mlperf-tiny|chaidnn"),
    ],
)
def test_choices_are_shown_and_others_refused_with_the_nearest(arguments: tuple[str, ...], choices: str) -> None:
    assert f"<{choices}>" in codesign(*(name for name in arguments if name.islower() and "-" not in name), "-h").stdout
    first = choices.partition("|")[0]
    done = codesign(*arguments, first[:-1])
    assert done.exit_code == 2
    assert re.fullmatch(
        rf"codesign: (--\w+|KIND): must be one of {choices.replace('|', ', ')}, got '{first[:-1]}'; "
        rf"did you mean '{first}'\?\n",
        done.stderr,
    )


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("serach",), "No such command 'serach'. Did you mean 'search'?"),
        (("boards", "--bord"), "No such option: --bord"),
        (("train",), "Missing argument 'RUN'."),
        (("deploy", "runs/x"), "Missing option '--board'."),
        (("search", "x", "--pairs", "0"), "--pairs: must be greater than or equal to 1, got '0'"),
        (("search", "x", "--pairs", "many"), "--pairs: must be a valid integer, got 'many'"),
        (("supernet", "info", "digit"), "SPACE: must be one of "),
        (("fetch", "acc_predictor"), "NAMES: must be files or folders that `codesign fetch --list` shows"),
    ],
)
def test_what_cannot_be_understood_is_one_line(arguments: tuple[str, ...], line: str) -> None:
    done = codesign(*arguments)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"codesign: {line}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("group", [(), ("calibrate",), ("bitstreams",), ("supernet",)])
def test_a_group_alone_shows_its_help(group: tuple[str, ...]) -> None:
    done = codesign(*group)
    assert done.exit_code == 2
    assert done.stderr == codesign(*group, "--help").stdout


def test_one_import_command_is_listed_and_the_older_spelling_still_works() -> None:
    assert not re.search(r"^  import ", codesign("bitstreams", "-h").stdout, re.MULTILINE)
    assert re.search(r"^  import ", codesign("-h").stdout, re.MULTILINE)
    done = [codesign(*names, "no-file.tar") for names in (("import",), ("bitstreams", "import"))]
    assert done[0].exit_code == done[1].exit_code == 2
    assert done[0].stderr == done[1].stderr
    assert done[0].stderr.startswith("codesign: no-file.tar: ")


def test_the_log_file_can_be_named_by_the_environment(tmp_path) -> None:
    done = codesign("boards", CODESIGN_LOG_FILE=str(tmp_path / "run.log"))
    assert done.exit_code == 0
    assert "codesign boards, version" in (tmp_path / "run.log").read_text()
