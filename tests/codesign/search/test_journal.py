import json
import time

import optuna
import pytest

from codesign.search import journal
from codesign.search.journal import open_journal
from hw_templates.foundation.errors import StorageError


def make_study(path, trials=3):
    study = optuna.create_study(storage=open_journal(path), study_name="s", load_if_exists=True)
    for _ in range(trials):
        study.add_trial(optuna.trial.create_trial(value=1.0))
    return study


def reopen(path):
    return optuna.load_study(storage=open_journal(path), study_name="s")


def test_opening_again_keeps_everything(tmp_path):
    path = tmp_path / "deep" / "study.journal"
    make_study(path)
    before = path.read_bytes()
    assert len(reopen(path).trials) == 3
    assert path.read_bytes() == before


def test_every_cut_of_the_last_line_resumes_with_the_trials_that_are_whole(tmp_path):
    path = tmp_path / "study.journal"
    make_study(path)
    whole = path.read_bytes()
    last_line = whole[:-1].rfind(b"\n") + 1
    for end in range(last_line + 1, len(whole)):
        path.write_bytes(whole[:end])
        study = reopen(path)
        # A record that only lacks its newline is whole.
        kept = [1.0, 1.0, 1.0] if end == len(whole) - 1 else [1.0, 1.0]
        assert [trial.value for trial in study.trials] == kept
        # The next record must start on its own line, or the journal would be lost.
        study.add_trial(optuna.trial.create_trial(value=7.0))
        assert [trial.value for trial in reopen(path).trials] == [*kept, 7.0]


@pytest.mark.parametrize(
    "damage",
    [
        b"\x00\xff\x00\n",
        b'{"op_code": 4, "worker\n',
        b"[]\n",
        b'{"no": "record"}\n',
        pytest.param(b"[" * 100_000 + b"\n", id="deep"),
    ],
)
@pytest.mark.parametrize("place", [0, 2, 4])
def test_damage_is_named_by_its_line_and_nothing_is_changed(tmp_path, damage, place):
    path = tmp_path / "study.journal"
    make_study(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:place], damage, *lines[place:]]))
    before = path.read_bytes()
    with pytest.raises(StorageError, match=rf"study.journal, line {place + 1}: must be a journal record"):
        open_journal(path)
    assert path.read_bytes() == before


def test_records_that_make_no_study_are_refused(tmp_path):
    path = tmp_path / "study.journal"
    path.write_text(json.dumps({"op_code": 4, "worker_id": "x"}) + "\n")
    with pytest.raises(StorageError, match=r"study\.journal: is corrupt"):
        open_journal(path)


@pytest.mark.parametrize("content", ["hello", '{"name": "a file of mine"}', "a,b\n1,2"])
def test_other_files_are_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "mine.txt"
    path.write_text(content)
    with pytest.raises(StorageError, match="must be a journal record"):
        open_journal(path)
    assert path.read_text() == content


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(StorageError, match="cannot be opened as a study"):
        open_journal(tmp_path)


def test_the_lock_of_a_killed_writer_is_taken_over_in_seconds(tmp_path, monkeypatch):
    path = tmp_path / "study.journal"
    make_study(path)
    path.with_name("study.journal.lock").symlink_to(path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(journal, "_LOCK_GRACE_S", 3)
    start = time.monotonic()
    assert len(reopen(path.relative_to(tmp_path)).trials) == 3
    assert time.monotonic() - start < 12
