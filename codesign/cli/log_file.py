"""A file that keeps what a command shows, one line each with the time of day."""

import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from hw_templates.foundation.errors import InvalidValueError


class LogFile:
    """Lines appended to a file; folders that are missing are made.

    Args:
        path: the file; what it holds already is kept.
        now: the time of day.

    Raises:
        InvalidValueError: it cannot be written.
    """

    def __init__(self, path: Path, now: Callable[[], datetime] = lambda: datetime.now().astimezone()) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise InvalidValueError("log_file", str(path), f"a file that can be written ({error.strerror})") from error
        self._path, self._now = path, now
        self._lock = threading.Lock()
        self._failed = False

    def write(self, text: str) -> None:
        """Append a line. Where that fails, the work goes on without the log, and standard error says so once."""
        with self._lock:
            if self._failed:
                return
            try:
                self._file.write(f"{self._now().isoformat(timespec='seconds')} {text}\n")
                self._file.flush()
            except OSError as error:
                self._failed = True
                print(f"codesign: warning: {self._path}: no more lines are kept ({error.strerror})", file=sys.stderr)

    def close(self) -> None:
        """Close the file; nothing may be written afterwards."""
        with self._lock, suppress(OSError):
            self._file.close()
