"""Bitstreams, each in a folder named by the digest of everything that determines its hardware.

    <store>/<digest>/build.json                       its record, with the SHA-256 of every other file
    <store>/<digest>/<first 16 digits>.bit .hwh .xsa  named by the digest too: PYNQ keeps a loaded file by its name, and
                                                      would go on with an old bitstream under a new one's name
    <store>/<digest>/reports/ hardware/               what the tools said, and the sources

A folder appears whole, by one rename, or not at all; a second writer of the same digest finds it there.
"""

import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bitstreams.building.design import read_design
from bitstreams.store.bitstream import NAME_DIGITS, Bitstream, Entry, StoredBitstream, is_plain
from hw_templates.board import board_name, load_board
from hw_templates.foundation.atomic_file import write_bytes_atomically, writing
from hw_templates.foundation.errors import CodesignError, InvalidValueError, StorageError
from hw_templates.foundation.json_records import parse_json, reading, write_record
from hw_templates.foundation.lock import exclusive
from hw_templates.foundation.regular_file import read_regular
from hw_templates.foundation.user import user_folder

RECORD = "build.json"
_MOST_RECORD_BYTES = 16 << 20
_UNFINISHED = ".incoming-"
_ADVICE = "free or unlock it, or name another store by --store or CODESIGN_STORE"


