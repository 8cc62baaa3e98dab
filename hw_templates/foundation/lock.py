"""Only one process at a time where two would spoil each other's work."""

import errno
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hw_templates.foundation.errors import StorageError


def open_lock(path: Path) -> int:
    """Open a lock file, and make it where it is missing; returns its descriptor.

    A link is not followed, and nothing but a regular file is taken: in a folder that others write to, either could make
    the process hang or touch a file of another's choice.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    flags = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        try:
            descriptor = os.open(path, os.O_RDWR | flags)
        except FileNotFoundError:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o666)
    except PermissionError:
        # To hold a lock file that another user made, reading it is all that is allowed, and on local disks enough.
        descriptor = os.open(path, os.O_RDONLY | flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is no regular file")
    return descriptor


@contextmanager
def exclusive(path: Path, what: str, wait: bool, advice: str = "free or unlock it") -> Iterator[None]:
    """Hold the lock file ``path``, which is made where it is missing and stays; it is free when its holder dies.

    Args:
        what: what the lock is for, in the error's words.
        wait: until another process lets go; otherwise that is an error.
        advice: what the user can do where the file cannot be made.

    Raises:
        StorageError: another process holds it and ``wait`` is false, or the file cannot be made, or is a link or no
            regular file.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = open_lock(path)
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
