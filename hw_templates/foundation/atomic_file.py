"""Files that are either the old content or the new, never a part of it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from hw_templates.foundation.errors import StorageError


@contextmanager
def writing(path: Path, advice: str = "free or unlock it") -> Iterator[None]:
    """Convert an error of the system into the one-line ``StorageError`` that ``path`` cannot be written."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror or error}); {advice}") from error


def write_bytes_atomically(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content``, leaving the old file untouched when anything goes wrong.

    Raises:
        StorageError: the folder cannot be written or the disk is full.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            new = Path(folder, path.name)
            with new.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)


def write_text_atomically(path: Path, text: str) -> None:
    """Write UTF-8 text as :func:`write_bytes_atomically` writes bytes."""
    write_bytes_atomically(path, text.encode())
