"""The engine of a twin that is simulated at RTL: the Verilog, as a process that shares the twin's memory."""

import contextlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from bitstreams.board.timing import Timing
from bitstreams.building.script import check_sources
from bitstreams.building.toolchain import build_rtl_twin
from bitstreams.twin.memory import MEMORY_ADDRESS, MEMORY_BYTES, TwinMemory
from cost_models.coefficients import Coefficients
from hw_templates.board import Board
from hw_templates.conv_engine import registers
from hw_templates.foundation.errors import BoardError
from hw_templates.foundation.lock import exclusive

_WINDOW = 0x80
"""Bytes of registers that the engine decodes."""


def build_verilog(project: Path) -> Path:
    """Make a project's Verilog into the process of a twin, unless that is done; returns the program.

    Raises:
        StorageError: the project is not as it was emitted.
        ToolError: Verilator or what it needs is missing, too old, or refused the code.
    """
    check_sources(project)
    with exclusive(project / "build/.rtl_twin_lock"):
        return build_rtl_twin(project).resolve()


class SimulatedEngine:
    """The engine's Verilog, which shares its memory with the processor.

    It reaches the buffers that are allocated when it starts, and nothing else of the board's memory: a request for that
    ends it, until :meth:`reset`. Where the board has no memory, it gets an error response.

    Attributes:
        timing: what its cycles come from.
    """

    timing = Timing.RTL

    def __init__(
        self,
        program: Path,
        memory: TwinMemory,
        board: Board,
        coefficients: Coefficients,
        clock_mhz: Callable[[], float],
    ) -> None:
        """Keep what runs take.

        Args:
            program: from :func:`build_verilog`.
            memory: what the engine reads and writes.
            board, coefficients: give the memory's latency, and the bandwidth that all ports share.
            clock_mhz: returns the present clock of the logic.
        """
        self._program, self._memory = program, memory
        self._latency_cycles = round(coefficients.memory_latency_cycles)
        self._bytes_per_us = board.ddr.plan_gb_s * 1e3 * coefficients.latency.ddr_efficiency
        self._clock_mhz = clock_mhz
        self._process: subprocess.Popen[str] | None = None

    def reset(self) -> None:
        """Bring the engine into its state after configuration."""
        self.stop()
        path = f"/proc/{os.getpid()}/fd/{self._memory.file.fileno()}"
        self._process = subprocess.Popen(
            [str(self._program), path, str(MEMORY_BYTES), str(MEMORY_ADDRESS)],
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            with contextlib.suppress(OSError):
                self._process.communicate()
            self._process = None

    def read(self, offset: int) -> int:
        """Return a register.

        Raises:
            BoardError: the engine's process has ended; says why.
        """
        self._say(f"read {offset % _WINDOW}")
        said = self._process.stdout.readline().split() if self._process and self._process.stdout else []
        match said:
            case [value]:
                return int(value)
            case ["fault", address]:
                self.stop()
                raise BoardError(
                    f"0x{int(address, 16):08X}: the engine's program reaches it, and no allocated buffer has it"
                )
        raise BoardError("the engine's simulation has ended; configure it again")

    def write(self, offset: int, value: int) -> None:
        """Set a register; with a start, the engine learns of the buffers and of the memory's timing."""
        if offset == registers.ENGINE["control"].offset and value & registers.START:
            sizes = self._memory.sizes()
            buffers = [number for buffer in sizes.items() for number in buffer]
            self._say(f"buffers {len(sizes)} {' '.join(map(str, buffers))}")
            bytes_a_cycle = max(1, round(self._bytes_per_us / self._clock_mhz()))
            self._say(f"memory {self._latency_cycles} {bytes_a_cycle}")
        self._say(f"write {offset % _WINDOW} {value}")

    def _say(self, line: str) -> None:
        if self._process is None or self._process.stdin is None:
            return
        # Where it has ended, the next read says so.
        with contextlib.suppress(OSError):
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
