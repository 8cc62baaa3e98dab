"""How long a twin's engine would have taken: programs as they lie in memory, timed by the simulator."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from cost_models.coefficients import Coefficients
from cost_models.mapping import LoopOrder, Mapping
from cost_models.placement import Placement, Rows, band_rows
from cost_models.simulator import simulate
from cost_models.workload import Layer, Operation
from hw_templates import isa
from hw_templates.accelerator import Accelerator
from hw_templates.board import Board
from hw_templates.errors import CodesignError

_PLACES = tuple(name for name, _ in isa.FIELDS if name.endswith("_word"))


def descriptor_layer(record: np.void) -> tuple[Layer, Mapping]:
    """What a descriptor makes the engine compute, and how it is cut.

    Raises:
        CodesignError, ValueError: no engine could run it.
    """
    layer = Layer(
        operation=Operation[isa.OperationCode(int(record["operation"])).name],
        in_channels=int(record["in_channels"]),
        out_channels=int(record["out_channels"]),
        in_height=int(record["in_height"]),
        in_width=int(record["in_width"]),
        kernel_height=int(record["kernel_height"]),
        kernel_width=int(record["kernel_width"]),
        stride=int(record["stride"]),
        padding=int(record["padding"]),
        residual=bool(record["residual"]),
        weight_bits=4 if record["four_bit_weights"] else 8,
    )
    mapping = Mapping(
        tile_out_channels=int(record["tile_out_channels"]),
        tile_in_channels=int(record["tile_in_channels"]),
        tile_height=int(record["tile_height"]),
        tile_width=int(record["tile_width"]),
        loop_order=LoopOrder[isa.LoopOrderCode(int(record["loop_order"])).name],
    )
    return layer, mapping


def descriptor_placements(records: npt.NDArray[np.void]) -> list[Placement]:
    """Where the maps of each descriptor's layer are, and in which bands it runs.

    Raises:
        CodesignError, ValueError: no engine could run them.
    """
    placements: list[Placement] = []
    while len(placements) < len(records):
        first = len(placements)
        size = int(records["group_layers"][first])
        members = records[first : first + max(1, size)]
        bands: tuple[tuple[Rows, ...], ...] = ((),)
        if size:
            bands = band_rows(
                tuple(descriptor_layer(member)[0] for member in members), int(records["band_height"][first])
            )
        for member, rows in zip(members, bands, strict=True):
            placements.append(
                Placement(int(member["ifmap_ring"]), int(member["ofmap_ring"]), rows, int(member["group_layers"]))
            )
    return placements


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
