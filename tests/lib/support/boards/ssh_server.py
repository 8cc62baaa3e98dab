"""A real sshd on loopback, with keys of its own, behind which a fake board's pynq is importable."""

import getpass
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bitstreams.board.ssh_session import SshSession

ROOT = Path(__file__).parents[4]


@dataclass(frozen=True)
class SshServer:
    port: int
    user: str
    known_hosts: Path
    key: Path
    process: "subprocess.Popen[bytes]"


def _keygen(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)


@contextmanager
def ssh_server(folder: Path, project: Path, python_does: str | None = None) -> Iterator[SshServer]:
    """Serve logins with a key, whose commands meet a board with the project's engine.

    ``python_does`` is shell, what python3 does there instead of meeting it.
    """
    sshd = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if sshd is None or getpass.getuser() != "root":
        pytest.skip("needs sshd and root (Debian: apt-get install openssh-server)")
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("host", "user"):
        _keygen(folder / name)
    shutil.copy(folder / "user.pub", folder / "authorized")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    binaries = folder / "bin"
    binaries.mkdir()
    python = binaries / "python3"
    support = ROOT / "tests/lib/support/boards/fake_board"
    # A shell in front of Python: what a login on a board finds as python3 has pynq.
    # Its own folder of temporary files: each server is another board.
    board = f'TMPDIR={folder} PYTHONPATH={support}:{ROOT} CODESIGN_TWIN={project} exec {sys.executable} "$@"'
    python.write_text(f"#!/bin/sh\n{python_does or board}\n")
    python.chmod(0o755)
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile {folder}/pid\n"
        f"AuthorizedKeysFile {folder}/authorized\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        f"PermitRootLogin yes\nStrictModes no\nUsePAM no\n"
        # Whatever this machine's shells set up on the way, the board's Python is found first.
        f'ForceCommand PATH={binaries}:/usr/bin:/bin; export PATH; exec sh -c "$SSH_ORIGINAL_COMMAND"\n'
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    process = subprocess.Popen([sshd, "-D", "-e", "-f", str(folder / "config")], stderr=subprocess.DEVNULL)
    host_key = (folder / "host.pub").read_text()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}")
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield SshServer(port, "root", folder / "known_hosts", folder / "user", process)
    finally:
        process.terminate()
        process.wait()


def logged_in(server: SshServer, known_hosts: str | None = None, key: Path | None = None) -> SshSession:
    """A session of a user whose home holds the key and knows the server, or holds and knows something else."""
    with tempfile.TemporaryDirectory() as home, pytest.MonkeyPatch.context() as environment:
        keys = Path(home) / ".ssh"
        keys.mkdir()
        (keys / "known_hosts").write_text(server.known_hosts.read_text() if known_hosts is None else known_hosts)
        shutil.copy(key or server.key, keys / "id_ed25519")
        environment.setenv("HOME", home)
        environment.delenv("SSH_AUTH_SOCK", raising=False)
        return SshSession("127.0.0.1", server.port, server.user)
