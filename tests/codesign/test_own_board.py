"""A board of the user's own, from its file to a deployment."""

import shutil
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import pytest
from support.json_file import read_json
from typer.testing import CliRunner

from bitstreams.twin.board import TwinBoard
from codesign.cli.main import app
from codesign.run.folder import Run
from codesign.run.searched import load_searched
from cost_models.coefficients import load_coefficients
from cost_models.measurements.measurement import read_plan
from hw_templates.board import load_board

SHIPPED = (files("hw_templates") / "boards" / "pynq-z2.toml").read_text()


def codesign(*arguments: str | Path, fails: str = "") -> str:
    """Run a command and return its output; ``fails`` is the end of the one line that it is refused with."""
    done = CliRunner().invoke(app, list(map(str, arguments)))
    if not fails:
        assert done.exit_code == 0, done.stderr
        return done.stdout
    assert done.exit_code == 2, done.output
    assert done.stderr.count("\n") == 1
    assert fails in done.stderr
    return done.stderr


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """A PYNQ-Z2 with a little less of everything."""
    path = tmp_path / "my-board.toml"
    path.write_text(SHIPPED.replace("dsp = 220", "dsp = 200").replace("TUL PYNQ-Z2", "My board"))
    return path


@pytest.fixture
def run(finished_run: Run, board: Path, tmp_path: Path) -> Run:
    """A run whose search and project are for the board."""
    run = Run(Path(shutil.copytree(finished_run.folder, tmp_path / "run")))
    codesign("search", run.folder, "--board", board, "--pairs", "3000", "--no-baselines")
    codesign("emit", run.folder)
    return run


def test_a_run_for_a_board_of_ones_own_needs_its_file_no_longer_once_it_has_searched(run: Run, board: Path) -> None:
    own = load_board(board)
    board.unlink()
    assert load_searched(run).board == own
    assert read_json(run.project / "project.json")["board"]["dsp"] == 200
    assert "# An accelerator for My board" in (run.project / "README.md").read_text()
    codesign("emit", run.folder)
    codesign("csim", run.folder)
    with closing(TwinBoard(run.project, load_coefficients())) as twin:
        assert twin.board == own


def test_a_board_s_file_that_changed_is_refused_and_leaves_the_run_as_it_is(run: Run, board: Path) -> None:
    before = run.configuration.read_bytes(), run.study.read_bytes()
    board.write_text(board.read_text().replace("dsp = 200", "dsp = 190"))
    changed = "my-board.toml: differs from the board that the run began with; restore it"
    codesign("search", run.folder, "--board", board, "--pairs", "4000", fails=changed)
    codesign("emit", run.folder, fails=changed)
    elsewhere = board.rename(board.parent.parent / board.name)
    deploying = ("deploy", run.folder, "--via", "twin", "--board")
    figure = "--board: dsp: must be 200 as before in my-board, which the project is for; restore its file, got 190"
    codesign(*deploying, elsewhere, fails=figure)
    codesign(*deploying, "pynq-z2", fails="--board: must be my-board, which the project is for, got 'pynq-z2'")
    assert before == (run.configuration.read_bytes(), run.study.read_bytes())


def test_the_study_of_a_changed_board_in_a_new_place_is_another_one(run: Run, board: Path, tmp_path: Path) -> None:
    first = load_searched(run).task.location.name
    assert "my-board-" in first
    content = board.read_text()
    board.unlink()
    (tmp_path / "other").mkdir()
    moved = tmp_path / "other" / board.name
    moved.write_text(content)
    codesign("search", run.folder, "--board", moved, "--pairs", "3000", "--no-baselines")
    assert load_searched(run).task.location.name == first


def test_a_board_of_ones_own_is_deployed_to_and_calibrated(run: Run, board: Path, tmp_path: Path) -> None:
    pytest.importorskip("pynq", reason="pynq is not installed: pip install --editable '.[board]'")
    deployed = codesign("deploy", run.folder, "--board", board, "--via", "twin", "--repetitions", "2")
    assert "my-board (twin simulated by a model, 127.0.0.1:" in deployed
    plan, runs = tmp_path / "plan.json", tmp_path / "runs.jsonl"
    codesign("calibrate", "plan", "--board", board, "--budget", "4", "--project", run.project, "--out", plan)
    assert load_board(read_plan(plan).board) == load_board(board)
    measure = ("calibrate", "run", "--plan", plan, "--project", run.project, "--via", "twin", "--out", runs, "--board")
    codesign(*measure, "pynq-z2", fails="must be pynq-z2, the board to measure on; plan for that, got 'my-board'")
    codesign(*measure, board, "--repetitions", "2")
    board.unlink()
    codesign("calibrate", "fit", "--measurements", runs, "--out", tmp_path / "fitted", "--max-error", "1000")
