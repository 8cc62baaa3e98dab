"""How long a twin's engine would have taken: programs as they lie in memory, timed by the simulator."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from bitstreams.board.descriptors import mapped_layers
from cost_models.coefficients import Coefficients
from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.simulator import SimulatedLayer, simulate
from hw_templates.board import Board
from hw_templates.conv_engine import isa
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.errors import CodesignError


class TwinTiming:
    """Times programs of one accelerator on one board, by coefficients that stand for the board's true ones."""

    def __init__(self, accelerator: Accelerator, board: Board, coefficients: Coefficients) -> None:
        self._accelerator = accelerator
        self._board = board
        self._coefficients = coefficients
        self._layer = lru_cache(maxsize=4096)(self._simulate)
        self._program = lru_cache(maxsize=64)(self._simulate_all)

    def cycles(self, descriptors: bytes, clock_mhz: float) -> int:
        """Return the cycles from the start bit to done; 0 where no engine could run a descriptor.

        Args:
            descriptors: the program's, as they lie in memory.
            clock_mhz: of the logic; memory takes more cycles the faster it is.
        """
        layers = self._layers(descriptors, clock_mhz)
        if not layers:
            return 0
        return round(self._coefficients.latency.start_cycles + sum(layer.latency_cycles for layer in layers))

    def counters(self, descriptors: bytes, clock_mhz: float) -> npt.NDArray[np.void]:
        """Return what the engine would count, one record of :data:`isa.CYCLES` a layer; none where it could not run."""
        values = [
            (layer.latency_cycles, layer.compute_cycles, layer.load_wait_cycles, layer.store_wait_cycles)
            for layer in self._layers(descriptors, clock_mhz)
        ]
        return np.array([tuple(map(round, cycles)) for cycles in values], dtype=isa.CYCLES)

    def _layers(self, descriptors: bytes, clock_mhz: float) -> tuple[SimulatedLayer, ...]:
        records = np.frombuffer(descriptors, dtype=isa.DESCRIPTOR).copy()
        for name in isa.PLACES:
            records[name] = 0  # where things lie takes no time
        try:
            return self._program(records.tobytes(), max(1, round(clock_mhz)))
        except (CodesignError, ValueError, ZeroDivisionError):
            return ()

    def _simulate_all(self, descriptors: bytes, clock_mhz: int) -> tuple[SimulatedLayer, ...]:
        records = np.frombuffer(descriptors, dtype=isa.DESCRIPTOR)
        return tuple(self._layer(mapped, clock_mhz) for mapped in mapped_layers(records))

    def _simulate(self, mapped: MappedLayer, clock_mhz: int) -> SimulatedLayer:
        return simulate(mapped, replace(self._accelerator, clock_mhz=clock_mhz), self._board, self._coefficients)
