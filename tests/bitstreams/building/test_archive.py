"""``results.tar`` within bounds: what no build leaves is refused by its header, before its content is read."""

import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest

from bitstreams.building.archive import MOST_BYTES, read_archive, read_members
from hw_templates.foundation.errors import StorageError

END = bytes(1024)


def header(name: str, size: int = 0, kind: bytes = b"0", pax: dict[str, str] | None = None) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.type, member.pax_headers = size, kind, pax or {}
    return member.tobuf(tarfile.PAX_FORMAT)


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 512)


class Watched(io.BytesIO):
    """A file that remembers how much of it was asked for at once."""

    most = 0

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None
        assert size >= 0
        self.most = max(self.most, size)
        return super().read(size)


def read(content: bytes) -> dict[str, bytes]:
    return dict(read_members(io.BytesIO(content)))


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_format_of_tar_is_read(tmp_path: Path, tar_format: int) -> None:
    path = tmp_path / "results.tar"
    with tarfile.open(path, "w", format=tar_format) as tar:
        for name, content in (("./tools.txt", b"hls 1\n"), ("./hardware/hls/store.cpp", b"x" * 513)):
            member = tarfile.TarInfo(name)
            # A time with a fraction stands in an extended header.
            member.size, member.mtime = len(content), 1.5 if tar_format == tarfile.PAX_FORMAT else 1
            tar.addfile(member, io.BytesIO(content))
        folder = tarfile.TarInfo("./reports")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
    assert read_archive(path) == {"tools.txt": b"hls 1\n", "hardware/hls/store.cpp": b"x" * 513}


@pytest.mark.parametrize(
    "name",
    [
        "../tools.txt",
        "/tmp/tools.txt",
        "a/../../tools.txt",
        "././tools.txt",
        "././/tools.txt",
        ".//tools.txt",
        "build.json",
        "0123456789abcdef.bit",
        "engine_0BADCAFE.bit",
        "hardware/hls/../../tools.txt",
        "hardware/hls/a/b.cpp",
        "hardware/hls/.hidden",
        "hardware/other/a.cpp",
        "reports/tools.txt",
        "tools.txt ",
        "tools.txt\n",
        "",
    ],
)
def test_a_name_that_no_build_leaves_is_refused(name: str) -> None:
    with pytest.raises(StorageError, match="which no build leaves") as refused:
        read(header(name) + END)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("kind", [b"1", b"2", b"3", b"4", b"6", b"7", b"L", b"K", b"S", b"V", b"M", b"D", b"\xff"])
def test_links_devices_and_everything_but_files_are_refused(kind: bytes) -> None:
    with pytest.raises(StorageError, match="which no build leaves"):
        read(header("tools.txt", kind=kind) + END)


@pytest.mark.parametrize("key", ["path", "size", "linkpath", "GNU.sparse.major", "GNU.sparse.name"])
@pytest.mark.parametrize("kind", [b"x", b"g"])
def test_extended_headers_that_change_a_member_are_refused(key: str, kind: bytes) -> None:
    record = f" mtime=1.5\n20 {key}=engine_\0\n".encode()
    content = b"13" + record
    with pytest.raises(StorageError, match="holds an extended header that no build leaves"):
        read(header("pax", len(content), kind) + padded(content) + header("tools.txt") + END)


def test_a_name_that_comes_twice_is_refused() -> None:
    with pytest.raises(StorageError, match=r"holds tools\.txt twice"):
        read(header("tools.txt") + header("./tools.txt") + END)


@pytest.mark.parametrize(
    ("first", "message"),
    [
        (header("pax", 3 << 30, b"x"), "holds an extended header that no build leaves"),
        (header("pax", 3 << 30, b"g"), "holds an extended header that no build leaves"),
        (header("engine_0badcafe.bit", 900 << 20), r"engine_0badcafe\.bit: has 943,718,400 bytes, more than"),
        (header("tools.txt", MOST_BYTES["report"] + 1), "more than the 33,554,432 that a build leaves"),
        (header("other", 900 << 20), "holds 'other', which no build leaves"),
        (header("reports", 900 << 20, b"5"), "holds 'reports/', which no build leaves"),
    ],
)
def test_sizes_are_bounded_before_anything_is_read(first: bytes, message: str) -> None:
    file = Watched(first + bytes(10_000))
    with pytest.raises(StorageError, match=message):
        dict(read_members(file))
    assert file.most == 512


def test_the_archive_as_a_whole_is_bounded_too(tmp_path: Path) -> None:
    path = tmp_path / "results.tar"
    path.write_bytes(header("tools.txt"))
    os.truncate(path, 900 << 20)
    with pytest.raises(StorageError, match=r"results\.tar: has 943,718,400 bytes"):
        read_archive(path)


@pytest.mark.parametrize("member", [header("reports", kind=b"5"), header("pax", 0, b"x"), header("pax", 0, b"g")])
def test_members_are_counted(member: bytes) -> None:
    file = Watched(member * 200_000 + END)
    with pytest.raises(StorageError, match="holds more than 500 members"):
        dict(read_members(file))
    assert file.tell() <= 501 * 512


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is damaged or no tar"),
        (b"no tar", "is damaged or no tar"),
        (b"#!/bin/sh\n" * 200, "is damaged or no tar"),
        (b"\x7fELF" + bytes(4096), "is damaged or no tar"),
        (gzip.compress(header("tools.txt") + END, mtime=0), "is compressed; unpack it"),
        (b"BZh91AY&SY" + bytes(600), "is compressed; unpack it"),
        (b"\xfd7zXZ\0" + bytes(600), "is compressed; unpack it"),
        (header("tools.txt", 600) + bytes(512), "is cut off in 'tools.txt'"),
        (header("tools.txt", 600) + bytes(1024), "it has no end"),
        (header("tools.txt").replace(b"ustar", b"xstar"), "the checksum of a header is wrong"),
    ],
)
def test_what_is_no_whole_tar_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "results.tar"
    path.write_bytes(content)
    with pytest.raises(StorageError, match=f"^{path}: .*{message}"):
        read_archive(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"gone\.tar: cannot be read \(No such file"):
        read_archive(tmp_path / "gone.tar")
    with pytest.raises(StorageError, match="is no regular file"):
        read_archive(Path("/dev/zero"))
