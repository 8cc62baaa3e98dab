"""Results of version 0.1.0: every command that reads them does, or refuses in one line and leaves them alone."""

import tarfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from codesign.cli.main import app
from codesign.run.folder import Run, read_json
from codesign.run.records import DeployRecord, WinnerRecord
from cost_models.measurements.measurement import read_plan
from hw_templates.foundation.errors import StorageError

PACKED = Path(__file__).parents[2] / "fixtures/run_0_1_0/run.tar.xz"

# Commands that change none of the files that are there: what they make is new.
READING = (
    "winner engine --dry-run",
    "winner stream --dry-run",
    "report engine",
    "report stream",
    "winner stream --template hls4ml",
    "emit stream --template hls4ml",
    "csim stream --template hls4ml",
    "report stream --template hls4ml",
    "build engine --bundle",
    "supernet export engine --out network",
    "calibrate plan --board pynq-z2 --budget 2 --project engine/project --out other.json",
    "calibrate plan --board pynq-z2 --budget 2 --project engine/project --known calibration --out other.json",
    "calibrate fit --measurements campaign.jsonl --out other",
    "calibrate report calibration",
)
# Commands that go on with what is there, and write their own files again.
RESUMING = (
    "train engine --preset digits-small",
    "predictor engine --samples 25",
    "search engine --pairs 5000 --no-baselines",
    "search engine --pairs 5000",
    "train stream --space digits-stream --preset digits-small",
    "search stream --template hls4ml --pairs 500",
)

# Commands that need what the engine of that version left, and the command to repeat that their refusal names.
REFUSED = {
    "search engine --pairs 2000 --no-baselines --coefficients calibration": "fit again: `codesign calibrate`",
    "winner engine": "run `codesign search engine` first",
    "emit engine": "run `codesign search engine` first",
    "report engine": "run `codesign emit engine` first",
    "csim engine": "run `codesign emit engine` again",
    "build engine --bundle": "run `codesign emit engine` again",
    "deploy engine --board pynq-z2 --via twin": "run `codesign emit engine` again",
    "calibrate fit --measurements campaign.jsonl --out other": "measure again with `codesign calibrate run`",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    with tarfile.open(PACKED) as tar:
        # The first releases of Python 3.11 know no filters.
        tar.extraction_filter = getattr(tarfile, "data_filter", None)
        tar.extractall(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run(command: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, command.split())
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stderr


@pytest.mark.parametrize("command", READING)
def test_what_version_0_1_0_wrote_is_read_and_not_changed(folder: Path, command: str):
    before = contents(folder)
    code, complaint = run(command)
    after = contents(folder)
    assert {path: after.get(path) for path in before} == before
    assert code in (0, 2)
    if code == 2:
        (line,) = complaint.splitlines()
        assert "codesign" in line.removeprefix("codesign: "), line


def test_a_run_of_streams_alone_is_reported_on_after_a_search_of_that_template(folder: Path):
    code, complaint = run("report stream")
    assert code == 2
    assert "codesign search stream --template hls4ml" in complaint


@pytest.mark.parametrize("command", RESUMING)
def test_commands_resume_what_version_0_1_0_began(folder: Path, command: str):
    before = contents(folder)
    code, complaint = run(command)
    assert code == 0, complaint
    assert before.keys() <= contents(folder).keys()


@pytest.mark.parametrize("command", REFUSED)
def test_what_is_of_the_engine_before_is_refused_in_one_line_and_left_alone(folder: Path, command: str):
    before = contents(folder)
    code, complaint = run(command)
    assert code == 2
    (line,) = complaint.splitlines()
    assert REFUSED[command] in line
    after = contents(folder)
    assert {path: after.get(path) for path in before} == before


def test_records_that_no_command_reads_are_decoded_or_refused(folder: Path):
    run = Run(folder / "engine")
    with pytest.raises(StorageError, match=r"deploy\.format: must be 2, .*, got 1"):
        read_json(run.deployment, DeployRecord)
    assert read_json(run.winner, WinnerRecord).board == "pynq-z2"
    with pytest.raises(StorageError, match=r"plan\.format: must be 4, .*, got 2; `codesign calibrate plan` makes one"):
        read_plan(folder / "plan.json")
