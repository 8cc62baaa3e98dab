import socket
from pathlib import Path

import pytest
from file_server import file_server

from codesign.supernet.download import download
from hw_templates.errors import FetchError, StorageError

HTTP = ("http",)
CONTENT = bytes(range(256)) * 5000


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
    download(f"{server.address}/file", partial, lambda have, total: told.append((have, total)), HTTP)
    assert partial.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [have for have, _ in told] == sorted(have for have, _ in told)
    assert [path.name for path in partial.parent.iterdir()] == ["file.part"]


@pytest.mark.parametrize("cut", [0, 1, 100_000, len(CONTENT) - 1])
def test_what_broke_off_goes_on_where_it_stopped(server, partial, cut):
    server.cut = cut
    with pytest.raises(FetchError, match=rf"/file: broke off after {cut:,} bytes .*the same command goes on"):
        download(f"{server.address}/file", partial, schemes=HTTP)
    assert partial.read_bytes() == CONTENT[:cut]
    server.cut = None
    download(f"{server.address}/file", partial, schemes=HTTP)
    assert partial.read_bytes() == CONTENT
    assert [wanted for _, wanted in server.requests] == [None, f"bytes={cut}-" if cut else None]


def test_the_rest_of_another_version_is_not_appended(server, partial):
    server.cut = 1000
    with pytest.raises(FetchError, match="broke off"):
        download(f"{server.address}/file", partial, schemes=HTTP)
    server.cut, server.files["/file"] = None, CONTENT[::-1]
    download(f"{server.address}/file", partial, schemes=HTTP)
    assert partial.read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("lengths", [True, False])
def test_servers_without_ranges_begin_anew(server, partial, lengths):
    server.ranges, server.lengths = False, lengths
    partial.parent.mkdir()
    partial.write_bytes(CONTENT[:1000])
    download(f"{server.address}/file", partial, schemes=HTTP)
    assert partial.read_bytes() == CONTENT


def test_a_partial_file_that_is_whole_is_fetched_anew(server, partial):
    """As when a process was killed right before it gave the file its name."""
    server.cut = 10
    with pytest.raises(FetchError, match="broke off"):
        download(f"{server.address}/file", partial, schemes=HTTP)
    partial.write_bytes(CONTENT)
    server.cut = None
    download(f"{server.address}/file", partial, schemes=HTTP)
    assert partial.read_bytes() == CONTENT


def test_an_absent_file_is_told_with_the_answer(server, partial):
    with pytest.raises(FetchError, match=r"/other: the server answered 404 Not Found"):
        download(f"{server.address}/other", partial, schemes=HTTP)


def test_no_connection_is_told(partial):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}/file"
    with pytest.raises(FetchError, match=r"/file: cannot be reached \(.*[Rr]efused.*\); try again"):
        download(address, partial, schemes=HTTP)
    with pytest.raises(FetchError, match=r"cannot be reached \(.*\); try again"):
        download("https://name.invalid/file", partial)


def test_redirects_are_followed_to_the_same_scheme_only(server, partial, tmp_path):
    (tmp_path / "secret").write_text("secret")
    server.redirects |= {
        "/moved": f"{server.address}/file",
        "/ftp": "ftp://127.0.0.1/file",
        "/local": f"file://{tmp_path}/secret",
        "/loop": f"{server.address}/loop",
    }
    download(f"{server.address}/moved", partial, schemes=HTTP)
    assert partial.read_bytes() == CONTENT
    partial.unlink()
    with pytest.raises(FetchError, match=r"^ftp://.* is no http address, and only such are fetched from"):
        download(f"{server.address}/ftp", partial, schemes=HTTP)
    for path in ("/local", "/loop"):
        with pytest.raises(FetchError, match=rf"{path}: the server answered 302"):
            download(f"{server.address}{path}", partial, schemes=HTTP)
    assert partial.read_bytes() == b""


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/file", "file:///etc/hostname", "ftp://127.0.0.1/file", "file"])
def test_only_https_is_fetched_from(address, partial):
    with pytest.raises(FetchError, match=r"is no https address, and only such are fetched from"):
        download(address, partial)
    assert not partial.exists()


def test_a_folder_that_cannot_be_written_is_named(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        download(f"{server.address}/file", tmp_path / "file" / "file.part", schemes=HTTP)


def test_a_full_disk_is_told(server):
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    with pytest.raises(StorageError, match="cannot be written"):
        download(f"{server.address}/file", Path("/dev/full"), schemes=HTTP)
