"""A board reached over SSH: the runner is sent along and speaks over the connection's streams.

The board needs a stock PYNQ image and nothing else. Host keys are checked as OpenSSH does, against known_hosts; keys
and agent are those of the user.
"""

import asyncio
import contextlib
import getpass
import os
import shlex
import struct
import threading
from collections.abc import Coroutine
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from bitstreams.board.runner import pack
from bitstreams.board.session import CALL_TIMEOUT_S, Session, lost
from hw_templates.foundation.errors import BoardError, InvalidValueError
from hw_templates.foundation.extras import install_command
from hw_templates.foundation.json_records import parse_json

CONNECT_TIMEOUT_S = 15.0
_HEADER_MAX = 1 << 20
_PROFILE = "/etc/profile.d/pynq_venv.sh"
_BOOTSTRAP = (
    "import sys; n = int(sys.stdin.buffer.readline()); exec(compile(sys.stdin.buffer.read(n), 'runner.py', 'exec'))"
)
T = TypeVar("T")


def _command(user: str) -> str:
    """Start Python as root, in PYNQ's environment where there is one."""
    inner = f"if [ -r {_PROFILE} ]; then . {_PROFILE}; fi; exec python3 -c {shlex.quote(_BOOTSTRAP)}"
    return f"sh -c {shlex.quote(inner)}" if user == "root" else f"sudo -n -H sh -c {shlex.quote(inner)}"


class SshSession(Session):
    """The runner behind a connection, whose event loop runs in a thread of its own."""

    via = "ssh"

    def __init__(self, host: str, port: int = 22, user: str = "root") -> None:
        """Log in and start the runner.

        Args:
            host, port, user: the board; as another user than root, sudo must ask for no password.

        Raises:
            BoardError: the user has no name or home, no such host, unknown host key, login refused, or no pynq there.
        """
        try:
            import asyncssh  # noqa: F401
        except ImportError as error:
            raise BoardError(f"asyncssh: cannot be imported ({error}); run `{install_command('board')}`") from error
        _check_account()
        self.where = f"{user}@{host}:{port}"
        self._one_at_a_time = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._connection: Any = None
        self._process: Any = None
        try:
            self._run(self._open(host, port, user), CONNECT_TIMEOUT_S)
            super().__init__()
        except BaseException:
            self.hang_up()
            raise

    def _run(self, coroutine: Coroutine[Any, Any, T], timeout_s: float) -> T:
        import asyncssh

        if self._loop.is_closed():
            coroutine.close()
            raise lost(self.where, "the session is closed")
        future = asyncio.run_coroutine_threadsafe(asyncio.wait_for(coroutine, timeout_s), self._loop)
        try:
            try:
                return future.result()
            except KeyboardInterrupt:
                # What is under way comes to its end first, or its answer would be taken for that of the next call.
                with contextlib.suppress(Exception):
                    future.result()
                raise
        except asyncssh.HostKeyNotVerifiable as error:
            raise BoardError(
                f"{self.where}: its host key is unknown or has changed ({error.reason}); check it, connect once by ssh"
            ) from error
        except asyncssh.PermissionDenied as error:
            raise BoardError(
                f"{self.where}: login refused ({error.reason}); add your public key to that user's authorized_keys"
            ) from error
        except TimeoutError as error:
            raise lost(self.where, f"no answer within {timeout_s:g} s") from error
        except (OSError, asyncssh.Error, asyncio.IncompleteReadError) as error:
            raise lost(self.where, f"connection lost ({error or type(error).__name__})") from error

    async def _open(self, host: str, port: int, user: str) -> None:
        import asyncssh

        self._connection = await asyncssh.connect(
            host, port, username=user, keepalive_interval=5, login_timeout=CONNECT_TIMEOUT_S
        )
        self._process = await self._connection.create_process(_command(user), encoding=None)
        source = files("bitstreams.board").joinpath("runner.py").read_bytes()
        self._process.stdin.write(f"{len(source)}\n".encode() + source)
        await self._process.stdin.drain()

    def call(self, method: str, *arguments: Any, payload: bytes = b"", timeout_s: float = CALL_TIMEOUT_S) -> Any:
        """Call a method of the runner; one at a time."""
        with self._one_at_a_time:
            header, content = self._run(self._exchange(pack([method, arguments], payload)), timeout_s)
        if "error" in header:
            raise BoardError(f"{self.where}: {header['error']}")
        return content if header["value"] is True else header["value"]

    async def _exchange(self, message: bytes) -> tuple[dict[str, object], bytes]:
        try:
            self._process.stdin.write(message)
            await self._process.stdin.drain()
            header_bytes, payload_bytes = struct.unpack(">II", await self._process.stdout.readexactly(8))
            if header_bytes > _HEADER_MAX:
                raise BoardError(
                    f"{self.where}: answers with other words than the runner's; let no shell print at log-in"
                )
            header = parse_answer(await self._process.stdout.readexactly(header_bytes), self.where)
            return header, await self._process.stdout.readexactly(payload_bytes)
        except asyncio.IncompleteReadError as error:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait_closed(), 2)
            said = (await self._process.stderr.read()).decode(errors="replace").strip().splitlines()
            reason = said[-1] if said else "without a word"
            if reason.startswith("sudo:"):
                raise BoardError(f"{self.where}: {reason}; log in as root, or let sudo ask for none") from error
            raise lost(self.where, f"the runner ended ({reason})") from error

    def hang_up(self) -> None:
        """Close the connection; a second call does nothing."""
        if self._loop.is_closed():
            return

        async def disconnect() -> None:
            if self._connection is not None:
                self._connection.close()
                await self._connection.wait_closed()

        with contextlib.suppress(BoardError):
            self._run(disconnect(), 5.0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _check_account() -> None:
    """Refuse an account without a name or a home: asyncssh asks for both, and looks for keys in the home."""
    missing = []
    try:
        getpass.getuser()
    except (KeyError, OSError):
        missing.append("LOGNAME")
    try:
        Path.home()
    except RuntimeError:
        missing.append("HOME")
    if missing:
        raise BoardError(f"ssh: user {os.getuid()} has no entry in passwd; set {' and '.join(missing)}")


def parse_answer(text: bytes, where: str) -> dict[str, object]:
    """Decode the header of a runner's answer, an object with ``value`` or ``error``.

    Raises:
        BoardError: it is anything else.
    """
    try:
        header = parse_json(text, dict[str, object], "answer")
    except InvalidValueError as error:
        raise BoardError(f"{where}: {error}") from error
    if not header.keys() & {"error", "value"}:
        raise BoardError(f"{where}: an answer without a value")
    return header
