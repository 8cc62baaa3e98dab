"""The files of a run folder: whatever stands in them is read, or refused in one line that names the file."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.json_file import read_json as plain
from support.mutations import drive, from_file, mutated_json
from support.networks.named_spaces import DIGITS

from codesign.commands.deploy import _load_emitted
from codesign.commands.export import _searched_space
from codesign.run.folder import Run, read_json
from codesign.run.records import (
    BaselineRecord,
    ComparedRecord,
    CsimRecord,
    EmittedRecord,
    FrontsRecord,
    PredictorRecord,
)
from codesign.run.requests import SearchRequest, TrainRequest, named_subnet
from codesign.run.searched import emitted_pair, emitted_record, load_searched
from hw_templates.foundation.errors import StorageError
from hw_templates.project.record import ProjectRecord

INPUTS = 2_000


@pytest.fixture(scope="module")
def run(finished_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A copy that may be spoilt."""
    folder = tmp_path_factory.mktemp("spoilt") / "run"
    shutil.copytree(finished_run.folder, folder)
    return Run(folder)


def check(path: Path, read: Callable[[], object], least_accepted: int = 20) -> None:
    """Read spoilt copies of a file; put the sound one back."""
    sound = path.read_bytes()
    try:
        accepted, refused = drive(from_file(path, read), mutated_json(json.loads(sound), INPUTS))
    finally:
        path.write_bytes(sound)
    read()
    assert accepted >= least_accepted
    assert refused > 500


def read_configuration(run: Run) -> None:
    run.settings(TrainRequest).load_space()
    run.settings(TrainRequest).load_schedule()
    run.settings(SearchRequest)


def read_report(run: Run) -> Callable[[], object]:
    searched = load_searched(run)
    return lambda: emitted_pair(searched, emitted_record(searched))


def test_the_configuration(run: Run) -> None:
    check(run.configuration, lambda: read_configuration(run))


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("fronts.json", FrontsRecord),
        ("front.json", ComparedRecord),
        ("predictor.json", PredictorRecord),
        ("csim.json", CsimRecord),
        ("emitted.json", EmittedRecord),
        ("baselines/random.json", BaselineRecord),
        ("project/project.json", ProjectRecord),
    ],
)
def test_records(run: Run, file: str, kind: type[Any]) -> None:
    path = run.folder / file
    check(path, lambda: read_json(path, kind))


def test_the_winner_as_the_report_shows_it(run: Run) -> None:
    check(run.emitted, read_report(run))


def test_the_project_as_other_commands_read_it(run: Run) -> None:
    path = run.project / "project.json"
    check(path, lambda: read_json(path, ProjectRecord))
    check(path, lambda: named_subnet(DIGITS, str(path)))


def test_the_project_as_it_is_deployed(run: Run) -> None:
    # Few inputs: each sound one loads the images.
    path = run.project / "project.json"
    sound = path.read_bytes()
    accepted, refused = drive(from_file(path, lambda: _load_emitted(run)), mutated_json(json.loads(sound), 200))
    path.write_bytes(sound)
    assert accepted
    assert refused > 50


def test_the_winner_file(run: Run) -> None:
    run.winner.write_text(json.dumps({"space": "digits", "subnet": DIGITS.smallest().as_dict()}))
    check(run.winner, lambda: (_searched_space(run), named_subnet(DIGITS, str(run.winner))))


def test_a_file_of_another_kind_is_named_with_its_field(run: Run) -> None:
    values = plain(run.fronts)
    path = run.folder / "other.json"
    path.write_text(json.dumps({**values, "hypervolumes": {"joint": 0.5}}))
    with pytest.raises(
        StorageError, match=r"other\.json: fronts\.hypervolumes: must be of \['random', 'sequential', 'joint'\]"
    ):
        read_json(path, FrontsRecord)
    path.write_text(json.dumps({**values, "fronts": {"of two\u2028lines": values["fronts"]["joint"]}}))
    with pytest.raises(StorageError, match=r"other\.json: fronts\.hypervolumes: must be of \['of two\\u2028lines'\]"):
        read_json(path, FrontsRecord)
    path.write_text(json.dumps({**values, "fronts": {**values["fronts"], "joint": [[2.0, 1.0, 1.0]]}}))
    with pytest.raises(StorageError, match=r"other\.json: front\[0\]\.accuracy: must be in 0\.\.1, got 2\.0"):
        read_json(path, FrontsRecord)
