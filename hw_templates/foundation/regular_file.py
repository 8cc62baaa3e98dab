"""Files that others hand over, opened so that none can hang a reader or fill the memory."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from hw_templates.foundation.errors import StorageError


@contextmanager
def open_regular(path: Path, most_bytes: int) -> Iterator[BinaryIO]:
    """Open a regular file of at most ``most_bytes`` for reading; a pipe or device is never waited for.

    Raises:
        StorageError: it is missing, cannot be opened, is no regular file, or is larger.
    """
    try:
        file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115
    except (OSError, ValueError) as error:
        raise StorageError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    with file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise StorageError(f"{path}: is no regular file; name one")
        if found.st_size > most_bytes:
            raise StorageError(f"{path}: has {found.st_size:,} bytes, and such a file has {most_bytes:,} at most")
        yield file


def read_regular(path: Path, most_bytes: int) -> bytes:
    """Read a regular file of at most ``most_bytes``, once.

    Raises:
        StorageError: as of :func:`open_regular`, or the file grew meanwhile.
    """
    with open_regular(path, most_bytes) as file:
        try:
            content = file.read(most_bytes + 1)
        except OSError as error:
            raise StorageError(f"{path}: cannot be read ({error.strerror or error})") from error
    if len(content) > most_bytes:
        raise StorageError(f"{path}: grew beyond {most_bytes:,} bytes while it was read; wait until it is written")
    return content