class Store:
    """A folder of bitstreams, which is made when something is first put into it."""

    def __init__(self, folder: Path | None) -> None:
        """Name the folder; None stands for ``CODESIGN_STORE``, or else for a folder below the user's data folder.

        Raises:
            StorageError: the variable is not set, and the user has no home.
        """
        self.folder = folder or user_folder("CODESIGN_STORE", "XDG_DATA_HOME", ".local/share", "codesign/bitstreams")

    def add(self, bitstream: Bitstream, main: Mapping[str, bytes], others: Mapping[str, bytes]) -> tuple[Entry, bool]:
        """Put a bitstream into the store; others may write at the same time, and a failure leaves nothing behind.

        Args:
            bitstream: record of the bitstream.
            main: contents of the main files by their suffix (bit, hwh, xsa).
            others: contents of all other files by their path.

        Returns:
            The entry, and whether it is new; one that is there already stays as it is.

        Raises:
            InvalidValueError: a path of ``others`` leads outside the entry, or to a file of the store's own.
            StorageError: the store cannot be written or the disk is full.
        """
        digest = bitstream.digest
        contents = {f"{digest[:NAME_DIGITS]}.{suffix}": content for suffix, content in main.items()}
        for path in others:
            if not is_plain(path) or path == RECORD or path in contents:
                raise InvalidValueError("file", path, "a path inside the entry, and none of the store's own files")
        contents |= others
        record = StoredBitstream(
            **vars(bitstream),
            imported=datetime.now(UTC).isoformat(timespec="seconds"),
            files={path: hashlib.sha256(content).hexdigest() for path, content in sorted(contents.items())},
        )
        with exclusive(self.folder / ".lock", advice=_ADVICE):
            target = self.folder / digest
            if target.exists():
                return self._read(target), False
            with (
                writing(target, _ADVICE),
                tempfile.TemporaryDirectory(dir=self.folder, prefix=_UNFINISHED, ignore_cleanup_errors=True) as folder,
            ):
                unfinished = Path(folder)
                for path, content in contents.items():
                    write_bytes_atomically(unfinished / path, content)
                write_record(unfinished / RECORD, record)
                unfinished.chmod(0o755)
                unfinished.rename(target)
        return self._read(target), True

    def entries(self) -> tuple[Entry, ...]:
        """Return every entry whose record can be read, oldest first."""
        return self.content()[0]

    def content(self) -> tuple[tuple[Entry, ...], dict[str, tuple[str, ...]]]:
        """Return the entries, and the fault of each record that cannot be read, by the name of its folder."""
        entries: list[Entry] = []
        faults: dict[str, tuple[str, ...]] = {}
        for folder in self._folders():
            try:
                entries.append(self._read(folder))
            except StorageError as error:
                faults[folder.name] = (str(error),)
        return tuple(sorted(entries, key=lambda entry: (entry.bitstream.imported, entry.digest))), faults

    def find(self, prefix: str) -> Entry:
        """Return the one entry whose digest begins with ``prefix``.

        Raises:
            StorageError: none or several do, or its record is corrupt.
        """
        matches = [folder for folder in self._folders() if folder.name.startswith(prefix)]
        if not matches:
            raise StorageError(f"{self.folder}: no bitstream {prefix}; `codesign bitstreams list` shows what is there")
        if len(matches) > 1:
            shown = ", ".join(folder.name[:12] for folder in matches)
            raise StorageError(f"{self.folder}: {prefix} could be {shown}; give more digits")
        return self._read(matches[0])

    def find_engine(self, hardware_sha256: str) -> Path:
        """Return the newest intact .bit that holds the engine with these sources.

        Raises:
            StorageError: there is none, or it is damaged.
        """
        entries = self.entries()
        for entry in reversed(entries):
            if entry.bitstream.hardware_sha256 == hardware_sha256:
                if problems := self.verify(entry):
                    raise StorageError(f"{entry.folder}: {problems[0]}; import or build it again")
                return entry.path("bit")
        raise StorageError(
            f"{self.folder}: no bitstream of engine {hardware_sha256[:12]}{_newest(entries)}; "
            "`codesign build RUN` makes it, `codesign import` brings one"
        )

    def verify(self, entry: Entry) -> list[str]:
        """Return the faults of an entry's files, digests, part and design, one line each."""
        files = entry.bitstream.files
        there = {str(path.relative_to(entry.folder)): path for path in entry.folder.rglob("*") if path.is_file()}
        there.pop(RECORD, None)
        problems = [f"{path}: is missing" for path in sorted(files.keys() - there)]
        problems += [f"{path}: does not belong here" for path in sorted(there.keys() - files)]
        for path in sorted(there.keys() & files):
            if hashlib.sha256(there[path].read_bytes()).hexdigest() != files[path]:
                problems.append(f"{path}: its content has changed")
        if entry.bitstream.digest != entry.digest:
            problems.append(f"{RECORD}: is of {entry.bitstream.digest}")
        try:
            read_design(entry.path("bit"), load_board(entry.bitstream.board))
        except CodesignError as error:
            problems.append(str(error))
        return problems

    def collect_garbage(self, older_than_days: float | None) -> list[str]:
        """Remove what interrupted imports left, damaged entries, and those that came in long ago.

        Args:
            older_than_days: entries older than this go as well; None keeps all.

        Returns:
            A line for each thing that was removed.

        Raises:
            StorageError: something cannot be removed.
        """
        if not self.folder.exists():
            return []
        removed = []
        with exclusive(self.folder / ".lock", advice=_ADVICE):
            for folder, reason in self._garbage(older_than_days):
                try:
                    shutil.rmtree(folder)
                except OSError as error:
                    raise StorageError(f"{folder}: cannot be removed ({error.strerror or error})") from error
                removed.append(f"{folder.name}: {reason}")
        return removed

    def _garbage(self, older_than_days: float | None) -> Iterator[tuple[Path, str]]:
        """Yield folders of no use and why, under the lock: whatever is unfinished then was abandoned."""
        for folder in sorted(self.folder.glob(f"{_UNFINISHED}*")):
            yield folder, "an import that was cut off"
        entries, faults = self.content()
        for name, (fault,) in faults.items():
            yield self.folder / name, fault
        for entry in entries:
            age = datetime.now(UTC) - datetime.fromisoformat(entry.bitstream.imported)
            if problems := self.verify(entry):
                yield entry.folder, problems[0]
            elif older_than_days is not None and age > timedelta(days=older_than_days):
                yield entry.folder, f"imported {entry.bitstream.imported}"

    def _folders(self) -> list[Path]:
        try:
            return sorted(path for path in self.folder.iterdir() if re.fullmatch("[0-9a-f]{64}", path.name))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageError(f"{self.folder}: cannot be read ({error.strerror or error})") from error

    def _read(self, folder: Path) -> Entry:
        path = folder / RECORD
        with reading(path, "build or import it again"):
            return Entry(folder, parse_json(read_regular(path, _MOST_RECORD_BYTES), StoredBitstream, "build"))


def _newest(entries: tuple[Entry, ...]) -> str:
    """Say which engine came in last, of another project than the one that is looked for."""
    made = [entry.bitstream for entry in entries if entry.bitstream.hardware_sha256]
    if not made:
        return ""
    last = made[-1]
    return f" (the newest one is of {last.hardware_sha256:.12}, {last.implementation} for {board_name(last.board)})"
