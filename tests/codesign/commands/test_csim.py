import shutil
from pathlib import Path

import pytest
from support.json_file import read_json

from codesign.commands.pairs import csim
from codesign.progress import Silent
from codesign.run.folder import Run
from codesign.templates.template import Simulation
from hw_templates.foundation.errors import StorageError


def test_the_record_is_of_the_project_and_holds_what_was_counted(finished_run: Run) -> None:
    record, project = read_json(finished_run.verification), read_json(finished_run.project / "project.json")
    assert record["program_sha256"] == project["program_sha256"]
    assert record["images"] == project["images"] == 359
    counted = [layer["compute_trips"] for layer in record["layers"]]
    assert counted == [layer["compute_cycles"] for layer in project["layers"]]


def test_sanitizers_are_silent_on_the_winner(finished_run: Run, tmp_path: Path) -> None:
    run = Run(tmp_path)
    shutil.copytree(finished_run.project, run.project)
    csim(run, Silent(), Simulation(sanitize=True, images=2))
    record = read_json(run.verification)
    assert record["sanitized"] is True
    assert record["images"] == 2


def test_a_program_that_was_changed_is_not_recorded_as_verified(finished_run: Run, tmp_path: Path) -> None:
    run = Run(tmp_path)
    shutil.copytree(finished_run.project, run.project)
    arena = run.project / "weights/arena.bin"
    arena.write_bytes(arena.read_bytes() + bytes(16))  # behind all that the engine reads
    with pytest.raises(StorageError, match="weights: a file was changed after the project was emitted; emit it again"):
        csim(run, Silent(), Simulation(sanitize=False, images=2))
    assert not run.verification.exists()
