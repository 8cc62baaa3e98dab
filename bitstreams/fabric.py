"""The programmable logic of a board twin: the emitted engine, compiled with g++, in a process beside the twin's."""

import hashlib
import mmap
import os
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from bitstreams.build import check_sources
from bitstreams.lock import exclusive
from bitstreams.toolchain import first_complaint, require_tools
from hw_templates.errors import ToolError

MEMORY_ADDRESS = 0x1000_0000
MEMORY_BYTES = 1 << 28
"""Physical memory that buffers are allocated from; pages that nobody touches cost nothing."""


def build_fabric(project: Path) -> Path:
    """Compile a project's engine for a twin; what stands there compiled is taken. Returns the program.

    Raises:
        StorageError: the project is not as it was emitted.
        ToolError: g++ is missing or refused the code.
    """
    digest = check_sources(project)
    require_tools("g++")
    source = files("bitstreams").joinpath("fabric.cpp").read_bytes()
    name = hashlib.sha256(digest.encode() + source).hexdigest()[:16]
    program = (project / f"build/fabric_{name}").resolve()
    with exclusive(project / "build/.fabric_lock", "the twin's engine", wait=True):
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


class Fabric:
    """The engine and the memory that it shares with the processor.

    A run that ends badly, as one does that leaves the memory, never finishes, as in hardware; :meth:`reset` ends it.
    """

    def __init__(self, program: Path) -> None:
        self._program = program
        with tempfile.TemporaryFile(prefix="codesign-twin-") as file:
            self._descriptor = os.dup(file.fileno())
        os.ftruncate(self._descriptor, MEMORY_BYTES)
        self._memory = mmap.mmap(self._descriptor, MEMORY_BYTES)
        self._process: subprocess.Popen[str] | None = None
        self._finished = threading.Event()
        self._listener: threading.Thread | None = None

    def reset(self) -> None:
        """As after configuration: nothing runs, nothing has finished."""
        self._stop()
        self._finished = finished = threading.Event()
        path = f"/proc/{os.getpid()}/fd/{self._descriptor}"
        self._process = process = subprocess.Popen(
            [str(self._program), path, str(MEMORY_BYTES), str(MEMORY_ADDRESS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

        def listen() -> None:
            assert process.stdout is not None
            for _ in process.stdout:
                finished.set()

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
        try:
            self._process.stdin.write(" ".join(map(str, (*ports, program_word, layer_count))) + "\n")
            self._process.stdin.flush()
        except OSError:
            pass  # it died in an earlier run, and this one does not finish either

    @property
    def finished(self) -> bool:
        """Whether the last start has come to its end."""
        return self._finished.is_set()

    def read(self, address: int, size: int) -> bytes:
        """Bytes of the memory."""
        start = address - MEMORY_ADDRESS
        return self._memory[start : start + size]

    def write(self, address: int, content: bytes) -> None:
        """Change bytes of the memory."""
        start = address - MEMORY_ADDRESS
        self._memory[start : start + len(content)] = content

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
