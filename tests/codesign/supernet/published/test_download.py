import contextlib
import os
import socket
import socketserver
import threading
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import pytest
from support.file_server import file_server
from support.mutations import drive, mutated_bytes, mutated_text

from codesign.supernet.published import download as downloads
from codesign.supernet.published.download import MOST_BYTES, download
from hw_templates.foundation.errors import FetchError, StorageError

CONTENT = bytes(range(256)) * 5000


def ignore(have, total):
    """Hear how far a file is."""


def over_http(address, partial, on_progress=ignore, most_bytes=MOST_BYTES):
    """As ``download``, from a server of a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(downloads, "SCHEMES", ("http",))
        downloads.download(address, partial, on_progress, most_bytes)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with file_server() as server:
        server.files["/file"] = CONTENT
        yield server


@pytest.fixture
def partial(tmp_path):
    return tmp_path / "folder" / "file.part"


def test_a_file_comes_whole_and_tells_how_far_it_is(server, partial):
    told = []
    over_http(f"{server.address}/file", partial, lambda have, total: told.append((have, total)))
    assert partial.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [have for have, _ in told] == sorted(have for have, _ in told)
    assert [path.name for path in partial.parent.iterdir()] == ["file.part"]


@pytest.mark.parametrize("cut", [0, 1, 100_000, len(CONTENT) - 1])
def test_what_broke_off_goes_on_where_it_stopped(server, partial, cut):
    server.cut = cut
    with pytest.raises(FetchError, match=rf"/file: broke off after {cut:,} bytes .*the same command goes on"):
        over_http(f"{server.address}/file", partial)
    assert partial.read_bytes() == CONTENT[:cut]
    server.cut = None
    over_http(f"{server.address}/file", partial)
    assert partial.read_bytes() == CONTENT
    assert [wanted for _, wanted in server.requests] == [None, f"bytes={cut}-" if cut else None]


def test_the_rest_of_another_version_is_not_appended(server, partial):
    server.cut = 1000
    with pytest.raises(FetchError, match="broke off"):
        over_http(f"{server.address}/file", partial)
    server.cut, server.files["/file"] = None, CONTENT[::-1]
    over_http(f"{server.address}/file", partial)
    assert partial.read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("lengths", [True, False])
def test_servers_without_ranges_begin_anew(server, partial, lengths):
    server.ranges, server.lengths = False, lengths
    partial.parent.mkdir()
    partial.write_bytes(CONTENT[:1000])
    over_http(f"{server.address}/file", partial)
    assert partial.read_bytes() == CONTENT


def test_a_partial_file_that_is_whole_is_fetched_anew(server, partial):
    """As when a process was killed right before it gave the file its name."""
    server.cut = 10
    with pytest.raises(FetchError, match="broke off"):
        over_http(f"{server.address}/file", partial)
    partial.write_bytes(CONTENT)
    server.cut = None
    over_http(f"{server.address}/file", partial)
    assert partial.read_bytes() == CONTENT


def test_an_absent_file_is_told_with_the_answer(server, partial):
    with pytest.raises(FetchError, match=r"/other: the server answered 404 Not Found"):
        over_http(f"{server.address}/other", partial)


def test_no_connection_is_told(partial):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}/file"
    with pytest.raises(FetchError, match=r"/file: cannot be reached \(.*[Rr]efused.*\); try again"):
        over_http(address, partial)
    with pytest.raises(FetchError, match=r"cannot be reached \(.*\); try again"):
        download("https://name.invalid/file", partial, ignore, MOST_BYTES)


def test_redirects_are_followed_to_the_same_scheme_only(server, partial, tmp_path):
    (tmp_path / "secret").write_text("secret")
    server.redirects |= {
        "/moved": f"{server.address}/file",
        "/ftp": "ftp://127.0.0.1/file",
        "/local": f"file://{tmp_path}/secret",
        "/loop": f"{server.address}/loop",
    }
    over_http(f"{server.address}/moved", partial)
    assert partial.read_bytes() == CONTENT
    partial.unlink()
    with pytest.raises(FetchError, match=r"^ftp://.* is no http address, and only such are fetched from"):
        over_http(f"{server.address}/ftp", partial)
    for path in ("/local", "/loop"):
        with pytest.raises(FetchError, match=rf"{path}: the server answered 302"):
            over_http(f"{server.address}{path}", partial)
    assert partial.read_bytes() == b""


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/file", "file:///etc/hostname", "ftp://127.0.0.1/file", "file"])
def test_only_https_is_fetched_from(address, partial):
    with pytest.raises(FetchError, match=r"is no https address, and only such are fetched from"):
        download(address, partial, ignore, MOST_BYTES)
    assert not partial.exists()


def test_a_folder_that_cannot_be_written_is_named(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        over_http(f"{server.address}/file", tmp_path / "file" / "file.part")


def test_a_full_disk_is_told(server):
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    with pytest.raises(StorageError, match="cannot be written"):
        over_http(f"{server.address}/file", Path("/dev/full"))


@contextmanager
def raw_server():
    """A server on loopback that answers every request with the bytes it is told to, and closes."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            asked = b"".join(iter(self.rfile.readline, b"\r\n"))
            server.asked.append(asked)
            with contextlib.suppress(OSError):
                self.wfile.write(server.answer)

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        server.answer, server.asked = b"", []
        server.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def raw(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with raw_server() as server:
        yield server


ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\nETag: "abc"\r\nContent-Type: text/plain\r\n\r\nhello world'


@pytest.mark.parametrize("begun", [b"", b"some"])
def test_a_server_that_always_says_416_is_asked_twice_at_most(raw, partial, begun):
    raw.answer = b"HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n"
    partial.parent.mkdir()
    partial.write_bytes(begun)
    partial.with_name("file.part.version").write_text('"abc"')
    with pytest.raises(FetchError, match="/file: the server answered 416 Range Not Satisfiable"):
        over_http(f"{raw.address}/file", partial)
    assert len(raw.asked) == (2 if begun else 1)
    assert partial.read_bytes() == begun


@pytest.mark.parametrize("length", [b"abc", b"-5", b"1e3", b"0x10", b"", b"9" * 5_000, b"1_000"])
def test_a_length_that_is_no_number_is_told(raw, partial, length):
    raw.answer = ANSWER.replace(b"Length: 11", b"Length: " + length)
    with pytest.raises(FetchError, match=r"/file: the server states a length of .*, which is no number"):
        over_http(f"{raw.address}/file", partial)


@pytest.mark.parametrize("stated", [True, False])
def test_a_server_without_end_is_left(raw, partial, stated):
    raw.answer = ANSWER if stated else ANSWER.replace(b"Content-Length: 11\r\n", b"")
    with pytest.raises(FetchError, match="/file: has more than the 10 bytes that the file has"):
        over_http(f"{raw.address}/file", partial, most_bytes=10)
    over_http(f"{raw.address}/file", partial, most_bytes=11)
    assert partial.read_bytes() == b"hello world"


@pytest.mark.parametrize("tag", [b'W/"abc"', b"abc", b'"a\x85b"', b'"abc', b'"a"\r\n "b"'])
def test_a_tag_that_no_request_may_name_is_forgotten(raw, partial, tag):
    raw.answer = ANSWER.replace(b'"abc"', tag).replace(b"hello world", b"hello")
    with pytest.raises(FetchError, match="broke off after 5 bytes"):
        over_http(f"{raw.address}/file", partial)
    raw.answer = ANSWER
    over_http(f"{raw.address}/file", partial)
    assert partial.read_bytes() == b"hello world"
    assert b"If-Range" not in raw.asked[-1]


def test_a_damaged_note_of_the_version_begins_anew(raw, partial):
    partial.parent.mkdir()
    partial.write_bytes(b"some")
    partial.with_name("file.part.version").write_bytes(b'"\xff\n')
    raw.answer = ANSWER
    over_http(f"{raw.address}/file", partial)
    assert partial.read_bytes() == b"hello world"


def test_any_spoilt_answer_is_taken_or_refused_in_one_line(raw, partial, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)

    def read(answer):
        raw.answer = answer
        partial.unlink(missing_ok=True)
        partial.with_name("file.part.version").unlink(missing_ok=True)
        over_http(f"{raw.address}/file", partial)

    inputs = chain(mutated_bytes(ANSWER, 1_000), mutated_text(ANSWER.decode(), 1_000))
    accepted, refused = drive(read, inputs)
    assert accepted > 300
    assert refused > 300
