"""Pairs of a subnet and the accelerator that hls4ml makes of it, with the model of its layers as their prices."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from codesign.search.evolution import PairEvolution
from codesign.search.joint_space import JointSpace, Pair
from codesign.search.problem import Costs, Problem, SearchSettings, costs_of
from codesign.supernet.accuracy.oracle import AccuracyOracle
from codesign.supernet.lowering.workloads import lower
from cost_models.hls4ml.estimate import PRIOR, Hls4mlEstimate, price_clocks, price_hls4ml
from cost_models.hls4ml.stages import stages
from hw_templates.foundation.arrays import FloatArray, IntArray
from hw_templates.hls4ml.parameters import Hls4mlSpace

_CLOCK = "clock_mhz"


def loss_name(precision_bits: int) -> str:
    """Return the name under which the accuracy that a precision costs is kept."""
    return f"{precision_bits} bits"


@dataclass(frozen=True)
class Hls4mlProblem(Problem):
    """Subnets and their accelerators on one board.

    What a pair needs of the board depends on both, so pairs are bred as they are.

    Raises:
        UnsupportedLayerError: hls4ml cannot convert the smallest subnet, whose layers all others have.
    """

    joint: JointSpace[Hls4mlSpace]

    template = "hls4ml"
    one_process = True

    def __post_init__(self) -> None:
        stages(lower(self.joint.space, self.joint.space.smallest()))

    @property
    def model(self) -> str:
        """Name of the coefficients."""
        return PRIOR.name

    def estimate(self, pair: Pair) -> Hls4mlEstimate:
        """Price a pair, whether it fits the board or not.

        Raises:
            UnsupportedLayerError: hls4ml cannot convert a layer.
        """
        return price_hls4ml(lower(self.joint.space, pair.subnet), pair.accelerator, self.joint.board)

    def loss(self, rows: IntArray) -> FloatArray:
        """Return [n] the accuracy that the precisions of ``rows`` take from their subnets'."""
        losses = [self.losses.get(loss_name(a.precision_bits), 0.0) for a in self.joint.designs(rows)]
        return np.array(losses, dtype=np.float64)

    def costs(self, row: IntArray) -> Costs:
        """Return the costs of a pair's row; a design is priced once, at every clock.

        Raises:
            UnsupportedLayerError: hls4ml cannot convert a layer.
        """
        design = row[:-1].tobytes()
        if design not in self._designs:
            pair, board = self.joint.decode(row), self.joint.board
            workload = lower(self.joint.space, pair.subnet)
            estimates = price_clocks(workload, pair.accelerator, board.clocks_mhz, board)
            self._designs[design] = [costs_of(estimate) for estimate in estimates]
        return self._designs[design][int(row[-1])]

    @cached_property
    def _designs(self) -> dict[bytes, list[Costs]]:
        """Costs at every clock of the designs priced so far, by their rows without the clock."""
        return {}

    def evolution(self, oracle: AccuracyOracle, settings: SearchSettings) -> PairEvolution:
        """Return the evolution of pairs; other clocks of a design cost nothing to price."""
        del settings
        return PairEvolution(self, oracle, swept=_CLOCK)
