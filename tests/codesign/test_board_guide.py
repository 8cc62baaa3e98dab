"""docs/board.md: what needs no board, card reader or vendor tool runs in order, as it stands there."""

import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.boards.ssh_server import ssh_server
from support.boards.twins import served
from support.json_file import read_json
from support.tiny_run import TINY
from typer.testing import CliRunner

from codesign.cli.main import app
from codesign.commands import demo
from codesign.commands.check import CheckResult
from codesign.run.folder import Run
from codesign.run.requests import SearchRequest

pytest.importorskip("pynq", reason="pynq is not installed: pip install --editable '.[board]'")
GUIDE = Path(__file__).parents[2] / "docs/board.md"
SSH_BOARD, REMOTE_BOARD = "pynq-z2@192.168.2.99", "zcu104@localhost"


def commands(language: str) -> list[list[str]]:
    """The lines of all blocks of a language, as a shell splits them."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", GUIDE.read_text(), flags=re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line.removeprefix("$ ")) for line in lines]


@contextmanager
def board_over_ssh(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """What the guide calls its board, to where a twin of the project in ``folder`` is; the user's keys are at home."""
    with ssh_server(folder / "server", folder / "runs/z2/project") as ssh:
        keys = folder / "home/.ssh"
        keys.mkdir(parents=True)
        shutil.copy(ssh.known_hosts, keys / "known_hosts")
        shutil.copy(ssh.key, keys / "id_ed25519")
        monkeypatch.setenv("HOME", str(folder / "home"))
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        yield {SSH_BOARD: f"pynq-z2@127.0.0.1:{ssh.port}"}


def run(command: list[str], places: dict[str, str]) -> str:
    """What a command of the guide says, its boards being at other places."""
    assert command[0] == "codesign"
    done = CliRunner().invoke(app, [places.get(word, word) for word in command[1:]])
    assert done.exit_code == 0, f"{shlex.join(command)}\n{done.output}"
    return done.stdout


def test_the_guide_leads_to_a_calibrated_search(
    finished_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CODESIGN_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(demo, "SMALL", TINY)
    # It simulates and maps the Verilog of both boards' engines, which takes minutes; it has tests of its own.
    monkeypatch.setattr(demo, "check", lambda run, *_, **__: CheckResult((), run.checks))
    for name in ("z2", "zcu104"):
        shutil.copytree(finished_run.folder, tmp_path / "runs" / name)
    todo = commands("sh")
    with board_over_ssh(tmp_path, monkeypatch) as places:
        while REMOTE_BOARD not in todo[0]:
            run(todo.pop(0), places)
        with served(tmp_path / "runs/zcu104/project") as server:
            places[REMOTE_BOARD] = f"{REMOTE_BOARD}:{server.port}"
            for command in todo:
                run(command, places)
    for name in ("z2", "zcu104"):
        settings = Run(tmp_path / "runs" / name).settings(SearchRequest)
        assert settings.coefficients == f"calibrations/{name}"
        assert read_json(tmp_path / "runs" / name / "deploy.json")["complete"] is True
        assert (tmp_path / "runs" / name / "bundle.tar").is_file()
    assert (tmp_path / "calibrations/z2/report/index.html").is_file()


def test_commands_that_cannot_run_here_are_commands() -> None:
    own = [command for command in commands("console") if "codesign" in command]
    assert own
    for words in own:
        name = words[words.index("codesign") + 1]
        assert CliRunner().invoke(app, [name, "--help"]).exit_code == 0
