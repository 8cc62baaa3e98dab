"""What runs on the board: pynq behind a small protocol, in one file that needs nothing else.

Sent along by a session over SSH, or used in the process where that runs on the board itself. Kept to what Python 3.8
has, as PYNQ images of 2021 bring it. Each message is a header, then a payload: two big-endian lengths of 4 bytes,
JSON, bytes. A request's header is [method, arguments]; an answer's is {"value": ...} or {"error": "a line"}.
"""

from __future__ import annotations

import contextlib
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
_UNKNOWN = "an unknown owner"


class BoardInUseError(Exception):
    """Another process drives this board."""


class BoardRunner:
    """A board's logic, registers, memory and files, through pynq: that board's own, or the device that is given."""

    def __init__(self, device: Any = None) -> None:
        import pynq

        self._pynq = pynq
        self._device = device
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
                holder, process = self._holder(lock)
                if holder not in (owner, _UNKNOWN) or process == os.getpid() or time.monotonic() > deadline:
                    os.close(lock)
                    raise BoardInUseError(
                        "in use by %s; wait for it, stop it, or end process %d on the board" % (holder, process)  # noqa: UP031
                    ) from None
                if holder == owner:
                    os.kill(process, signal.SIGTERM)
                time.sleep(0.05)
        os.ftruncate(lock, 0)
        os.pwrite(lock, json.dumps([owner, os.getpid()]).encode(), 0)
        self._lock = lock

    @staticmethod
    def _holder(lock: int) -> tuple[str, int]:
        """Return the owner of the lock and its process on this board, as far as they are written already."""
        try:
            owner, process = json.loads(os.pread(lock, 4096, 0))
            return str(owner), int(process)
        except (ValueError, TypeError):
            return _UNKNOWN, 0

    def hello(self) -> dict[str, str]:
        """Return the board's own name and the kind of its processor."""
        name = self.read_file("/proc/device-tree/chosen/pynq_board") or os.environ.get("BOARD", "").encode()
        version = self.read_file("/proc/version") or b""
        known = (machine for machine in ("aarch64", "armv7l") if machine.encode() in version)
        return {
            "own_name": name.decode(errors="replace").strip("\0\n "),
            "architecture": next(known, platform.machine()),
        }

    def load(self, payload: bytes, name: str, bit_bytes: int) -> str:
        """Configure the logic with a .bit and the .hwh that follows it; returns the FPGA manager's state."""
        bit = Path(self._folder.name) / (name + ".bit")
        bit.with_suffix(".hwh").write_bytes(payload[bit_bytes:])
        bit.write_bytes(payload[:bit_bytes])
        self._configure(bit)
        return (self.read_file(STATE) or b"").decode(errors="replace").strip()

    def _configure(self, bit: Path) -> None:
        self._pynq.Overlay(str(bit))

    def _window(self, address: int) -> Any:
        first = address - address % WINDOW
        if first not in self._windows:
            self._windows[first] = self._pynq.MMIO(first, WINDOW, device=self._device)
        return self._windows[first]

    def read(self, address: int) -> int:
        """Return the value of a register."""
        return int(self._window(address).read(address % WINDOW))

    def write(self, address: int, value: int) -> None:
        """Set a register."""
        self._window(address).write(address % WINDOW, value)

    def allocate(self, size: int) -> int:
        """Allocate memory, which is filled with zeros, and return its physical address."""
        buffer = self._pynq.allocate((size,), dtype="u1", target=self._device)
        buffer[:] = 0
        address = int(buffer.physical_address)
        self._buffers[address] = buffer
        # On the board, zeros that stay in a cache may reach memory over what the logic wrote there.
        if self._device is None:
            buffer.flush()
        return address

    def free(self, address: int) -> None:
        """Give memory back."""
        self._buffers.pop(address).freebuffer()

    def _part(self, address: int, offset: int, size: int) -> Any:
        """Return a part of a buffer; a part that reaches beyond the buffer is an error."""
        buffer = self._buffers[address]
        if offset < 0 or size < 0 or offset + size > buffer.nbytes:
            raise ValueError("%d bytes from %d on lie outside of the buffer's %d" % (size, offset, buffer.nbytes))  # noqa: UP031
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
        for address, buffer in self._buffers.items():
            if address <= physical and physical + size <= address + buffer.nbytes:
                return address, physical - address
        raise ValueError("0x%08X: %d bytes from there on lie in no allocated buffer" % (physical, size))  # noqa: UP031

    def check_places(self, table: int, size: int, base: int, word_bytes: int, accesses: list[Any]) -> None:
        """Refuse descriptors that lead outside of what was allocated here: any process's memory lies there.

        They lie in ``size`` bytes from ``table`` on. ``accesses`` holds [offset of a field there, words from its place
        on] of all that they access; places count words of ``word_bytes`` from ``base``.
        """
        content = self.read_buffer(*self._at(table, size), size)
        for offset, words in accesses:
            (place,) = struct.unpack_from("<i", content, offset)
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
        """Give all memory back, also where the way to it is gone."""
        for address in list(self._buffers):
            with contextlib.suppress(Exception):
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
            method, arguments = header
            value = call(runner, method, arguments, payload)
        except Exception as error:  # noqa: BLE001  whatever pynq raises is for the other side to tell
            answer = pack({"error": told(error) if runner else "pynq: cannot be used (%s)" % error})  # noqa: UP031
        else:
            answer = pack({"value": True}, value) if isinstance(value, bytes) else pack({"value": value})
        answers.write(answer)
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
