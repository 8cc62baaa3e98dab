"""What runs on the board: pynq behind a small protocol, in one file that needs nothing else.

Sent along by a session over SSH, or used in the process where that runs on the board itself. Kept to what Python 3.8
has, as PYNQ images of 2021 bring it. Each message is a header, then a payload: two big-endian lengths of 4 bytes,
JSON, bytes. A request's header is [method, arguments]; an answer's is {"value": ...} or {"error": "a line"}.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import signal
import stat
import struct
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, BinaryIO

WINDOW = 0x1000
DONE, START = 2, 1
STATE = "/sys/class/fpga_manager/fpga0/state"
LOCK = "codesign-board.lock"
_ENDING_S = 5.0


class BoardInUseError(Exception):
    """Another process drives this board."""


class BoardRunner:
    """A board's logic, registers, memory and files, through pynq on that board."""

    def __init__(self) -> None:
        import pynq

        self._pynq = pynq
        self._windows = {}  # type: dict[int, Any]
        self._buffers = {}  # type: dict[int, Any]
        self._folder = tempfile.TemporaryDirectory(prefix="codesign-")
        self._started = 0.0
        self._lock = None  # type: int | None

    def claim(self, owner: str) -> None:
        """Keep the board until this runner ends, for one owner at a time, wherever on the network the owners are.

        A runner that the same owner left behind when its connection was lost is ended.
        """
        path = str(Path(tempfile.gettempdir()) / LOCK)
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        about = os.fstat(lock)
        # What is written there decides which process is ended.
        if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid():
            os.close(lock)
            raise BoardInUseError("%s: is no regular file of this user; remove it" % path)  # noqa: UP031
        deadline = time.monotonic() + _ENDING_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                holder, process = self._holder(lock, deadline)
                if holder != owner or process == os.getpid() or time.monotonic() > deadline:
                    os.close(lock)
                    raise BoardInUseError(
                        "in use by %s; wait for it, stop it, or end process %d on the board" % (holder, process)  # noqa: UP031
                    ) from None
                os.kill(process, signal.SIGTERM)
                time.sleep(0.05)
        os.ftruncate(lock, 0)
        os.pwrite(lock, json.dumps([owner, os.getpid()]).encode(), 0)
        self._lock = lock

    @staticmethod
    def _holder(lock: int, deadline: float) -> tuple[str, int]:
        """Return the owner of the lock and its process on this board; an unknown owner and 0 where none is written."""
        while time.monotonic() < deadline:
            try:
                owner, process = json.loads(os.pread(lock, 4096, 0))
                return str(owner), int(process)
            except (ValueError, TypeError):
                # It is just being written.
                time.sleep(0.01)
        return "an unknown owner", 0

    def hello(self) -> dict[str, str]:
        """Return the board's own name and the kind of its processor."""
        name = self.read_file("/proc/device-tree/chosen/pynq_board") or os.environ.get("BOARD", "").encode()
        version = self.read_file("/proc/version") or b""
        known = [machine for machine in ("aarch64", "armv7l") if machine.encode() in version]
        return {
            "own_name": name.decode(errors="replace").strip("\0\n "),
            "architecture": known[0] if known else platform.machine(),
            "pynq": str(self._pynq.__version__),
        }

    def load(self, payload: bytes, name: str, bit_bytes: int) -> str:
        """Configure the logic with a .bit and the .hwh that follows it; returns the FPGA manager's state."""
        bit = Path(self._folder.name) / (name + ".bit")
        bit.with_suffix(".hwh").write_bytes(payload[bit_bytes:])
        bit.write_bytes(payload[:bit_bytes])
        self._pynq.Overlay(str(bit))
        return (self.read_file(STATE) or b"").decode(errors="replace").strip()

    def _window(self, address: int) -> Any:
        first = address - address % WINDOW
        if first not in self._windows:
            self._windows[first] = self._pynq.MMIO(first, WINDOW)
        return self._windows[first]

    def read(self, address: int) -> int:
        """Return the value of a register."""
        return int(self._window(address).read(address % WINDOW))

    def write(self, address: int, value: int) -> None:
        """Set a register."""
        self._window(address).write(address % WINDOW, value)

    def allocate(self, size: int) -> int:
        """Allocate memory, which is filled with zeros, and return its physical address."""
        buffer = self._pynq.allocate((size,), dtype="u1")
        buffer[:] = 0
        buffer.flush()
        self._buffers[int(buffer.physical_address)] = (buffer, size)
        return int(buffer.physical_address)

    def free(self, address: int) -> None:
        """Give memory back."""
        self._buffers.pop(address)[0].freebuffer()

    def _part(self, address: int, offset: int, size: int) -> Any:
        """Return a part of a buffer; a part that reaches beyond the buffer is an error."""
        buffer, have = self._buffers[address]
        if offset < 0 or size < 0 or offset + size > have:
            raise ValueError("%d bytes from %d on lie outside of the buffer's %d" % (size, offset, have))  # noqa: UP031
        return buffer[offset : offset + size]

    def write_buffer(self, payload: bytes, address: int, offset: int) -> None:
        """Write into memory and flush that part."""
        part = self._part(address, offset, len(payload))
        part[:] = bytearray(payload)
        part.flush()

    def read_buffer(self, address: int, offset: int, size: int) -> bytes:
        """Invalidate a part of memory and read it."""
        part = self._part(address, offset, size)
        part.invalidate()
        return bytes(part.tobytes())

    def _at(self, physical: int, size: int) -> tuple[int, int]:
        """Return the address of the buffer that holds these bytes, and their offset in it."""
        for address, (_, have) in self._buffers.items():
            if address <= physical and physical + size <= address + have:
                return address, physical - address
        raise ValueError("0x%08X: %d bytes from there on lie in no allocated buffer" % (physical, size))  # noqa: UP031

    def check_places(self, table: int, base: int, word_bytes: int, record_bytes: int, layers: list[Any]) -> None:
        """Refuse a table of descriptors that leads outside of what was allocated here: any process's memory lies there.

        ``layers`` holds for each descriptor [index of a field, words from its place on] of all that it accesses;
        places count words of ``word_bytes`` from ``base``.
        """
        address, offset = self._at(table, record_bytes * len(layers))
        content = self.read_buffer(address, offset, record_bytes * len(layers))
        for number, accesses in enumerate(layers):
            for field, words in accesses:
                (place,) = struct.unpack_from("<i", content, number * record_bytes + 4 * field)
                self._at(base + place * word_bytes, words * word_bytes)

    def start(self, control: int) -> None:
        """Set the start bit."""
        self._started = time.perf_counter()
        self.write(control, START)

    def wait(self, control: int, timeout_s: float) -> float | None:
        """Return the seconds from the start until the engine is done; None where it is not after ``timeout_s``."""
        window, offset = self._window(control), control % WINDOW
        while True:
            done = window.read(offset) & DONE
            seconds = time.perf_counter() - self._started
            if done:
                return seconds
            if seconds > timeout_s:
                return None

    def read_file(self, path: str) -> bytes | None:
        """Return a file; None where there is none."""
        try:
            return Path(path).read_bytes()
        except OSError:
            return None

    def rail_power_w(self, name: str) -> float:
        """Return the power in watts that a rail's sensor reads."""
        return float(self._pynq.get_rails()[name].power.value)

    def rails(self) -> list[str]:
        """Return the rails that have a power sensor."""
        return sorted(name for name, rail in self._pynq.get_rails().items() if getattr(rail, "power", None))

    def close(self) -> None:
        """Give all memory back."""
        for address in list(self._buffers):
            self.free(address)
        self._folder.cleanup()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


