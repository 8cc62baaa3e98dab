"""Files that only grow: one JSON value a line, whole even where a writer was killed."""

import json
import os
from collections.abc import Iterable
from pathlib import Path

from hw_templates.foundation.errors import StorageError


def read_lines(path: Path) -> list[str]:
    """The lines of a file; a last one that an interrupted writer left unfinished is left out.

    Raises:
        StorageError: the file cannot be read.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"{path}: cannot be read ({error})") from error
    lines = text.splitlines()
    if lines and not text.endswith("\n") and _is_unfinished(lines[-1]):
        lines.pop()
    return lines


def append_lines(path: Path, lines: Iterable[str]) -> None:
    """Add lines to the end of a file, which is made where there is none; what it holds stays as it is.

    A last line that an interrupted writer left unfinished is cut off.

    Raises:
        StorageError: the file cannot be written.
    """
    text = "".join(line + "\n" for line in lines)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            file.seek(0)
            content = file.read()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                if _is_unfinished(content[whole:]):
                    file.truncate(whole)
                else:
                    text = "\n" + text
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror or error})") from error


def _is_unfinished(line: str | bytes) -> bool:
    """Whether a line that no other follows was cut off while it was written."""
    try:
        json.loads(line)
    except RecursionError:
        return False
    except ValueError:
        return True
    return False
