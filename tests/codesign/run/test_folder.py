import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.json_file import write_json

from codesign.run.folder import Run, Settings, claiming, read_json
from codesign.run.records import CsimRecord
from hw_templates.foundation.errors import InvalidValueError, StorageError


@dataclass(frozen=True)
class Trained(Settings):
    SECTION = "train"
    space: str
    seed: int


@dataclass(frozen=True)
class Searched(Settings):
    SECTION = "search"
    board: str


def test_nothing_is_created_by_looking(tmp_path: Path) -> None:
    run = Run(tmp_path / "new")
    assert run.find(Trained) is None
    with pytest.raises(StorageError, match=r"no train in this run yet; run `codesign train .*new` first"):
        run.settings(Trained)
    with pytest.raises(StorageError, match=r"no search in this run yet; run `codesign search .*new` first"):
        run.settings(Searched)
    assert not run.folder.exists()


CLAIM = """
import sys, time
from pathlib import Path
from codesign.run.folder import Run

with Run(Path(sys.argv[1])).claim():
    print("claimed", flush=True)
    time.sleep(3600)
"""


def test_a_run_belongs_to_one_process_until_it_ends_however_it_does(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    other = subprocess.Popen([sys.executable, "-c", CLAIM, str(run.folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "claimed\n"
        with (
            pytest.raises(StorageError, match=r"run: another process is at work in this run; wait for it"),
            run.claim(),
        ):
            pass
    finally:
        other.kill()
        other.communicate()
    with run.claim():
        pass


def test_a_claim_neither_follows_a_link_nor_waits_for_a_pipe(tmp_path: Path) -> None:
    claim = tmp_path / ".claim"
    claim.symlink_to(tmp_path / "precious")
    with pytest.raises(StorageError, match="Too many levels of symbolic links"), Run(tmp_path).claim():
        pass
    assert not (tmp_path / "precious").exists()
    claim.unlink()
    os.mkfifo(claim)
    with pytest.raises(StorageError, match="is no regular file"), Run(tmp_path).claim():
        pass


def test_a_claiming_command_has_its_run_to_itself_and_makes_no_folder(tmp_path: Path) -> None:
    seen = []

    @claiming
    def command(run: Run, word: str) -> None:
        """Do it."""
        if run.folder.exists():
            with pytest.raises(StorageError, match="another process"), run.claim():
                pass
        seen.append(word)

    command(Run(tmp_path), "there")
    command(Run(tmp_path / "new"), "not there")
    assert seen == ["there", "not there"]
    assert not (tmp_path / "new").exists()
    assert (command.__name__, command.__doc__) == ("command", "Do it.")


def test_a_command_goes_on_only_with_the_settings_it_began_with(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.configure(Trained("digits", 0))
    run.configure(Trained("digits", 0))
    run.configure(Searched("pynq-z2"))
    with pytest.raises(InvalidValueError, match=r"train\.seed: must be 0 as before in .*, got 1"):
        run.configure(Trained("digits", 1))
    assert run.settings(Trained) == Trained("digits", 0)
    run.configure(Searched("kv260"), replace=True)
    assert run.settings(Searched) == Searched("kv260")
    run.configuration.write_text('{"train": {"space": "digits", "seed": "zero"}}')
    with pytest.raises(StorageError, match=r"run\.json: train\.seed: must be a whole number, got 'zero'; restore"):
        run.configure(Trained("digits", 1))


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 99}', "\x00", "[" * 100_000])
def test_a_corrupt_or_foreign_configuration_is_named(tmp_path: Path, content: str) -> None:
    run = Run(tmp_path)
    run.configuration.write_text(content)
    with pytest.raises(
        StorageError,
        match=r"run\.json: (run\.format: must be 1, .* got 99|run: must be .*); restore it from a copy",
    ):
        run.settings(Trained)
    assert run.configuration.read_text() == content


def test_json_round_trips_and_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"a": [1, 2]})
    assert read_json(tmp_path / "x.json", dict[str, Any]) == {"a": [1, 2]}
    with pytest.raises(StorageError, match=r"y\.json: is missing$"):
        read_json(tmp_path / "y.json", dict[str, Any])


FILES = [
    ("predictor.json", "predictor runs/x"),
    ("fronts.json", "search runs/x"),
    ("baselines/random.json", "search runs/x"),
    ("winner.json", "winner runs/x"),
    ("front.json", "emit runs/x"),
    ("project/project.json", "emit runs/x"),
    ("csim.json", "csim runs/x"),
    ("emitted.json", "emit runs/x"),
    ("hls4ml/front.json", "emit runs/x --template hls4ml"),
    ("hls4ml/emitted.json", "emit runs/x --template hls4ml"),
    ("hls4ml/csim.json", "csim runs/x --template hls4ml"),
]
"""Files of a run to the commands that make them."""


@pytest.mark.parametrize(("file", "command"), FILES)
def test_a_file_of_another_format_is_refused_with_the_command_to_repeat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("runs/x") / file
    path.parent.mkdir(parents=True)
    Path("runs/x/run.json").write_text("{}")
    path.write_text('{"format": 7, "anything": "else"}')
    with pytest.raises(StorageError) as error:
        read_json(path, CsimRecord)
    assert str(error.value) == (
        f"runs/x/{file}: {path.stem}.format: must be 1, which this version reads, got 7; "
        f"delete it and run `codesign {command}` again"
    )
    assert path.read_text() == '{"format": 7, "anything": "else"}'


@pytest.mark.parametrize(("file", "command"), FILES)
def test_a_missing_file_names_the_command_that_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs/x").mkdir(parents=True)
    Path("runs/x/run.json").write_text("{}")
    with pytest.raises(StorageError) as error:
        read_json(Path("runs/x") / file, dict[str, Any])
    assert str(error.value) == f"runs/x/{file}: is missing; run `codesign {command}` first"
