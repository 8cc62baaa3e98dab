"""How long a twin's engine would have taken: programs as they lie in memory, timed by the simulator."""

from dataclasses import replace
from functools import lru_cache

import numpy as np

from bitstreams.descriptors import descriptor_layer, descriptor_placements
from cost_models.coefficients import Coefficients
from cost_models.placement import Placement
from cost_models.simulator import simulate
from hw_templates import isa
from hw_templates.accelerator import Accelerator
from hw_templates.board import Board
from hw_templates.errors import CodesignError

_PLACES = tuple(name for name, _ in isa.FIELDS if name.endswith("_word"))


class TwinTiming:
    """Times programs of one accelerator on one board, by coefficients that stand for the board's true ones."""

    def __init__(self, accelerator: Accelerator, board: Board, coefficients: Coefficients) -> None:
        self._accelerator = accelerator
        self._board = board
        self._coefficients = coefficients
        self._layer_cycles = lru_cache(maxsize=4096)(self._simulate)
        self._program_cycles = lru_cache(maxsize=64)(self._sum)

    def cycles(self, descriptors: bytes, clock_mhz: float) -> int:
        """Cycles from the start bit to done; 0 where a descriptor is none that an engine could run.

        Args:
            descriptors: the program's, as they lie in memory.
            clock_mhz: of the logic; memory takes more cycles the faster it is.
        """
        records = np.frombuffer(descriptors, dtype=isa.DESCRIPTOR).copy()
        for name in _PLACES:
            records[name] = 0  # where things lie takes no time
        try:
            return self._program_cycles(records.tobytes(), max(1, round(clock_mhz)))
        except (CodesignError, ValueError, ZeroDivisionError):
            return 0

    def _sum(self, descriptors: bytes, clock_mhz: int) -> int:
        records = np.frombuffer(descriptors, dtype=isa.DESCRIPTOR)
        layers = [
            self._layer_cycles(record.tobytes(), placement, clock_mhz)
            for record, placement in zip(records, descriptor_placements(records), strict=True)
        ]
        return round(self._coefficients.latency.start_cycles + sum(layers))

    def _simulate(self, descriptor: bytes, placement: Placement, clock_mhz: int) -> float:
        layer, mapping = descriptor_layer(np.frombuffer(descriptor, dtype=isa.DESCRIPTOR)[0])
        accelerator = replace(self._accelerator, clock_mhz=clock_mhz)
        return simulate(layer, mapping, accelerator, self._board, self._coefficients, placement).latency_cycles
