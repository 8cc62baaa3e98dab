"""``codesign fetch``: published supernets, predictors and specialised networks."""

from dataclasses import dataclass
from pathlib import Path

from codesign.progress import Progress
from codesign.supernet.published.artefacts import cache_folder, fetch, select
from hw_templates.foundation.errors import InvalidValueError


@dataclass(frozen=True)
class PublishedFile:
    """One published file.

    Attributes:
        name: below the folder.
        size_bytes: as published; None where that is not known.
        fetched_bytes: how much of it is in the folder.
        complete: whether all of it is.
    """

    name: str
    size_bytes: int | None
    fetched_bytes: int
    complete: bool


@dataclass(frozen=True)
class Listing:
    """Published files, and the folder that they go to."""

    folder: Path
    files: tuple[PublishedFile, ...]


@dataclass(frozen=True)
class Fetched(Listing):
    """Published files that are in their folder now, and the names of those that were there before."""

    were_there: tuple[str, ...]


def size_text(size_bytes: int | None) -> str:
    """Return a size as it is shown."""
    if size_bytes is None:
        return "?"
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 1e5 else f"{size_bytes / 1e3:.1f} kB"


def list_files(names: list[str], folder: Path | None) -> Listing:
    """Return the files of such names, or all, and how much of them is there.

    Raises:
        InvalidValueError: nothing has one of the names.
    """
    folder = folder or cache_folder()
    found = []
    for artefact in select(names):
        path = folder / artefact.name
        complete = path.exists()
        there = path if complete else path.with_name(f"{path.name}.part")
        size = there.stat().st_size if there.exists() else 0
        found.append(PublishedFile(artefact.name, artefact.size_bytes, size, complete))
    return Listing(folder, tuple(found))


def fetch_files(names: list[str], folder: Path | None, progress: Progress) -> Fetched:
    """Fetch the files of such names that are not there yet.

    Raises:
        InvalidValueError: no names, or nothing has one of them.
        FetchError: a file cannot be fetched, or is not what was published.
        StorageError: the folder cannot be written.
    """
    if not names:
        raise InvalidValueError("names", [], "files or folders which `codesign fetch --list` shows")
    before = list_files(names, folder)
    for artefact in select(names):
        with progress.stage(artefact.name) as update:

            def on_progress(have: int, total: int | None, stated: int | None = artefact.size_bytes) -> None:
                total = total or stated
                update(have / total if total else 0.0, f"{size_text(have)} of {size_text(total)}")

            fetch(artefact, before.folder, on_progress)
    files = list_files(names, folder).files
    return Fetched(before.folder, files, tuple(file.name for file in before.files if file.complete))
