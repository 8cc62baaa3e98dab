import subprocess
import sys
from pathlib import Path

import pytest

from bitstreams.lock import exclusive
from hw_templates.errors import StorageError

HOLDER = """
import sys
from pathlib import Path
from bitstreams.lock import exclusive
with exclusive(Path(sys.argv[1]), "it", wait=False):
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
            exclusive(path, "it", wait=False),
        ):
            pass
        holder.kill()
    with exclusive(path, "it", wait=False):
        pass
    with exclusive(path, "it", wait=True):
        pass


def test_a_lock_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with (
        pytest.raises(StorageError, match="lock: cannot be written"),
        exclusive(tmp_path / "file/lock", "it", wait=True),
    ):
        pass
