"""Only one process at a time where two would spoil each other's work."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hw_templates.errors import StorageError


@contextmanager
def exclusive(path: Path, what: str, wait: bool, advice: str = "free or unlock it") -> Iterator[None]:
    """Hold the lock file ``path``, which is made where it is missing and stays; it is free when its holder dies.

    Args:
        what: what the lock is for, in the error's words.
        wait: until another process lets go; otherwise that is an error.
        advice: what the user can do where the file cannot be made.

    Raises:
        StorageError: another process holds it and ``wait`` is false, or the file cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # To hold a lock file that another user made, reading it is enough and often all that is allowed.
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            descriptor = os.open(path, os.O_RDONLY | os.O_CREAT, 0o666)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror or error}); {advice}") from error
    with os.fdopen(descriptor) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise StorageError(f"{path}: {what} is in use by another process; wait for it or stop it") from error
        yield


@contextmanager
def board_claim(where: str) -> Iterator[None]:
    """Keep other processes of this machine, whoever's they are, from the board at that address meanwhile.

    Raises:
        StorageError: another process is at work on it.
    """
    name = "".join(letter if letter.isalnum() or letter in ".-" else "_" for letter in where)
    with exclusive(Path(tempfile.gettempdir()) / f"codesign-board-{name}.lock", f"the board at {where}", wait=False):
        yield
