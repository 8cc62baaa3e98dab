"""A session whose other end is :mod:`bitstreams.board.runner`: in this process, or behind SSH."""

import contextlib
import os
import platform
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from hw_templates.conv_engine import isa
from hw_templates.foundation.errors import BoardError
from hw_templates.foundation.user import user_name


class Caller(Protocol):
    """Calls a method of the runner."""

    def call(self, method: str, arguments: tuple[Any, ...], payload: bytes, timeout_s: float) -> Any:
        """Return the method's value; bytes where it answers with bytes.

        Raises:
            BoardError: it raised, or nobody answers within the time.
        """

    def close(self) -> None:
        """Let go; silent where the connection is gone."""


class RunnerBuffer:
    """Memory of the board; see :class:`bitstreams.board.session.Buffer`."""

    def __init__(self, session: "RunnerSession", address: int, size: int) -> None:
        self._session = session
        self.address = address
        self.size = size

    def write(self, offset: int, content: bytes) -> None:
        """Write and flush that part."""
        self._session.call("write_buffer", self.address, offset, payload=content)

    def read(self, offset: int, size: int) -> bytes:
        """Invalidate that part and read it."""
        return bytes(self._session.call("read_buffer", self.address, offset, size))

    def free(self) -> None:
        """Give the memory back."""
        with contextlib.suppress(BoardError):
            self._session.call("free", self.address)


class RunnerSession:
    """A session with the runner, as :class:`bitstreams.board.session.Session` describes.

    It has the board to itself: other sessions, of any machine, are refused until it is closed.
    """

    CALL_TIMEOUT_S = 30.0
    times_on_board = True

    def __init__(self, via: str, where: str, caller: Caller) -> None:
        self.via = via
        self.where = where
        self._caller = caller
        self._lock = threading.Lock()
        self.call("claim", f"{user_name()}@{platform.node()}, process {os.getpid()}")
        hello = self.call("hello")
        self.own_name = str(hello["own_name"])
        self.architecture = str(hello["architecture"])

    def call(self, method: str, *arguments: Any, payload: bytes = b"", timeout_s: float = CALL_TIMEOUT_S) -> Any:
        """Call a method of the runner; one at a time."""
        with self._lock:
            return self._caller.call(method, arguments, payload, timeout_s)

    def load(self, bit: Path) -> None:
        """Send both files and configure the logic."""
        content = bit.read_bytes()
        payload = content + bit.with_suffix(".hwh").read_bytes()
        state = self.call("load", bit.stem, len(content), payload=payload, timeout_s=120.0)
        if state != "operating":
            raise BoardError(f"{self.where}: refuses {bit.name} (FPGA manager: {state}); build it for this board")

    def read(self, address: int) -> int:
        """Return the value of a register."""
        return int(self.call("read", address))

    def write(self, address: int, value: int) -> None:
        """Set a register."""
        self.call("write", address, value)

    def allocate(self, size: int) -> RunnerBuffer:
        """Allocate memory of the board."""
        return RunnerBuffer(self, int(self.call("allocate", size)), size)

    def check_places(self, table: int, base: int, word_bytes: int, layers: Sequence[Sequence[tuple[int, int]]]) -> None:
        """Compare the places on the board with the memory that the runner allocated."""
        self.call("check_places", table, base, word_bytes, isa.DESCRIPTOR.itemsize, layers)

    def start(self, control: int) -> None:
        """Set the start bit."""
        self.call("start", control)

    def wait(self, control: int, timeout_s: float) -> float | None:
        """Wait until the engine is done, polled and timed on the board."""
        seconds = self.call("wait", control, timeout_s, timeout_s=timeout_s + self.CALL_TIMEOUT_S)
        return None if seconds is None else float(seconds)

    def read_file(self, path: str) -> bytes | None:
        """Return a file of the board."""
        content = self.call("read_file", path)
        return None if content is None else bytes(content)

    def rails(self) -> list[str]:
        """Return the power rails that have a sensor."""
        return list(self.call("rails"))

    def rail_power_w(self, name: str) -> float:
        """Return the power in watts that a rail's sensor reads."""
        return float(self.call("rail_power_w", name))

    def close(self) -> None:
        """Give the memory back and let go."""
        with contextlib.suppress(BoardError):
            self.call("close", timeout_s=5.0)
        self._caller.close()


class _InProcess:
    """The runner in this process."""

    def __init__(self) -> None:
        from bitstreams.board.runner import BoardRunner

        try:
            self._runner = BoardRunner()
        except ImportError as error:
            raise BoardError(f"pynq: cannot be imported ({error}); run this on the board, as root") from error

    def call(self, method: str, arguments: tuple[Any, ...], payload: bytes, timeout_s: float) -> Any:  # noqa: ARG002
        from bitstreams.board.runner import call, told

        try:
            return call(self._runner, method, arguments, payload)
        except Exception as error:
            raise BoardError(f"this board: {told(error)}") from error

    def close(self) -> None:
        """Do nothing: there is no connection."""


def local_session() -> RunnerSession:
    """Return a session with the board that this process runs on.

    Raises:
        BoardError: pynq is not installed, or finds no hardware.
    """
    return RunnerSession("local", "this board", _InProcess())
