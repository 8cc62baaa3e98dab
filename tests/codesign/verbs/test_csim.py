import shutil
from pathlib import Path

from codesign.progress import Silent
from codesign.run import Run, read_json
from codesign.verbs.csim import csim


def test_the_record_is_of_the_project_and_holds_what_was_counted(finished_run: Run) -> None:
    record, project = read_json(finished_run.verification), read_json(finished_run.project / "project.json")
    assert record["program_sha256"] == project["program_sha256"]
    assert record["images"] == project["images"] == 359
    counted = [layer["compute_trips"] for layer in record["layers"]]
    assert counted == [layer["compute_cycles"] for layer in project["layers"]]


def test_sanitizers_are_silent_on_the_winner(finished_run: Run, tmp_path: Path) -> None:
    run = Run(tmp_path)
    shutil.copytree(finished_run.project, run.project)
    csim(run, sanitize=True, images=2, progress=Silent())
    record = read_json(run.verification)
    assert record["sanitized"] is True
    assert record["images"] == 2
