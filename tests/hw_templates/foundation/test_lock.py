import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from hw_templates.foundation.errors import StorageError
from hw_templates.foundation.lock import board_claim, exclusive, in_use

HOLDER = """
import sys
from pathlib import Path
from hw_templates.foundation.lock import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_is_held_until_its_holder_ends_or_dies(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "lock"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(StorageError, match="lock: it is in use by another process"),
            exclusive(path, in_use(path, "it")),
        ):
            pass
        holder.kill()
    with exclusive(path, in_use(path, "it")):
        pass
    with exclusive(path):
        pass


def test_a_lock_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with (
        pytest.raises(StorageError, match="lock: cannot be written"),
        exclusive(tmp_path / "file/lock"),
    ):
        pass


def test_a_board_is_claimed_by_its_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with board_claim("[fe80::1]:22/x"), board_claim("10.0.0.2"):
        with (
            pytest.raises(StorageError, match=r"the board at 10\.0\.0\.2 is in use by another process"),
            board_claim("10.0.0.2"),
        ):
            pass
        assert {path.parent for path in tmp_path.rglob("*")} == {tmp_path}


def test_a_lock_file_of_another_user_is_held_without_writing_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    path.chmod(0o444)
    with exclusive(path, in_use(path, "it")):
        assert path.read_bytes() == b""


@pytest.mark.parametrize("wait", [True, False])
def test_a_lock_file_that_is_a_link_or_no_file_is_neither_followed_nor_waited_for(wait: bool, tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to(tmp_path / "precious")
    (tmp_path / "regular").touch()
    (tmp_path / "link").symlink_to(tmp_path / "regular")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    for name, message in (
        ("dangling", "Too many levels of symbolic links"),
        ("link", "Too many levels of symbolic links"),
        ("folder", "Is a directory"),
        ("fifo", "is no regular file"),
    ):
        with (
            pytest.raises(StorageError, match=rf"{name}: cannot be written \({message}\)"),
            exclusive(tmp_path / name, None if wait else in_use(tmp_path / name, "it")),
        ):
            pass
    assert not (tmp_path / "precious").exists()


def test_a_pipe_in_the_place_of_a_boards_lock_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    os.mkfifo(tmp_path / "codesign-board-10.0.0.2.lock")
    with pytest.raises(StorageError, match="is no regular file"), board_claim("10.0.0.2"):
        pass
