"""``codesign fetch``: published supernets, predictors and specialised networks."""

from pathlib import Path

from codesign.progress import Progress
from codesign.supernet.published.artefacts import Artefact, cache_folder, fetch, select
from hw_templates.foundation.errors import InvalidValueError


def _size(size_bytes: int | None) -> str:
    if size_bytes is None:
        return "?"
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 1e5 else f"{size_bytes / 1e3:.1f} kB"


def show(names: list[str], folder: Path | None, progress: Progress) -> None:
    """List the files of such names, or all, and which of them are there.

    Raises:
        InvalidValueError: nothing has one of the names.
    """
    folder = folder or cache_folder()
    chosen = select(names)
    for artefact in chosen:
        state, path = "", folder / artefact.name
        if path.exists():
            state = f"fetched, {_size(path.stat().st_size)}"
        elif (partial := path.with_name(f"{path.name}.part")).exists():
            state = f"{_size(partial.stat().st_size)} of it fetched"
        progress.say(f"{artefact.name:<68} {_size(artefact.size_bytes):>8}  {state}".rstrip())
    progress.say(f"{len(chosen)} files; they go to {folder}")


def bring(names: list[str], folder: Path | None, progress: Progress) -> None:
    """Fetch the files of such names that are not there yet.

    Raises:
        InvalidValueError: no names, or nothing has one of them.
        FetchError: a file cannot be fetched, or is not what was published.
        StorageError: the folder cannot be written.
    """
    if not names:
        raise InvalidValueError("names", [], "files or folders which `codesign fetch --list` shows")
    folder = folder or cache_folder()
    chosen = select(names)
    for artefact in chosen:
        _bring_one(artefact, folder, progress)
    progress.say(f"{len(chosen)} files in {folder}")


def _bring_one(artefact: Artefact, folder: Path, progress: Progress) -> None:
    there = (folder / artefact.name).exists()
    with progress.stage(artefact.name) as update:

        def on_progress(have: int, total: int | None) -> None:
            total = total or artefact.size_bytes
            update(have / total if total else 0.0, f"{_size(have)} of {_size(total)}")

        path = fetch(artefact, folder, on_progress)
    command = "was there" if there else "fetched"
    progress.say(f"{command:<9}  {artefact.name}, {_size(path.stat().st_size)}")
