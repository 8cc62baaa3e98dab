import dataclasses
import hashlib

import pytest
from support.file_server import file_server
from support.nameless import become_nameless
from typer.testing import CliRunner

from codesign.cli.main import app
from codesign.supernet.published import artefacts, download

CONTENT = b"weights" * 40_000


@pytest.fixture
def server(monkeypatch, tmp_path):
    """The first three declared files, as if a server on loopback had published them."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("CODESIGN_CACHE", str(tmp_path / "cache"))
    with file_server() as server:
        digest = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
        served = [
            dataclasses.replace(one, digest=digest, size_bytes=len(CONTENT), address=f"{server.address}/{one.name}")
            for one in artefacts.artefacts()[:3]
        ]
        server.files = {f"/{one.name}": CONTENT for one in served}
        monkeypatch.setattr(artefacts, "artefacts", lambda: tuple(served))
        monkeypatch.setattr(download, "SCHEMES", ("http",))
        yield server


def run(*arguments):
    result = CliRunner().invoke(app, ["fetch", *arguments])
    return result.exit_code, result.output


def test_files_are_fetched_and_listed(server, tmp_path):
    code, output = run("--list")
    assert (code, output.count("fetched,")) == (0, 0)
    code, output = run("acc_predictor.pth")
    assert code == 0
    assert "fetched    acc_predictor.pth, 0.3 MB" in output
    assert (tmp_path / "cache" / "acc_predictor.pth").read_bytes() == CONTENT
    code, output = run("acc_predictor.pth", "ofa_nets", "--folder", str(tmp_path / "cache"))
    assert "was there  acc_predictor.pth" in output
    assert "fetched    ofa_nets/ofa_mbv3_d234_e346_k357_w1.0" in output
    assert f"2 files in {tmp_path / 'cache'}" in output
    code, output = run("--list")
    assert output.count("fetched, 0.3 MB") == 2
    assert f"3 files; they go to {tmp_path / 'cache'}" in output


def test_a_partial_file_is_listed_as_such(server):
    server.cut = 200_000
    code, output = run("acc_predictor.pth")
    assert code == 2
    assert output.count("\n") == 1
    assert "broke off after 200,000 bytes" in output
    assert "0.2 MB of it fetched" in run("--list", "acc_predictor.pth")[1]
    server.cut = None
    assert run("acc_predictor.pth")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((), "NAMES: must be files or folders"), (("absent",), "NAMES: must be files or folders")],
)
def test_bad_requests_end_in_one_line(server, arguments, message):
    code, output = run(*arguments)
    assert code == 2
    assert message in output
    assert output.count("\n") == 1
    assert not server.requests


def test_no_connection_ends_in_one_line(server):
    server.files.clear()
    code, output = run("acc_predictor.pth")
    assert code == 2
    assert "the server answered 404" in output
    assert output.count("\n") == 1


def test_without_a_home_fetch_says_what_to_set_and_without_permission_where_else_to_go(monkeypatch, tmp_path):
    become_nameless(monkeypatch)
    for options in (["--list"], ["acc_predictor.pth"]):
        done = CliRunner().invoke(app, ["fetch", *options])
        assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1)
        assert "CODESIGN_CACHE: must name a folder" in done.stderr
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    done = CliRunner().invoke(app, ["fetch", "acc_predictor.pth"])
    assert "cannot be written (Not a directory); name another folder by --folder or CODESIGN_CACHE" in done.stderr
