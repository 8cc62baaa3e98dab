"""The store: entries appear whole or not at all, whoever else writes, and damage is found."""

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from support.boards.vendor_files import bit_file, handoff
from support.small_disk import small_disk

from bitstreams.building.reports import Timing, Utilisation
from bitstreams.store.bitstream import Bitstream, Entry
from bitstreams.store.store import Store
from hw_templates.foundation.errors import InvalidValueError, StorageError

MAIN = {
    "bit": bit_file("design_1", "7z020clg400"),
    "hwh": handoff("design_1", "7z020", "clg400", "processing_system7", 100_000_000, {}),
}
BITSTREAM = Bitstream(
    determined_by={"hardware_sha256": "ab"},
    board="pynq-z2",
    part="xc7z020clg400-1",
    design="design_1",
    clock_mhz=100.0,
    hardware_sha256=None,
    accelerator=None,
    tools={"vivado": "2023.2"},
    timing=Timing(),
    utilisation=Utilisation(),
    figures=(),
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def numbered(index: int) -> Bitstream:
    return replace(BITSTREAM, determined_by={"hardware_sha256": str(index)})


def add(store: Store, bitstream: Bitstream = BITSTREAM) -> Entry:
    return store.add(bitstream, MAIN, {"reports/timing.rpt": b"fine"})[0]


def test_an_entry_is_named_by_its_digest_and_so_are_its_files(store: Store) -> None:
    entry = add(store)
    assert entry.folder == store.folder / BITSTREAM.digest
    names = {str(path.relative_to(entry.folder)) for path in entry.folder.rglob("*") if path.is_file()}
    short = BITSTREAM.digest[:16]
    assert names == {f"{short}.bit", f"{short}.hwh", "build.json", "reports/timing.rpt"}
    record = json.loads((entry.folder / "build.json").read_text())
    for name in ("board", "part", "clock_mhz", "timing", "utilisation", "tools", "accelerator", "files", "imported"):
        assert name in record
    assert store.entries() == (entry,)
    assert store.find(BITSTREAM.digest[:4]) == entry
    assert store.verify(entry) == []


def test_a_second_entry_of_the_same_digest_changes_nothing(store: Store) -> None:
    entry = add(store)
    again, new = store.add(BITSTREAM, {**MAIN, "xsa": b"PK"}, {})
    assert (again, new) == (entry, False)
    assert not entry.path("xsa").exists()


@pytest.mark.parametrize(
    "path", ["build.json", f"{BITSTREAM.digest[:16]}.bit", "../x", "/x", "a//x", "./x", "a/../x", "", "a\nb"]
)
def test_nothing_takes_the_place_of_the_store_s_own_files_or_leaves_the_entry(store: Store, path: str) -> None:
    with pytest.raises(InvalidValueError, match="file: must be a path inside the entry"):
        store.add(BITSTREAM, MAIN, {path: b"other"})
    assert store.entries() == ()


def test_nothing_is_there_before_the_first(store: Store) -> None:
    assert (store.content(), store.collect_garbage(None)) == (((), {}), [])
    with pytest.raises(StorageError, match="no bitstream ab; `codesign bitstreams list` shows"):
        store.find("ab")
    assert not store.folder.exists()


def test_an_ambiguous_prefix_names_the_choices(store: Store) -> None:
    digests = sorted(add(store, numbered(index)).digest for index in range(20))
    first = next(a[0] for a, b in pairwise(digests) if a[0] == b[0])
    with pytest.raises(StorageError, match="give more digits"):
        store.find(first)


WRITER = """
import sys
sys.path[:0] = sys.argv[3:]
from pathlib import Path
from test_store import BITSTREAM, MAIN, numbered
from bitstreams.store.store import Store
store = Store(Path(sys.argv[1]))
for index in range(8):
    store.add(numbered(index), MAIN, {"reports/writer": sys.argv[2].encode()})
"""


def test_concurrent_writers_leave_one_whole_entry_of_each_digest(store: Store) -> None:
    here = Path(__file__).parent
    paths = [str(here), str(here.parents[1] / "lib"), str(here.parents[2])]
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(store.folder), str(number), *paths]) for number in range(3)
    ]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    entries = store.entries()
    assert {entry.digest for entry in entries} == {numbered(index).digest for index in range(8)}
    assert [store.verify(entry) for entry in entries] == [[]] * 8
    assert not list(store.folder.glob(".incoming-*"))


