"""The programmable logic of a board twin: the emitted engine, compiled with g++, in a process of its own."""

import hashlib
import mmap
import os
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from bitstreams.building.script import check_sources
from bitstreams.building.toolchain import first_complaint, require_tools
from hw_templates.foundation.errors import BoardError, StorageError, ToolError
from hw_templates.foundation.lock import exclusive

MEMORY_ADDRESS = 0x1000_0000
MEMORY_BYTES = 1 << 28
"""Physical memory that buffers are allocated from; what no buffer takes costs nothing."""

RUN_LIMIT_S = 600
"""How long one start may take, on this machine's clock, before the twin ends it."""


def build_fabric(project: Path) -> Path:
    """Compile a project's engine for a twin; what stands there compiled is taken. Returns the program.

    Raises:
        StorageError: the project is not as it was emitted.
        ToolError: g++ is missing or refused the code.
    """
    digest = check_sources(project)
    require_tools("g++")
    source = files("bitstreams.twin").joinpath("fabric.cpp").read_bytes()
    name = hashlib.sha256(digest.encode() + source).hexdigest()[:16]
    program = (project / f"build/fabric_{name}").resolve()
    with exclusive(project / "build/.fabric_lock"):
        if program.exists():
            return program
        unfinished = program.with_suffix(".part")
        sources = sorted(str(path) for path in (project / "src").resolve().glob("*.cpp"))
        flags = ["-std=c++14", "-O3", "-Wno-unknown-pragmas", f"-I{(project / 'include').resolve()}", "-pthread"]
        command = ["g++", *flags, *sources, "-x", "c++", "-", "-o", str(unfinished)]
        done = subprocess.run(command, input=source, capture_output=True, check=False)
        if done.returncode != 0:
            raise ToolError(f"{project}: g++ failed: {first_complaint(done.stderr.decode(errors='replace'))}")
        unfinished.rename(program)
    return program


def _no_room(size: int, error: OSError) -> str:
    """Say that the twin's memory finds no room where temporary files go."""
    reason = error.strerror or str(error)
    try:
        folder = tempfile.gettempdir()
    except OSError:
        folder = "TMPDIR"
    return f"{folder}: has no room for {size:,} bytes of the twin's memory ({reason}); free it, or set TMPDIR"


class Fabric:
    """The engine and the memory that it shares with the processor.

    The engine reaches the buffers that are reserved when it starts, in whole pages, and nothing else. A run that ends
    badly never finishes, as in hardware; :meth:`failure` says why, and :meth:`reset` makes the engine usable again.
    """

    def __init__(self, program: Path, limit_s: int = RUN_LIMIT_S) -> None:
        """Make the memory, with nothing in it.

        Args:
            program: the compiled engine.
            limit_s: how many seconds one start may take.

        Raises:
            StorageError: there is no folder for temporary files.
        """
        self._program = program
        self._limit_s = limit_s
        try:
            with tempfile.TemporaryFile(prefix="codesign-twin-") as file:
                self._descriptor = os.dup(file.fileno())
            os.ftruncate(self._descriptor, MEMORY_BYTES)
        except OSError as error:
            raise StorageError(_no_room(MEMORY_BYTES, error)) from error
        self._memory = mmap.mmap(self._descriptor, MEMORY_BYTES)
        self._buffers: dict[int, int] = {}
        self._process: subprocess.Popen[str] | None = None
        self._finished = threading.Event()
        self._failure: list[str] = []
        self._listener: threading.Thread | None = None

    def reserve(self, address: int, size: int) -> None:
        """Take memory for a buffer, which the engine and :meth:`read` and :meth:`write` then reach.

        Raises:
            StorageError: the folder for temporary files lacks the room.
        """
        try:
            # Without this, the first touch of a page that finds no room is a bus error, which ends the process.
            os.posix_fallocate(self._descriptor, address - MEMORY_ADDRESS, size)
        except OSError as error:
            raise StorageError(_no_room(size, error)) from error
        self._buffers[address] = size

    def release(self, address: int) -> None:
        """Let a buffer go; its memory stays the twin's."""
        del self._buffers[address]

    def reset(self) -> None:
        """Bring the engine into its state after configuration: nothing runs or has finished."""
        self._stop()
        self._finished, self._failure = finished, failure = threading.Event(), []
        path = f"/proc/{os.getpid()}/fd/{self._descriptor}"
        self._process = process = subprocess.Popen(
            [str(self._program), path, str(MEMORY_BYTES), str(MEMORY_ADDRESS), str(self._limit_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

        def listen() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                if line == "done\n":
                    finished.set()
                else:
                    failure.append(line)
            failure.append("crash")

        self._listener = threading.Thread(target=listen, daemon=True)
        self._listener.start()

    def start(self, ports: Sequence[int], program_word: int, layer_count: int) -> None:
        """Run the engine once.

        Args:
            ports: physical addresses: ifmap, weights, residual, ofmap.
            program_word, layer_count: the engine's arguments.
        """
        assert self._process is not None
        assert self._process.stdin is not None
        self._finished.clear()
        buffers = [number for buffer in self._buffers.items() for number in buffer]
        values = (*ports, program_word, layer_count, len(self._buffers), *buffers)
        try:
            self._process.stdin.write(" ".join(map(str, values)) + "\n")
            self._process.stdin.flush()
        except OSError:
            pass  # it died in an earlier run, and this one does not finish either

    @property
    def finished(self) -> bool:
        """Return whether the last start has finished."""
        return self._finished.is_set()

    @property
    def failure(self) -> str | None:
        """Return why the engine cannot finish any more; None where it still may."""
        if not self._failure:
            return None
        kind, _, address = self._failure[0].strip().partition(" ")
        if kind == "fault":
            return f"0x{int(address, 16):08X}: the engine's program reaches it, and no allocated buffer has it"
        if kind == "limit":
            return f"the engine ran for more than {self._limit_s} s and was ended"
        return "the engine crashed on its program"

    def reaches(self, address: int, size: int) -> bool:
        """Return whether all of these bytes lie in one buffer."""
        return any(first <= address and address + size <= first + have for first, have in self._buffers.items())

    def read(self, address: int, size: int) -> bytes:
        """Return bytes of one buffer.

        Raises:
            BoardError: no buffer has them all; so for :meth:`write`.
        """
        start = self._start_of(address, size)
        return self._memory[start : start + size]

    def write(self, address: int, content: bytes) -> None:
        """Change bytes of one buffer."""
        start = self._start_of(address, len(content))
        self._memory[start : start + len(content)] = content

    def _start_of(self, address: int, size: int) -> int:
        if not self.reaches(address, size):
            raise BoardError(f"0x{address:08X}: {size:,} bytes from there on lie in no allocated buffer")
        return address - MEMORY_ADDRESS

    def close(self) -> None:
        """Stop the engine and let go of the memory."""
        self._stop()
        self._memory.close()
        os.close(self._descriptor)

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._listener is not None
            self._listener.join()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    stream.close()
            self._process = None
