"""Locks that let one process at a time work where two would spoil each other's results."""

import errno
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hw_templates.foundation.atomic_file import writing
from hw_templates.foundation.errors import CodesignError, StorageError


def _open_lock(path: Path) -> int:
    """Return the descriptor of a lock file, which is made where it is missing.

    Links are not followed and only regular files are opened: in a folder that others write to, anything else could make
    the process hang or touch a file of another user's choice.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    flags = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o666)
    except PermissionError:
        # A lock file of another user can only be read, which is enough to lock it on local disks.
        descriptor = os.open(path, os.O_RDONLY | flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is no regular file")
    return descriptor


@contextmanager
def exclusive(path: Path, busy: CodesignError | None = None, advice: str = "free or unlock it") -> Iterator[None]:
    """Hold the lock file ``path`` for this process; it is free again when the process ends, however that happens.

    Args:
        path: lock file, which is made where it is missing and stays.
        busy: error to raise where another process holds the lock; None waits for that process instead.
        advice: what the user can do where the file cannot be made.

    Raises:
        StorageError: the file cannot be made, or is a link or no regular file.
        CodesignError: ``busy``, where another process holds the lock.
    """
    with writing(path, advice):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _open_lock(path)
    with os.fdopen(descriptor) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
        except BlockingIOError:
            assert busy is not None
            raise busy from None
        yield


@contextmanager
def board_claim(where: str) -> Iterator[None]:
    """Keep all other processes of this machine from using the board at an address.

    Raises:
        StorageError: another process uses the board.
    """
    name = "".join(letter if letter.isalnum() or letter in ".-" else "_" for letter in where)
    path = Path(tempfile.gettempdir()) / f"codesign-board-{name}.lock"
    with exclusive(path, in_use(path, f"the board at {where}")):
        yield


def in_use(path: Path, what: str) -> StorageError:
    """Return the error that says that another process uses ``what``, which the lock file ``path`` guards."""
    return StorageError(f"{path}: {what} is in use by another process; wait for it or stop it")
