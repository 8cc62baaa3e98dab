"""Only one process at a time where two would spoil each other's work."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hw_templates.errors import StorageError


@contextmanager
def exclusive(path: Path, what: str, wait: bool) -> Iterator[None]:
    """Hold the lock file ``path``, which is made where it is missing and stays; it is free when its holder dies.

    Args:
        what: what the lock is for, in the error's words.
        wait: until another process lets go; otherwise that is an error.

    Raises:
        StorageError: another process holds it and ``wait`` is false, or the file cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror or error}); free or unlock it") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise StorageError(f"{path}: {what} is in use by another process; wait for it or stop it") from error
        yield