METHODS = {name for name in vars(BoardRunner) if not name.startswith("_")}
_WITH_PAYLOAD = ("load", "write_buffer")


def call(runner: BoardRunner, method: str, arguments: Any, payload: bytes) -> Any:
    """Call one of :data:`METHODS`."""
    if method not in METHODS:
        raise ValueError("unknown method " + str(method))
    return getattr(runner, method)(*([payload] if method in _WITH_PAYLOAD else []), *arguments)


def told(error: Exception) -> str:
    """Return an error as one line."""
    text = " ".join(str(error).split())
    return text if isinstance(error, BoardInUseError) else "%s: %s" % (type(error).__name__, text)  # noqa: UP031


def pack(header: Any, payload: bytes = b"") -> bytes:
    """Return a message."""
    text = json.dumps(header).encode()
    return struct.pack(">II", len(text), len(payload)) + text + payload


def _answer(runner: BoardRunner, header: Any, payload: bytes) -> bytes:
    try:
        method, arguments = header
        value = call(runner, method, arguments, payload)
    except Exception as error:  # noqa: BLE001  whatever pynq raises is for the other side to tell
        return pack({"error": told(error)})
    if isinstance(value, bytes):
        return pack({"value": True}, value)
    return pack({"value": value})


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until they end."""
    runner = None
    while True:
        lengths = requests.read(8)
        if len(lengths) < 8:
            break
        header_bytes, payload_bytes = struct.unpack(">II", lengths)
        header = json.loads(requests.read(header_bytes))
        payload = requests.read(payload_bytes)
        try:
            runner = runner or BoardRunner()
        except Exception as error:  # noqa: BLE001  as above
            answers.write(pack({"error": "pynq: cannot be used (%s)" % error}))  # noqa: UP031
        else:
            answers.write(_answer(runner, header, payload))
        answers.flush()
    if runner is not None:
        runner.close()


def main() -> None:
    """Serve on the process's own streams; whatever else prints goes to its errors."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
