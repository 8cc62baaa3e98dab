"""Files that are either the old content or the new, never a part of it."""

import os
import tempfile
from pathlib import Path

from hw_templates.foundation.errors import StorageError


def write_bytes_atomically(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content``, leaving the old file untouched when anything goes wrong.

    Raises:
        StorageError: the folder cannot be written or the disk is full.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes private files; these are ordinary ones.
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(path)
        temporary = None
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror or error}); free or unlock it") from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def write_text_atomically(path: Path, text: str) -> None:
    """Write UTF-8 text as :func:`write_bytes_atomically` writes bytes."""
    write_bytes_atomically(path, text.encode())
