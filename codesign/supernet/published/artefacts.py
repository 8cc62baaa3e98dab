"""Published files that are fetched at the user's wish, and the folder that keeps them.

``artefacts.csv`` declares them: supernets, accuracy predictors and specialised networks of Cai et al. 2020, where the
reference implementation (``ofa`` package, ``model_zoo.py``) finds them. A digest is a SHA-256 or, where the content was
not at hand when the table was made, the Git blob id that the publishing repository's commit gives the file. The one
file without either is trusted when it is first fetched, and compared with that from then on.
"""

import csv
import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Annotated

import msgspec

from codesign.supernet.published.download import MOST_BYTES, OnProgress, download
from hw_templates.foundation.atomic_file import write_text_atomically
from hw_templates.foundation.errors import FetchError, StorageError, UnknownNameError
from hw_templates.foundation.json_records import read_json
from hw_templates.foundation.lock import exclusive
from hw_templates.foundation.user import user_folder

_FIRST_SEEN = "digests.json"
_Digest = Annotated[str, msgspec.Meta(pattern=r"^sha256:[0-9a-f]{64}\Z", description="a digest of kind sha256")]


@dataclass(frozen=True)
class Artefact:
    """One published file.

    Attributes:
        name: where it lies in the cache folder.
        size_bytes: None where it is not known.
        digest: ``sha256:...`` or ``git:...``; empty where it is not known.
        address: where it is fetched from.
    """

    name: str
    size_bytes: int | None
    digest: str
    address: str


@cache
def artefacts() -> tuple[Artefact, ...]:
    """Return all that can be fetched, in the table's order."""
    with (files("codesign.supernet.published") / "artefacts.csv").open() as file:
        return tuple(
            Artefact(row["name"], int(row["bytes"]) if row["bytes"] else None, row["digest"], row["address"])
            for row in csv.DictReader(file)
        )


def select(names: list[str]) -> tuple[Artefact, ...]:
    """Return the files of such names, of folders of such names, or in them; all for no names.

    Raises:
        InvalidValueError: nothing has one of the names.
    """
    if not names:
        return artefacts()
    chosen: dict[str, Artefact] = {}
    for name in names:
        found = [artefact for artefact in artefacts() if f"/{name.strip('/')}/" in f"/{artefact.name}/"]
        if not found:
            places = [PurePosixPath(artefact.name) for artefact in artefacts()]
            known = {str(part) for place in places for part in (place.name, place, *place.parents[:-1])}
            raise UnknownNameError("names", name, sorted(known), "files or folders that `codesign fetch --list` shows")
        chosen |= {artefact.name: artefact for artefact in found}
    return tuple(artefact for artefact in artefacts() if artefact.name in chosen)


def cache_folder() -> Path:
    """Say where fetched files lie: in ``CODESIGN_CACHE``, else below the user's cache folder.

    Raises:
        StorageError: the variable is not set, and the user has no home.
    """
    return user_folder("CODESIGN_CACHE", "XDG_CACHE_HOME", ".cache", "codesign")


def _digest(path: Path, kind: str) -> str:
    """Return the digest of a file, ``sha256`` or ``git`` (SHA-1 of Git's header for a blob and the content)."""
    hashed = hashlib.sha256()
    if kind == "git":
        hashed = hashlib.sha1(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as file:
        return f"{kind}:{hashlib.file_digest(file, lambda: hashed).hexdigest()}"


def _first_seen(folder: Path) -> dict[str, str]:
    path = folder / _FIRST_SEEN
    if not path.exists():
        return {}
    return read_json(path, dict[str, _Digest], "delete it to trust what is fetched next")


def check(artefact: Artefact, path: Path, folder: Path) -> None:
    """Say whether a file is what was published.

    Raises:
        FetchError: it is not.
        StorageError: it cannot be read.
    """
    expected = artefact.digest or _first_seen(folder).get(artefact.name)
    try:
        found = _digest(path, expected.partition(":")[0]) if expected else None
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror}); change its permissions") from error
    if found != expected:
        raise FetchError(f"{path}: has {found}, but {artefact.name} was published with {expected}; delete it")


def fetch(artefact: Artefact, folder: Path, on_progress: OnProgress = lambda _have, _total: None) -> Path:
    """Return the file in the cache folder, fetched unless it is there, and compared with what was published.

    Raises:
        FetchError: it cannot be fetched (what arrived is kept, and the next call goes on from there), or is not what
            was published (then it is deleted).
        StorageError: the folder cannot be written.
    """
    path = folder / artefact.name
    busy = FetchError(f"{folder}: another process fetches into this folder; wait for it")
    with exclusive(folder / ".lock", busy, "name another folder by --folder or CODESIGN_CACHE"):
        if path.exists():
            check(artefact, path, folder)
            return path
        partial = path.with_name(f"{path.name}.part")
        download(artefact.address, partial, on_progress, artefact.size_bytes or MOST_BYTES)
        try:
            check(artefact, partial, folder)
        except FetchError:
            partial.unlink()
            raise
        if not artefact.digest:
            seen = _first_seen(folder) | {artefact.name: _digest(partial, "sha256")}
            write_text_atomically(folder / _FIRST_SEEN, json.dumps(seen, indent=2) + "\n")
        partial.replace(path)
    return path


def fetched(name: str) -> Path:
    """Return the file of that name in the cache folder, compared with what was published.

    Raises:
        FetchError: it was not fetched yet, or is not what was published.
        StorageError: it cannot be read.
    """
    [artefact] = select([name])
    path = cache_folder() / name
    if not path.exists():
        raise FetchError(f"{path}: is not there yet; `codesign fetch {name}` brings it")
    check(artefact, path, cache_folder())
    return path
