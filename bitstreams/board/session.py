"""What a driver asks of a board, however it is reached.

on the board            bitstreams/board/runner_session.py    pynq, in this process
from a host over SSH    bitstreams/board/ssh_session.py       pynq on the board, which needs nothing else
from a host, gRPC       bitstreams/board/remote_session.py    pynq here, PYNQ.remote's server there
board twin              bitstreams/board/remote_session.py    the same, on loopback (bitstreams/twin/server.py)
"""

import ipaddress
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from hw_templates.conv_engine.registers import DONE, START
from hw_templates.foundation.errors import BoardError

PYNQ_REMOTE_PORT = 7967
"""TCP port of PYNQ.remote."""


class Buffer(Protocol):
    """Memory that the processor and the logic share, physically in one piece."""

    address: int
    size: int

    def write(self, offset: int, content: bytes) -> None:
        """Write, and flush the caches: the logic sees it.

        Raises:
            BoardError: the connection is gone.
        """

    def read(self, offset: int, size: int) -> bytes:
        """Invalidate the caches, and read what the logic has written.

        Raises:
            BoardError: the connection is gone.
        """

    def free(self) -> None:
        """Give the memory back; silent where the connection is gone."""


class Session(Protocol):
    """One connection to one board; every method raises :class:`BoardError` where the board does not answer.

    Attributes:
        via: ``local``, ``ssh`` or ``remote``.
        where: the board as a message names it.
        own_name: what the board calls itself; may be empty.
        architecture: of its processor, armv7l or aarch64.
        times_on_board: whether :meth:`wait` takes its time on the board, with no network in it.
    """

    via: str
    where: str
    own_name: str
    architecture: str
    times_on_board: bool

    def load(self, bit: Path) -> None:
        """Configure the logic with a .bit, next to which its .hwh lies; its name changes with its content."""

    def read(self, address: int) -> int:
        """Return a register of 32 bits; an address where nothing answers may hang the board."""

    def write(self, address: int, value: int) -> None:
        """Set a register of 32 bits."""

    def allocate(self, size: int) -> Buffer:
        """Allocate memory of ``size`` bytes."""

    def check_places(self, table: int, base: int, word_bytes: int, layers: Sequence[Sequence[tuple[int, int]]]) -> None:
        """Let the board itself refuse descriptors that lead outside of allocated memory, where our runner runs on it.

        Args:
            table: physical address of the descriptors.
            base: physical address that places count from, in words of ``word_bytes``.
            layers: for each descriptor (index of a field, words from its place on) of all that it accesses.
        """

    def start(self, control: int) -> None:
        """Set the start bit of the engine whose control register that is."""

    def wait(self, control: int, timeout_s: float) -> float | None:
        """Return the seconds from the start until the engine is done; None where it is not after ``timeout_s``.

        Time is taken as near to the engine as the session is.
        """

    def read_file(self, path: str) -> bytes | None:
        """Return a file of the board; None where there is none."""

    def close(self) -> None:
        """Let the board go; silent where the connection is gone."""


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, by its name alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def wait_until_done(session: Session, control: int, started: float, timeout_s: float) -> float | None:
    """Poll the done bit as :meth:`Session.wait` does; ``started`` is by this machine's monotonic clock."""
    while True:
        done = session.read(control) & DONE
        seconds = time.perf_counter() - started
        if done:
            return seconds
        if seconds > timeout_s:
            return None


def set_start(session: Session, control: int) -> float:
    """Set the start bit; return this machine's monotonic clock just before."""
    started = time.perf_counter()
    session.write(control, START)
    return started


class ConnectionLostError(BoardError):
    """Nobody answers any more, or not yet; a connection made later may find the board again."""


def lost(where: str, reason: str) -> ConnectionLostError:
    """Return the error of a connection that broke."""
    return ConnectionLostError(f"{where}: {reason}; see that the board is on and reachable, then run the command again")
