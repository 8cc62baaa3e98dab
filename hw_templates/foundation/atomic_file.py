"""Files that are either the old content or the new, never a part of it."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from hw_templates.foundation.errors import StorageError


def write_bytes_atomically(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content``, leaving the old file untouched when anything goes wrong.

    Raises:
        StorageError: the folder cannot be written or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            new = Path(folder, path.name)
            with new.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror or error}); free or unlock it") from error


def write_text_atomically(path: Path, text: str) -> None:
    """Write UTF-8 text as :func:`write_bytes_atomically` writes bytes."""
    write_bytes_atomically(path, text.encode())
