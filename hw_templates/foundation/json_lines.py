"""Files that only grow: one JSON value a line, whole even where a writer was killed."""

import fcntl
import json
import mmap
import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from hw_templates.foundation.atomic_file import writing
from hw_templates.foundation.json_records import reading


def read_lines(path: Path) -> list[str]:
    """Return the lines of a file without a last one that an interrupted writer left unfinished.

    Raises:
        StorageError: the file cannot be read.
    """
    with reading(path):
        text = path.read_text()
    lines = text.splitlines()
    if lines and not text.endswith("\n") and _is_unfinished(lines[-1]):
        lines.pop()
    return lines


def append_lines(path: Path, lines: Iterable[str]) -> None:
    """Add lines to the end of a file, which is made where there is none; its other lines stay as they are.

    A last line that an interrupted writer left unfinished is cut off. Several processes may add to one file.

    Raises:
        StorageError: the file cannot be written.
    """
    text = "".join(line + "\n" for line in lines).encode()
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            start, last = _unended_line(file)
            if last and _is_unfinished(last):
                file.truncate(start)
            elif last:
                text = b"\n" + text
            file.write(text)
            file.flush()
            os.fsync(file.fileno())


def _unended_line(file: BinaryIO) -> tuple[int, bytes]:
    """Return where a last line without an end begins, and its content; nothing where the file ends with a line."""
    if not os.fstat(file.fileno()).st_size:
        return 0, b""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = content.rfind(b"\n") + 1
        return start, content[start:]


def _is_unfinished(line: str | bytes) -> bool:
    """Return whether a line that no other follows was cut off while it was written."""
    try:
        json.loads(line)
    except RecursionError:
        return False
    except ValueError:
        return True
    return False
