"""The engine of a twin whose time comes from a model: the C++, compiled, and the cycles that the simulator gives it."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from bitstreams.board.descriptors import tiled_layer
from bitstreams.board.timing import Timing
from bitstreams.twin.fabric import Fabric, Outcome, Start
from bitstreams.twin.memory import TwinMemory
from cost_models.coefficients import Coefficients
from cost_models.simulator import SimulatedLayer, simulate_step
from hw_templates.board import Board
from hw_templates.conv_engine import isa, registers
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.engine_shape import EngineShape
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.errors import CodesignError

_STAGES = 8
"""More than there are stages in the C++: with one after the other, it counts at most so many times the cycles."""

_MAP = registers.REGISTER_MAPS[Implementation.HLS]
_LIMIT_REACHED = 7


class ModelledEngine:
    """Registers of the engine in C++, in front of the compiled program.

    The program counts iterations of loops. A run that ends well takes the cycles that the simulator gives its
    descriptors, and its counters have them; where these exceed the limit, it ends with that error. Any other run, or a
    damaged one that no model knows, takes as many cycles as iterations.

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
        self._fabric, self._memory, self._family = fabric, memory, board.family
        self._accelerator, self._coefficients, self._clock_mhz = accelerator, coefficients, clock_mhz
        self._simulate = lru_cache(maxsize=4096)(partial(simulate_step, board=board, coefficients=coefficients))
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

    def _ends(self, layers: list[SimulatedLayer]) -> list[int]:
        """Return the cycles from the start bit to the end of each layer."""
        start = self._coefficients.latency.start_cycles
        return [round(end) for end in accumulate((layer.latency_cycles for layer in layers), initial=start)][1:]

    def _control(self) -> int:
        if self._running and (outcome := self._fabric.finished()) is not None:
            self._running, self._done = False, True
            self._finish(outcome)
        if self._running:
            return registers.START
        answer = registers.IDLE | (registers.DONE | registers.READY if self._done else 0)
        self._done = False
        return answer

    def _finish(self, outcome: Outcome) -> None:
        """Say how a run ended, and write the cycles of one that ended well behind what the program counted."""
        status, cycles, limit = outcome.status, outcome.cycles, self._value("cycle_limit")
        records = np.frombuffer(self._started, isa.DESCRIPTOR)
        layers = [] if status & registers.STATUS_CODE else self._simulated(records)
        if layers:
            ends = self._ends(layers)
            cycles = ends[-1]
            if limit and cycles > limit:
                layer = next(index for index, end in enumerate(ends) if end > limit)
                status = layer << registers.STATUS_LAYER_SHIFT | _LIMIT_REACHED
            else:
                self._count(records, layers)
        self._set("status", status)
        self._set("cycles", min(cycles, limit) if limit else cycles)

    def _count(self, records: npt.NDArray[np.void], layers: list[SimulatedLayer]) -> None:
        word, base = self._accelerator.axi_bytes, self._value("ofmap_port") + isa.TRIPS.itemsize
        for record, layer in zip(records, layers, strict=True):
            cycles = (layer.latency_cycles, layer.compute_cycles, layer.load_wait_cycles, layer.store_wait_cycles)
            place = self._memory.physical(base + int(record["counter_word"]) * word, isa.CYCLES.itemsize)
            place[:] = np.rint(cycles).astype(np.uint32).view(np.uint8)

    def _simulated(self, records: npt.NDArray[np.void]) -> list[SimulatedLayer]:
        """Return the layers of a program at the clock of the logic: memory takes more cycles the faster that is."""
        accelerator = replace(self._accelerator, clock_mhz=max(1, round(self._clock_mhz())))
        shape = EngineShape(accelerator=accelerator, family=self._family)
        try:
            return [
                self._simulate(
                    tiled_layer(record, shape),
                    map_in=bool(record["map_in"]),
                    map_out=bool(record["map_out"]),
                    loads_table=bool(record["load_table"]),
                )
                for record in records
            ]
        except (CodesignError, ValueError, ZeroDivisionError):
            return []

    def _value(self, name: str) -> int:
        register = _MAP.engine[name]
        words = range(register.bits // 32)
        return sum(self._registers.get(register.offset + 4 * word, 0) << (32 * word) for word in words)

    def _set(self, name: str, value: int) -> None:
        register = _MAP.engine[name]
        for word in range(register.bits // 32):
            self._registers[register.offset + 4 * word] = value >> (32 * word) & 0xFFFFFFFF

    def _start(self) -> None:
        program_word, layer_count = self._value("program_word"), self._value("layer_count")
        size = layer_count * isa.DESCRIPTOR_BYTES
        start = self._value("weight_port") + program_word * self._accelerator.axi_bytes
        self._started = self._memory.physical(start, size).tobytes() if self._memory.reaches(start, size) else b""
        self._running, self._done = True, False
        limit = self._value("cycle_limit")
        self._fabric.start(
            Start(
                ports=tuple(map(self._value, registers.PORTS)),
                program_word=program_word,
                layer_count=layer_count,
                arena_words=self._value("arena_words"),
                protected_words=self._value("protected_words"),
                # One beyond what the register takes is an error.
                cycle_limit=limit if limit > _MAP.most_cycles else min(_STAGES * limit, _MAP.most_cycles),
            )
        )
