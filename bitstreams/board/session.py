"""One connection to one board, which answers to the methods of :mod:`bitstreams.board.runner` however it is reached.

on the board            LocalSession                                       pynq, in this process
from a host over SSH    bitstreams.board.ssh_session.SshSession            pynq on the board, which needs nothing else
from a host, gRPC       bitstreams.board.remote_session.RemoteSession      pynq here, PYNQ.remote's server there
board twin              the same, on loopback (bitstreams/twin/server.py)
"""

import contextlib
import ipaddress
import os
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bitstreams.board.runner import BoardRunner, call, told
from hw_templates.foundation.errors import BoardError
from hw_templates.foundation.user import user_name

PYNQ_REMOTE_PORT = 7967
"""TCP port of PYNQ.remote."""

CALL_TIMEOUT_S = 30.0


class Session:
    """One connection to one board; every method raises :class:`BoardError` where the board does not answer.

    Where our runner runs on the board, the session has the board to itself: other sessions, of any machine, are refused
    until it is closed.

    Attributes:
        via: ``local``, ``ssh`` or ``remote``.
        where: the board as a message names it.
        own_name: what the board calls itself; may be empty.
        architecture: of its processor, armv7l or aarch64.
        on_board: whether the runner runs on the board: there are no networks in its times, and it knows what memory is
            allocated.
    """

    via: str
    where: str
    on_board = True
    _runner: BoardRunner

    def __init__(self) -> None:
        """Claim the board, which is already connected, and ask who it is."""
        self.call("claim", f"{user_name()}@{platform.node()}, process {os.getpid()}")
        hello = self.call("hello")
        self.own_name = str(hello["own_name"])
        self.architecture = str(hello["architecture"])

    def call(
        self,
        method: str,
        *arguments: Any,
        payload: bytes = b"",
        timeout_s: float = CALL_TIMEOUT_S,  # noqa: ARG002  there is nobody to wait for in this process
    ) -> Any:
        """Call a method of the runner, which is in this process here, and return its value.

        Raises:
            BoardError: it raised, or nobody answers within the time.
        """
        with self._telling():
            return call(self._runner, method, arguments, payload)

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        """Turn what the runner raises into one line."""
        try:
            yield
        except Exception as error:
            raise BoardError(f"{self.where}: {told(error)}") from error

    def hang_up(self) -> None:
        """Let the connection go, if there is one; silent where it is gone."""

    def load(self, bit: Path) -> None:
        """Configure the logic with a .bit, next to which its .hwh lies; its name changes with its content."""
        content = bit.read_bytes()
        payload = content + bit.with_suffix(".hwh").read_bytes()
        state = self.call("load", bit.stem, len(content), payload=payload, timeout_s=120.0)
        if state != "operating":
            raise BoardError(f"{self.where}: refuses {bit.name} (FPGA manager: {state}); build it for this board")

    def read(self, address: int) -> int:
        """Return a register of 32 bits; an address where nothing answers may hang the board."""
        return int(self.call("read", address))

    def write(self, address: int, value: int) -> None:
        """Set a register of 32 bits."""
        self.call("write", address, value)

    def allocate(self, size: int) -> "Buffer":
        """Allocate memory of ``size`` bytes, which is filled with zeros."""
        return Buffer(self, int(self.call("allocate", size)), size)

    def check_places(
        self, table: int, size: int, base: int, word_bytes: int, accesses: Sequence[tuple[int, int]]
    ) -> None:
        """Let the board itself refuse descriptors that lead outside of allocated memory, where our runner runs on it.

        PYNQ.remote's server does not inspect programs; a twin's engine stops where one leaves memory.

        Args:
            table, size: physical address of what holds the descriptors, and its bytes.
            base: physical address that places count from, in words of ``word_bytes``.
            accesses: (offset of a field there, words from its place on) of all that the descriptors access.
        """
        if self.on_board:
            self.call("check_places", table, size, base, word_bytes, accesses)

    def start(self, control: int) -> None:
        """Set the start bit of the engine whose control register that is."""
        self.call("start", control)

    def wait(self, control: int, timeout_s: float) -> float | None:
        """Return the seconds from the start until the engine is done; None where it is not after ``timeout_s``.

        Time is taken where the runner runs.
        """
        seconds = self.call("wait", control, timeout_s, timeout_s=timeout_s + CALL_TIMEOUT_S)
        return None if seconds is None else float(seconds)

    def read_file(self, path: str) -> bytes | None:
        """Return a file of the board; None where there is none."""
        content = self.call("read_file", path)
        return None if content is None else bytes(content)

    def rails(self) -> list[str]:
        """Return the power rails that have a sensor."""
        return list(self.call("rails"))

    def rail_power_w(self, name: str) -> float:
        """Return the power in watts that a rail's sensor reads."""
        return float(self.call("rail_power_w", name))

    def close(self) -> None:
        """Give the memory back and let the board go; silent where the connection is gone."""
        with contextlib.suppress(BoardError):
            self.call("close", timeout_s=5.0)
        self.hang_up()


class Buffer:
    """Memory that the processor and the logic share, physically in one piece."""

    def __init__(self, session: Session, address: int, size: int) -> None:
        self._session = session
        self.address = address
        self.size = size

    def write(self, offset: int, content: bytes) -> None:
        """Write, and flush the caches: the logic sees it.

        Raises:
            BoardError: the connection is gone.
        """
        self._session.call("write_buffer", self.address, offset, payload=content)

    def read(self, offset: int, size: int) -> bytes:
        """Invalidate the caches, and read what the logic has written.

        Raises:
            BoardError: the connection is gone.
        """
        return bytes(self._session.call("read_buffer", self.address, offset, size))

    def free(self) -> None:
        """Give the memory back; silent where the connection is gone."""
        with contextlib.suppress(BoardError):
            self._session.call("free", self.address)


class LocalSession(Session):
    """A session with the board that this process runs on."""

    via = "local"
    where = "this board"

    def __init__(self) -> None:
        """Find the board.

        Raises:
            BoardError: pynq is not installed, or finds no hardware.
        """
        try:
            self._runner = BoardRunner()
        except ImportError as error:
            raise BoardError(f"pynq: cannot be imported ({error}); run this on the board, as root") from error
        super().__init__()


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, by its name alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class ConnectionLostError(BoardError):
    """Nobody answers any more, or not yet; a connection made later may find the board again."""


def lost(where: str, reason: str) -> ConnectionLostError:
    """Return the error of a connection that broke."""
    return ConnectionLostError(f"{where}: {reason}; see that the board is on and reachable, then run the command again")
