"""The programmable logic of a board twin: the emitted engine, compiled with g++, in a process of its own."""

import contextlib
import hashlib
import os
import subprocess
from dataclasses import astuple, dataclass
from importlib.resources import files
from pathlib import Path

from bitstreams.building.script import check_sources
from bitstreams.building.toolchain import first_complaint, require_tools
from bitstreams.twin.memory import MEMORY_ADDRESS, MEMORY_BYTES, TwinMemory
from hw_templates.foundation.errors import BoardError, ToolError
from hw_templates.foundation.lock import exclusive

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
        folder = (project / "hls").resolve()
        flags = ["-std=c++17", "-O3", "-DENGINE_WRAPS", "-Wno-unknown-pragmas", f"-I{folder}", "-pthread"]
        sources = sorted(map(str, folder.glob("*.cpp")))
        command = ["g++", *flags, *sources, "-x", "c++", "-", "-o", str(unfinished)]
        done = subprocess.run(command, input=source, capture_output=True, check=False)
        if done.returncode != 0:
            raise ToolError(f"{project}: g++ failed: {first_complaint(done.stderr.decode(errors='replace'))}")
        unfinished.rename(program)
    return program


@dataclass(frozen=True, kw_only=True)
class Start:
    """The registers that a run begins with.

    Attributes:
        ports: physical addresses of the arena: ifmap, weights, residual, ofmap.
        program_word, layer_count, arena_words, protected_words: as the engine's registers of these names.
        cycle_limit: iterations of all loops that end the run; 0 for none.
    """

    ports: tuple[int, ...]
    program_word: int
    layer_count: int
    arena_words: int
    protected_words: int
    cycle_limit: int


@dataclass(frozen=True)
class Outcome:
    """The registers that a run leaves; its cycles are iterations of the loops of all stages."""

    status: int
    cycles: int


class Fabric:
    """The engine, which shares its memory with the processor.

    The engine reaches the buffers that are allocated when it starts, in whole pages, and nothing else. A run that
    reaches beside them never finishes; :meth:`reset` makes the engine usable again.
    """

    def __init__(self, program: Path, memory: TwinMemory) -> None:
        """Keep what :meth:`reset` needs.

        Args:
            program: the compiled engine.
            memory: what it reads and writes.
        """
        self._program = program
        self._memory = memory
        self._process: subprocess.Popen[bytes] | None = None

    def reset(self) -> None:
        """Bring the engine into its state after configuration: nothing runs or has finished."""
        self.stop()
        path = f"/proc/{os.getpid()}/fd/{self._memory.file.fileno()}"
        self._process = subprocess.Popen(
            [str(self._program), path, str(MEMORY_BYTES), str(MEMORY_ADDRESS), str(RUN_LIMIT_S)],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)

    def start(self, start: Start) -> None:
        """Run the engine once."""
        assert self._process is not None
        assert self._process.stdin is not None
        sizes = self._memory.sizes()
        buffers = [number for buffer in sizes.items() for number in buffer]
        ports, *others = astuple(start)
        values = (*ports, *others, len(sizes), *buffers)
        # If it died in an earlier run, this one does not finish either.
        with contextlib.suppress(OSError):
            self._process.stdin.write(f"{' '.join(map(str, values))}\n".encode())

    def finished(self) -> Outcome | None:
        """Return what the last start left, once it has finished; it is told once.

        Raises:
            BoardError: it cannot finish any more; says why.
        """
        if self._process is None or self._process.stdout is None:
            return None
        said = self._process.stdout.read(64)
        if said is None:
            return None
        match said.decode().split():
            case ["done", status, cycles]:
                return Outcome(int(status), int(cycles))
            case ["fault", address]:
                raise BoardError(
                    f"0x{int(address, 16):08X}: the engine's program reaches it, and no allocated buffer has it"
                )
            case ["limit"]:
                raise BoardError(f"the engine ran for more than {RUN_LIMIT_S} s and was ended")
        raise BoardError("the engine crashed on its program")

    def stop(self) -> None:
        """End the engine."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
