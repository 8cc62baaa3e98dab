import dataclasses
import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.file_server import file_server
from support.mutations import drive, from_file, mutated_json
from support.shared_data import shared_data

from codesign.supernet.published import download
from codesign.supernet.published.artefacts import (
    Artefact,
    _first_seen,
    artefacts,
    cache_folder,
    check,
    fetch,
    fetched,
    select,
)
from hw_templates.foundation.errors import FetchError, InvalidValueError, StorageError

CONTENT = b"weights" * 1000


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download, "SCHEMES", ("http",))
    with file_server() as server:
        server.files["/weights"] = CONTENT
        yield server


def artefact(server, digest="", name="nets/weights"):
    return Artefact(name, None, digest, f"{server.address}/weights")


def git_blob_id(path):
    return subprocess.run(["git", "hash-object", path], check=True, capture_output=True, text=True).stdout.strip()


def test_the_cache_is_where_the_user_wants_it(monkeypatch):
    for name in ("CODESIGN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_folder() == Path("/home/someone/.cache/codesign")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache_folder() == Path("/caches/codesign")
    monkeypatch.setenv("CODESIGN_CACHE", "~/mine")
    assert cache_folder() == Path("/home/someone/mine")


def test_the_table_declares_every_published_file():
    names = [one.name for one in artefacts()]
    assert len(names) == len(set(names)) == 156
    assert sum(name.endswith("/init") for name in names) == sum(name.endswith("/net.config") for name in names) == 50
    for one in artefacts():
        assert one.address.startswith("https://")
        assert re.fullmatch(r"sha256:[0-9a-f]{64}|git:[0-9a-f]{40}|", one.digest)
        assert not Path(one.name).is_absolute()
        assert ".." not in Path(one.name).parts
    assert [one.name for one in artefacts() if not one.digest] == ["ofa_nets/ofa_supernet_resnet50"]


def test_the_declared_predictors_are_the_published_ones():
    folder = shared_data("ofa")
    for name in ("acc_predictor.pth", "ofa_resnet50_acc_predictor.pth"):
        [one] = select([name])
        assert one.digest == f"sha256:{hashlib.sha256((folder / name).read_bytes()).hexdigest()}"
        assert one.size_bytes == (folder / name).stat().st_size
        check(one, folder / name, folder)


def test_files_and_folders_are_selected_by_name():
    assert select([]) == artefacts()
    assert len(select(["ofa_nets"])) == len(select(["ofa_nets/"])) == 4
    net = "note10_lat-8ms_top1-71.4_finetune-25"
    assert [one.name for one in select([net])] == [
        f"ofa_specialized/{net}/{name}" for name in ("init", "net.config", "run.config")
    ]
    both = select(["ofa_specialized", "acc_predictor.pth", net])
    assert len(both) == 151
    assert both[0].name == "acc_predictor.pth"
    for wrong in ("acc", "net", "", "../acc_predictor.pth"):
        with pytest.raises(InvalidValueError, match="names: must be files or folders that `codesign fetch"):
            select([wrong])


def test_a_file_is_fetched_once(server, tmp_path):
    one = artefact(server, f"sha256:{hashlib.sha256(CONTENT).hexdigest()}")
    path = fetch(one, tmp_path)
    assert path == tmp_path / "nets" / "weights"
    assert path.read_bytes() == CONTENT
    assert fetch(one, tmp_path) == path
    assert len(server.requests) == 1
    assert sorted(file.name for file in tmp_path.rglob("*")) == [".lock", "nets", "weights"]


def test_a_git_blob_id_is_compared_too(server, tmp_path):
    (tmp_path / "content").write_bytes(CONTENT)
    one = artefact(server, f"git:{git_blob_id(tmp_path / 'content')}")
    assert fetch(one, tmp_path).read_bytes() == CONTENT
    other = dataclasses.replace(one, name="other", digest=f"git:{40 * '0'}")
    with pytest.raises(FetchError, match=r"was published with git:0000"):
        fetch(other, tmp_path)


def test_what_is_not_as_published_is_not_kept(server, tmp_path):
    one = artefact(server, f"sha256:{64 * '0'}")
    with pytest.raises(FetchError, match=r"nets/weights was published with sha256:0000"):
        fetch(one, tmp_path)
    assert {file.name for file in tmp_path.rglob("*")} == {".lock", "nets"}


def test_a_changed_file_in_the_cache_is_told(server, tmp_path):
    one = artefact(server, f"sha256:{hashlib.sha256(CONTENT).hexdigest()}")
    fetch(one, tmp_path).write_bytes(CONTENT + b" ")
    with pytest.raises(FetchError, match="delete it"):
        fetch(one, tmp_path)


def test_without_a_digest_the_first_content_counts(server, tmp_path):
    one = artefact(server)
    path = fetch(one, tmp_path)
    assert fetch(one, tmp_path) == path
    path.unlink()
    server.files["/weights"] = b"other weights"
    with pytest.raises(FetchError, match=f"was published with sha256:{hashlib.sha256(CONTENT).hexdigest()}"):
        fetch(one, tmp_path)
    (tmp_path / "digests.json").write_text("{")
    with pytest.raises(StorageError, match=r"digests\.json: .* sound JSON .*; delete it to trust what is fetched"):
        fetch(one, tmp_path)


def test_a_cut_off_transfer_goes_on(server, tmp_path):
    one = artefact(server, f"sha256:{hashlib.sha256(CONTENT).hexdigest()}")
    server.cut = 3000
    with pytest.raises(FetchError, match="broke off after 3,000 bytes"):
        fetch(one, tmp_path)
    assert not (tmp_path / "nets" / "weights").exists()
    server.cut = None
    assert fetch(one, tmp_path).read_bytes() == CONTENT
    assert server.requests[-1] == ("/weights", "bytes=3000-")


def test_two_processes_do_not_fetch_into_one_folder(server, tmp_path):
    script = f"import fcntl, sys; file = open({str(tmp_path / '.lock')!r}, 'w'); fcntl.flock(file, fcntl.LOCK_EX); "
    script += "print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(FetchError, match="another process fetches into this folder"):
            fetch(artefact(server), tmp_path)
        process.stdin.close()
    fetch(artefact(server), tmp_path)


def test_the_lock_of_a_folder_is_no_link_that_is_followed(server, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("kept")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/.lock").symlink_to(precious)
    with pytest.raises(StorageError, match="cannot be written"):
        fetch(artefact(server), tmp_path / "cache")
    assert precious.read_text() == "kept"


def test_plain_http_needs_more_than_an_address(server, tmp_path, monkeypatch):
    monkeypatch.undo()
    with pytest.raises(FetchError, match="is no https address"):
        fetch(artefact(server), tmp_path)


def test_an_unwritable_folder_is_named(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        fetch(artefact(server), tmp_path / "file")


def test_what_was_not_fetched_is_told_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("CODESIGN_CACHE", str(tmp_path))
    with pytest.raises(FetchError, match=r"is not there yet; `codesign fetch acc_predictor\.pth` brings it"):
        fetched("acc_predictor.pth")


@pytest.mark.parametrize("content", [b"[]", b'{"a": 1}', b"\xff", b"[" * 100_000])
def test_a_spoilt_record_of_digests_is_told(tmp_path, content):
    (tmp_path / "digests.json").write_bytes(content)
    with pytest.raises(StorageError, match=r"digests\.json: .*; delete it to trust what is fetched next"):
        _first_seen(tmp_path)


def test_any_record_of_first_seen_digests_is_read_or_refused_in_one_line(tmp_path):
    content = tmp_path / "nets" / "weights"
    content.parent.mkdir()
    content.write_bytes(b"weights")
    digest = f"sha256:{hashlib.sha256(b'weights').hexdigest()}"
    unknown = Artefact("nets/weights", None, "", "https://nowhere/weights")

    read = from_file(tmp_path / "digests.json", lambda: check(unknown, content, tmp_path))
    accepted, refused = drive(read, mutated_json({"nets/weights": digest, "nets/other": digest}, 2_000))
    assert accepted > 20
    assert refused > 1_000
