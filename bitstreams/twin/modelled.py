"""The engine of a twin whose time comes from a model: the C++, compiled, and the cycles that the simulator gives it."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial

import numpy as np

from bitstreams.board.descriptors import mapped_layers
from bitstreams.board.timing import Timing
from bitstreams.twin.fabric import Fabric
from bitstreams.twin.memory import TwinMemory
from cost_models.coefficients import Coefficients
from cost_models.simulator import SimulatedLayer, simulate
from hw_templates.board import Board
from hw_templates.conv_engine import isa, registers
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.errors import CodesignError


class ModelledEngine:
    """Registers of the engine in C++, in front of the compiled program.

    Attributes:
        timing: what its cycles come from.
    """

    timing = Timing.MODEL

    def __init__(
        self,
        fabric: Fabric,
        memory: TwinMemory,
        board: Board,
        accelerator: Accelerator,
        coefficients: Coefficients,
        clock_mhz: Callable[[], float],
    ) -> None:
        """Keep what runs take.

        Args:
            fabric: the compiled engine.
            memory: what it reads and writes.
            board, accelerator, coefficients: what its time is simulated with.
            clock_mhz: returns the present clock of the logic.
        """
        self._fabric, self._memory = fabric, memory
        self._accelerator, self._coefficients, self._clock_mhz = accelerator, coefficients, clock_mhz
        self._simulate = lru_cache(maxsize=4096)(partial(simulate, board=board, coefficients=coefficients))
        self._forget()

    def _forget(self) -> None:
        self._running = self._done = False
        self._registers: dict[int, int] = {}
        self._started = b""

    def reset(self) -> None:
        """Bring the engine into its state after configuration."""
        self._forget()
        self._fabric.reset()

    def stop(self) -> None:
        """End it."""
        self._fabric.stop()

    def read(self, offset: int) -> int:
        """Return a register.

        Raises:
            BoardError: the engine cannot finish any more; says why.
        """
        return self._registers.get(offset, 0) if offset else self._control()

    def write(self, offset: int, value: int) -> None:
        """Set a register."""
        if offset:
            self._registers[offset] = value
        elif value & registers.START and not self._running:
            self._start()

    def cycles(self) -> int:
        """Return the simulated cycles of the last run."""
        return self.cycles_of(self._started)

    def cycles_of(self, descriptors: bytes) -> int:
        """Return how many cycles a program takes from the start bit to done; 0 where no engine could run a descriptor.

        Args:
            descriptors: the program's, as they lie in memory.
        """
        layers = self._simulated(descriptors)
        if not layers:
            return 0
        return round(self._coefficients.latency.start_cycles + sum(layer.latency_cycles for layer in layers))

    def _control(self) -> int:
        if self._running and self._fabric.has_finished():
            self._running, self._done = False, True
            self._count()
        if self._running:
            return registers.START
        answer = registers.IDLE | (registers.DONE | registers.READY if self._done else 0)
        self._done = False
        return answer

    def _count(self) -> None:
        """Write the cycles after the iterations that the compiled engine wrote, as it has no clock."""
        records = np.frombuffer(self._started, dtype=isa.DESCRIPTOR)
        word, base = self._accelerator.axi_bytes, self._value("ofmap_port") + isa.TRIPS.itemsize
        for record, layer in zip(records, self._simulated(self._started), strict=False):
            cycles = (layer.latency_cycles, layer.compute_cycles, layer.load_wait_cycles, layer.store_wait_cycles)
            place = self._memory.physical(base + int(record["counter_word"]) * word, isa.CYCLES.itemsize)
            place[:] = np.rint(cycles).astype(np.uint32).view(np.uint8)

    def _simulated(self, descriptors: bytes) -> list[SimulatedLayer]:
        """Return the layers of a program at the clock of the logic: memory takes more cycles the faster that is."""
        clock_mhz = max(1, round(self._clock_mhz()))
        try:
            accelerator = replace(self._accelerator, clock_mhz=clock_mhz)
            layers = mapped_layers(np.frombuffer(descriptors, dtype=isa.DESCRIPTOR))
            return [self._simulate(layer, accelerator) for layer in layers]
        except (CodesignError, ValueError, ZeroDivisionError):
            return []

    def _value(self, name: str) -> int:
        offset = registers.offset_of(name)
        return self._registers.get(offset, 0) | self._registers.get(offset + 4, 0) << 32

    def _start(self) -> None:
        program_word, layer_count = self._value("program_word"), self._value("layer_count")
        size = layer_count * isa.DESCRIPTOR.itemsize
        start = self._value("weight_port") + program_word * self._accelerator.axi_bytes
        self._started = self._memory.physical(start, size).tobytes() if self._memory.reaches(start, size) else b""
        self._running, self._done = True, False
        self._fabric.start([self._value(port) for port in registers.PORTS], program_word, layer_count)
