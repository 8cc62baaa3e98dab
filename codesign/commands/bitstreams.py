"""``codesign bitstreams`` and ``codesign import``: the content of a store, and what is put into it."""

from dataclasses import dataclass
from pathlib import Path

from bitstreams.store.bitstream import Entry
from bitstreams.store.results import import_files, import_results
from bitstreams.store.store import Store
from hw_templates.board import board_names, load_board
from hw_templates.foundation.errors import InvalidValueError, VerificationError


@dataclass(frozen=True)
class Imported:
    """An imported bitstream, and whether the store did not have it before."""

    entry: Entry
    new: bool


@dataclass(frozen=True)
class StoreContent:
    """The content of a store.

    Attributes:
        folder: folder of the store.
        entries: sound bitstreams, oldest first; after a verification those whose files are sound, too.
        damaged: what is wrong with each other one, by its digest.
    """

    folder: Path
    entries: tuple[Entry, ...]
    damaged: dict[str, tuple[str, ...]]

    def require_sound(self) -> None:
        """Refuse damaged bitstreams.

        Raises:
            VerificationError: a bitstream is damaged.
        """
        if self.damaged:
            checked = len(self.entries) + len(self.damaged)
            raise VerificationError(
                f"{self.folder}: {len(self.damaged)} of {checked} bitstreams are damaged; import or build them again"
            )


def import_made(made: Path, board: str | None, hwh: Path | None, store: Path | None) -> Imported:
    """Put a build's results, or a bitstream with its hand-off, into the store.

    Raises:
        InvalidValueError: a .bit without its board, or options that do not belong to a results.tar.
        StorageError: as in :mod:`bitstreams.store.results`.
    """
    if made.suffix == ".bit":
        if board is None:
            raise InvalidValueError("board", board, f"one of {', '.join(board_names())} for a .bit")
        return Imported(*import_files(Store(store), made, hwh or made.with_suffix(".hwh"), load_board(board)))
    for name, value in (("board", board), ("hwh", hwh)):
        if value is not None:
            raise InvalidValueError(name, str(value), "left out for a results.tar, which holds it")
    return Imported(*import_results(Store(store), made))


def list_all(store: Path | None) -> StoreContent:
    """Return the content of the store as its records have it."""
    opened = Store(store)
    return StoreContent(opened.folder, *opened.content())


def show(digest: str, store: Path | None) -> Entry:
    """Return the one bitstream whose digest begins so.

    Raises:
        StorageError: no bitstream has that digest, or several have.
    """
    return Store(store).find(digest)


def verify(digests: list[str], store: Path | None) -> StoreContent:
    """Check every file of the bitstreams with these digests, or of all bitstreams without any.

    Raises:
        StorageError: no bitstream has such a digest.
    """
    opened = Store(store)
    entries, damaged = opened.content()
    if digests:
        entries, damaged = tuple(map(opened.find, digests)), {}
    problems = {entry.digest: tuple(opened.verify(entry)) for entry in entries}
    damaged |= {digest: found for digest, found in problems.items() if found}
    return StoreContent(opened.folder, tuple(entry for entry in entries if not problems[entry.digest]), damaged)


def collect_garbage(older_than_days: float | None, store: Path | None) -> tuple[str, ...]:
    """Remove what is of no use; return what was removed, one line each.

    Raises:
        StorageError: something cannot be removed.
    """
    return tuple(Store(store).collect_garbage(older_than_days))
