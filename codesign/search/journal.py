"""Journal files of Optuna: opened only when whole, and repaired where a killed writer left half a line."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

from hw_templates.foundation.errors import StorageError
from hw_templates.foundation.json_records import reading

# Optuna waits this long before it takes over the lock of a writer that was killed; writing takes milliseconds.
_LOCK_GRACE_S = 5
_ELSE = "restore the file from a copy, or name another storage"
_RECORD_START = b'{"op_code":'


def open_journal(path: Path) -> JournalStorage:
    """The Optuna storage in the journal file ``path``, which is made where missing.

    A killed writer leaves a last line without its end: a record that is whole is kept, a part of one is cut off.

    Raises:
        StorageError: the file cannot be read or written, or a line of it is no journal record.
    """
    # Optuna's lock is a symbolic link to the journal, and only an absolute one leads there from any folder.
    path = path.absolute()
    lock = JournalFileSymlinkLock(str(path), grace_period=_LOCK_GRACE_S)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        backend = JournalFileBackend(str(path), lock_obj=lock)
        with _held(lock):
            _repair_last_line(path)
    except OSError as error:
        raise StorageError(f"{path}: cannot be opened as a study ({error.strerror or error})") from error
    with reading(path, _ELSE):
        try:
            return JournalStorage(backend)
        except AssertionError as error:
            raise ValueError("a record that Optuna does not write") from error


@contextmanager
def _held(lock: JournalFileSymlinkLock) -> Iterator[None]:
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _repair_last_line(path: Path) -> None:
    """Check every line; then, and only then, cut off a last one that is torn, or end one that only lacks its end."""
    whole, unended = 0, False
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            unended = not line.endswith(b"\n")
            if unended and not _is_record(line) and _RECORD_START.startswith(line[: len(_RECORD_START)]):
                break
            if not _is_record(line):
                raise StorageError(
                    f"{path}, line {number}: must be a journal record of Optuna, got {line[:40]!r}; {_ELSE}"
                )
            whole += len(line)
    if whole < path.stat().st_size:
        os.truncate(path, whole)
    elif unended:
        with path.open("ab") as file:
            file.write(b"\n")


def _is_record(line: bytes) -> bool:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(record, dict) and "op_code" in record