@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_a_full_disk_loses_nothing_and_leaves_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    kept = add(store, numbered(1))
    written = 0

    def fsync(descriptor: int) -> None:
        nonlocal written
        written += 1
        if written > after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StorageError, match=r"cannot be written \(No space left on device\)"):
        add(store)
    monkeypatch.undo()
    assert store.entries() == (kept,)
    assert sorted(path.name for path in store.folder.iterdir()) == sorted([".lock", kept.digest])
    assert store.verify(add(store)) == []


def test_a_disk_that_is_really_full_loses_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", kib=256) as disk:
        store = Store(disk / "store")
        kept = add(store)
        for size in (300, 230):  # of one file, and of what fits until the next one
            others = {"reports/large": bytes(size << 10), "reports/more": bytes(100 << 10)}
            with pytest.raises(StorageError, match=r"cannot be written \(No space left on device\)"):
                store.add(numbered(1), MAIN, others)
            assert store.entries() == (kept,)
            assert sorted(path.name for path in store.folder.iterdir()) == sorted([".lock", kept.digest])
        assert store.verify(kept) == []
        assert store.verify(add(store, numbered(1))) == []


def test_a_store_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    expected = r"file/store/\.lock: cannot be written \(Not a directory\); .* by --store or CODESIGN_STORE"
    with pytest.raises(StorageError, match=expected):
        add(Store(tmp_path / "file" / "store"))


def test_every_kind_of_damage_is_found(store: Store) -> None:
    entry = add(store)
    report = entry.folder / "reports/timing.rpt"
    report.write_bytes(b"better")
    (entry.folder / "note").write_text("mine")
    assert store.verify(entry) == ["note: does not belong here", "reports/timing.rpt: its content has changed"]
    (entry.folder / "note").unlink()
    report.unlink()
    assert store.verify(entry) == ["reports/timing.rpt: is missing"]
    report.write_bytes(b"fine")
    entry.path("bit").write_bytes(MAIN["bit"][:-1])
    changed, truncated = store.verify(entry)
    assert "its content has changed" in changed
    assert "is truncated" in truncated


def test_a_record_of_another_board_or_digest_is_found(store: Store) -> None:
    entry = add(store)
    path = entry.folder / "build.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "board": "ultra96-v2"}))
    (problem,) = store.verify(store.find(entry.digest))
    assert "is for part 7z020clg400, ultra96-v2 has" in problem
    path.write_text(json.dumps({**record, "determined_by": {"hardware_sha256": "other"}}))
    (problem,) = store.verify(store.find(entry.digest))
    assert "build.json: is of " in problem


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 1}', '{"format": 9}'])
def test_an_unreadable_record_spoils_no_other(store: Store, content: str) -> None:
    entry, other = add(store, numbered(1)), add(store, numbered(2))
    (entry.folder / "build.json").write_text(content)
    assert store.entries() == (other,)
    assert list(store.content()[1]) == [entry.digest]
    with pytest.raises(StorageError, match=r"build\.json: build.*; build or import it again"):
        store.find(entry.digest)
    assert len(store.collect_garbage(None)) == 1
    assert not entry.folder.exists()


def test_garbage_is_what_was_cut_off_damaged_or_old(store: Store) -> None:
    sound, damaged, old = (add(store, numbered(index)) for index in range(3))
    damaged.path("hwh").unlink()
    unfinished = store.folder / ".incoming-abc"
    unfinished.mkdir()
    path = old.folder / "build.json"
    long_ago = (datetime.now(UTC) - timedelta(days=100)).isoformat(timespec="seconds")
    path.write_text(json.dumps({**json.loads(path.read_text()), "imported": long_ago}))
    assert store.collect_garbage(None) == [
        ".incoming-abc: an import that was cut off",
        f"{damaged.digest}: {damaged.digest[:16]}.hwh: is missing",
    ]
    assert store.collect_garbage(99) == [f"{old.digest}: imported {long_ago}"]
    assert store.entries() == (sound,)


def test_the_default_folder_is_the_user_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CODESIGN_STORE", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert Store(None).folder == Path("/data/codesign/bitstreams")
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert Store(None).folder == Path("/home/me/.local/share/codesign/bitstreams")
    monkeypatch.setenv("CODESIGN_STORE", "~/designs")
    assert Store(None).folder == Path("/home/me/designs")
