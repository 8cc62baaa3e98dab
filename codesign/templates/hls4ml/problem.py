"""Pairs of a subnet and the accelerator that hls4ml makes of it, with the model of its layers as their prices."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from codesign.search.evolution import PairEvolution
from codesign.search.joint_space import JointSpace, Pair
from codesign.search.problem import Problem, SearchSettings
from codesign.supernet.accuracy.oracle import AccuracyOracle
from codesign.supernet.lowering.workloads import lower
from cost_models.hls4ml.estimate import PRIOR, Hls4mlEstimate, price_clocks, price_hls4ml
from cost_models.hls4ml.stages import stages
from cost_models.resources import RESOURCES
from hw_templates.foundation.arrays import FloatArray, IntArray
from hw_templates.foundation.errors import UnsupportedLayerError
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

    template: ClassVar[str] = "hls4ml"
    one_process: ClassVar[bool] = True

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
        return np.array(
            [self.losses.get(loss_name(a.precision_bits), 0.0) for a in self.joint.designs(rows)], dtype=np.float64
        )

    def evaluate(self, rows: IntArray) -> tuple[FloatArray, IntArray]:
        """Return latency in ms and energy in mJ [n, 2] and needed resources [n, 5] of pairs ``rows`` [n, G + P].

        A design is priced once, at every clock.
        """
        prices = np.full((len(rows), 2), np.inf)
        needs = np.zeros((len(rows), len(RESOURCES)), dtype=np.int64)
        for index, row in enumerate(rows):
            priced = self._designs.get(row[:-1].tobytes()) or self._price_at_every_clock(row)
            prices[index], needs[index] = priced[0][row[-1]], priced[1]
        return prices, needs

    @cached_property
    def _designs(self) -> dict[bytes, tuple[FloatArray, IntArray]]:
        """Prices [clocks, 2] and needs [5] of the designs priced so far, by their rows without the clock."""
        return {}

    def _price_at_every_clock(self, row: IntArray) -> tuple[FloatArray, IntArray]:
        pair, clocks = self.joint.decode(row), self.joint.board.clocks_mhz
        try:
            estimates = price_clocks(lower(self.joint.space, pair.subnet), pair.accelerator, clocks, self.joint.board)
            prices = np.array([(estimate.latency_ms, estimate.energy_mj) for estimate in estimates])
            needs = np.array([getattr(estimates[0].resources, name) for name in RESOURCES], dtype=np.int64)
        except UnsupportedLayerError:
            prices, needs = np.full((len(clocks), 2), np.inf), np.zeros(len(RESOURCES), dtype=np.int64)
        return self._designs.setdefault(row[:-1].tobytes(), (prices, needs))

    def evolution(self, oracle: AccuracyOracle, settings: SearchSettings) -> PairEvolution:
        """Return the evolution of pairs; other clocks of a design cost nothing to price."""
        del settings
        return PairEvolution(self, oracle, swept=_CLOCK)
