"""The command line as a user meets it: exit codes, and the one line that says what is wrong."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from support.json_file import read_json, write_json
from typer.testing import CliRunner, Result

from codesign.cli.main import app
from codesign.emit.network import PROGRAM_FILES
from codesign.run.folder import Run
from codesign.run.searched import load_searched
from codesign.supernet.spaces.named import load_space
from codesign.supernet.training.checkpoint import read_checkpoint
from hw_templates.project.render import files_sha256

VERBS = ("train", "predictor", "search", "winner", "emit", "csim", "report", "boards", "demo")


def codesign(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def check_refused(done: Result, *words: str) -> None:
    """Exit code 2 and one line that holds all the words."""
    assert done.exit_code == 2, done.output
    line = done.stderr.strip()
    assert "\n" not in line
    for word in words:
        assert word in line, line


@pytest.fixture
def run(finished_run: Run, tmp_path: Path) -> Run:
    """A copy of the finished run, to be damaged."""
    shutil.copytree(finished_run.folder, tmp_path / "run")
    return Run(tmp_path / "run")


def test_help_lists_the_commands_and_each_command_has_help_with_an_example() -> None:
    overview = codesign("--help").stdout
    for command in VERBS:
        assert command in overview
        text = codesign(command, "--help").stdout
        assert "Example: codesign" in text


def test_python_starts_the_command_line_as_torchrun_does() -> None:
    done = subprocess.run([sys.executable, "-m", "codesign", "--help"], capture_output=True, text=True, check=True)
    assert "train" in done.stdout


def test_boards_are_listed() -> None:
    done = codesign("boards")
    assert done.exit_code == 0
    for name in ("pynq-z2", "ultra96-v2", "zcu104", "kv260"):
        assert name in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "new", "--space", "imagenet"), ("--space: must be one of", "imagenet", "digits")),
        (("train", "new", "--preset", "long"), ("--preset: must be one of", "long", "digits")),
        (("train", "new", "--space", "cifar10"), ("--data: must be", "a folder of images for space cifar10")),
        (("train", "new", "--space", "cifar10", "--data", "/nowhere"), ("/nowhere", "no such folder")),
        (("train", "new", "--space", "ofa-mbv3-w1.0"), ("--preset: must be", "ofa-mbv3-w1.0", "ofa-imagenet")),
        (("train", "new", "--subnet", "middle"), ("--subnet: must be largest, smallest, or a JSON file", "'middle'")),
        (("train", "new", "--start-from", "/nowhere"), ("/nowhere", "no train in this run yet")),
        (("search", "new", "--board", "zedboard"), ("--board: must be one of", "zedboard", "pynq-z2")),
        (("predictor", "new"), ("no train in this run yet", "codesign train")),
        (("search", "new"), ("no train in this run yet",)),
        (
            ("search", "new", "--accuracy", "guess"),
            ("--accuracy: must be one of predictor, measured, official", "guess"),
        ),
        (("search", "new", "--accuracy", "official"), ("--space: must be given",)),
        (
            ("search", "new", "--accuracy", "official", "--space", "digits"),
            ("--space: ", "digits", "ofa-mbv3-w1.2"),
        ),
        (("winner", "new"), ("no search in this run yet", "codesign search")),
        (("emit", "new"), ("no search in this run yet", "codesign search")),
        (("emit", "new", "--max-latency-ms", "-1"), ("--max-latency-ms: must be positive", "-1")),
        (
            ("emit", "new", "--max-latency-ms", "1", "--min-accuracy", "0.9"),
            ("--min-accuracy: must be left out when --max-latency-ms is given",),
        ),
        (
            ("emit", "new", "--rule", "knee", "--within", "2"),
            ("--rule: must be left out when --within is given, got 'knee'",),
        ),
        (("winner", "new", "--within", "101"), ("--within: must be in 0..100, got 101.0",)),
        (("winner", "new", "--min-accuracy", "97"), ("--min-accuracy: must be in 0..1, got 97.0",)),
        (("winner", "new", "--rule", "kne"), ("--rule: must be one of within, knee", "kne")),
        (("csim", "new"), ("project.json", "is missing; run `codesign emit ")),
        (("report", "new"), ("no search in this run yet",)),
    ],
)
def test_bad_input_is_refused_before_anything_is_made(
    arguments: tuple[str, ...], words: tuple[str, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "new"
    check_refused(codesign(*(folder if argument == "new" else argument for argument in arguments)), *words)
    assert not (folder / "supernet.pt").exists()
    assert not (folder / "study.journal").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    check_refused(codesign("train", tmp_path / "file" / "run"), "file/run", "cannot be written")
    assert (tmp_path / "file").read_text() == "mine"


def test_other_settings_than_the_run_began_with_are_refused(run: Run) -> None:
    check_refused(codesign("train", run.folder, "--preset", "digits-small", "--seed", "7"), "--seed: must be 0", "7")


def test_a_demo_of_another_scale_is_refused_by_its_option(run: Run) -> None:
    check_refused(codesign("demo", "--run", run.folder), "--small: must be True as before in", "got False")


@pytest.mark.parametrize("command", ["predictor", "search", "emit", "report"])
def test_a_truncated_checkpoint_is_refused_and_kept(run: Run, command: str) -> None:
    whole = run.checkpoint.read_bytes()
    run.checkpoint.write_bytes(whole[: len(whole) // 2])
    check_refused(codesign(command, run.folder), "supernet.pt", "damaged", "delete it")
    assert run.checkpoint.read_bytes() == whole[: len(whole) // 2]


def test_a_damaged_study_is_refused_and_kept(run: Run) -> None:
    lines = run.study.read_bytes().splitlines(keepends=True)
    damaged = b"".join([*lines[:3], b"garbage\n", *lines[3:]])
    run.study.write_bytes(damaged)
    check_refused(codesign("search", run.folder, "--pairs", "9000"), "study.journal")
    assert run.study.read_bytes() == damaged


def test_a_damaged_predictor_is_refused(run: Run) -> None:
    run.predictor.write_bytes(run.predictor.read_bytes()[:100])
    check_refused(codesign("search", run.folder), "predictor.npz", "fit anew")


def test_a_damaged_configuration_is_refused(run: Run) -> None:
    run.configuration.write_text('{"format": 1, "train"')
    check_refused(codesign("emit", run.folder), "run.json", "must be sound JSON", "restore it from a copy")


def test_a_limit_that_no_pair_meets_names_the_nearest(run: Run) -> None:
    check_refused(
        codesign("emit", run.folder, "--max-latency-ms", "0.0001"), "--max-latency-ms", "0.0001", "the nearest is"
    )
    check_refused(
        codesign("emit", run.folder, "--min-accuracy", "0.9999"), "--min-accuracy", "99.99%", "the nearest is"
    )


def test_a_limit_chooses_the_winner(run: Run) -> None:
    done = codesign("emit", run.folder, "--max-latency-ms", "0.2")
    assert done.exit_code == 0, done.stderr
    project = read_json(run.project / "project.json")
    assert project["origin"]["rule"] == "best accuracy within 0.2 ms"
    assert project["predicted"]["latency_ms"] <= 0.2
    check_refused(codesign("report", run.folder), "csim.json", "earlier project", "codesign csim")


def test_disagreement_in_csim_has_its_own_exit_code(run: Run) -> None:
    golden = run.project / "program/golden.bin"
    content = golden.read_bytes()
    golden.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    check_refused(codesign("csim", run.folder), "program", "a file was changed after the project was emitted")
    # As if the reference had been wrong from the beginning.
    files = {path: (run.project / path).read_bytes() for path in PROGRAM_FILES}
    record = read_json(run.project / "project.json")
    write_json(run.project / "project.json", {**record, "program_sha256": files_sha256(files)})
    done = codesign("csim", run.folder)
    assert done.exit_code == 1
    assert "logits of 1 of" in done.stderr


def test_every_command_can_be_run_again(run: Run) -> None:
    before = {path: path.read_bytes() for path in (run.checkpoint, run.predictor, run.fronts)}
    settings = read_json(run.configuration)
    arguments = ("--pairs", str(settings["search"]["pairs"]))
    for command, options in (("train", ("--preset", "digits-small")), ("predictor", ("--samples", "25"))):
        assert codesign(command, run.folder, *options).exit_code == 0
    assert codesign("search", run.folder, *arguments).exit_code == 0
    assert before == {path: path.read_bytes() for path in before}


def wait_for(path: Path, process: "subprocess.Popen[bytes]") -> None:
    while not path.exists() and process.poll() is None:
        time.sleep(0.02)


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_training_goes_on_to_the_same_weights(
    finished_run: Run, tmp_path: Path, kind: signal.Signals
) -> None:
    run = Run(tmp_path / "run")
    code = (
        "import codesign.supernet.training.shrinking as t; t.CHECKPOINT_SECONDS = (0.0, 0.0);"
        "from codesign.cli.main import main; main()"
    )
    command = [sys.executable, "-c", code, "train", str(run.folder), "--preset", "digits-small"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    wait_for(run.checkpoint, process)
    process.send_signal(kind)
    _, stderr = process.communicate()
    if kind == signal.SIGINT:
        assert process.returncode == 130
        assert b"the same command goes on from here" in stderr
    else:
        assert process.returncode == -signal.SIGKILL
    assert codesign("train", run.folder, "--preset", "digits-small").exit_code == 0
    space = load_space("digits")
    assert read_checkpoint(run.checkpoint, space).digest == read_checkpoint(finished_run.checkpoint, space).digest


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = f"{sys.executable} -c 'from codesign.cli.main import main; main()' boards | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr == ""


def test_a_foreign_study_under_the_same_name_is_refused(run: Run) -> None:
    name = load_searched(run).task.location.name
    url = f"sqlite:///{run.folder / 'other.db'}"
    optuna.create_study(storage=url, study_name=name, direction="minimize").optimize(lambda _: 1.0, n_trials=1)
    check_refused(codesign("search", run.folder, "--storage", url), name, "not a study of the joint space")
