"""Pairs of a subnet and an engine, with the closed-form cost model as their prices."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from codesign.search.joint_space import JointSpace, Pair
from codesign.search.problem import Baseline, Problem, SearchSettings
from codesign.supernet.accuracy.oracle import AccuracyOracle
from codesign.supernet.lowering.workloads import lower
from codesign.templates.engine.breeding import RoundPlan
from codesign.templates.engine.evolution import EngineEvolution, random_front, sequential_front
from codesign.templates.engine.pricing import PairPricer
from cost_models.closed_form.estimate import price
from cost_models.coefficients import Coefficients
from cost_models.coefficients.fitted_range import range_of_space
from cost_models.resources import PairEstimate, estimate_resources
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.conv_engine.space import AcceleratorSpace
from hw_templates.foundation.arrays import BoolArray, IntArray


@dataclass(frozen=True)
class EngineProblem(Problem):
    """Subnets and engines of one board.

    Attributes:
        joint: the pairs.
        coefficients: of the cost model.
        plan: of each round of the search; None for that of its budget.
    """

    joint: JointSpace[AcceleratorSpace]
    coefficients: Coefficients
    plan: RoundPlan | None = None

    template = "engine"

    @property
    def model(self) -> str:
        """Name of the coefficients."""
        return self.coefficients.name

    @property
    def variant(self) -> str:
        """Addition to the name of a study: the implementation, and the digest of fitted coefficients."""
        fitted = f"-{self.coefficients.digest[:8]}" if self.coefficients.measurements else ""
        return f"-{self.implementation}{fitted}"

    @property
    def implementation(self) -> Implementation:
        """Implementation of the engine, whose times the coefficients are."""
        return self.coefficients.implementation

    def estimate(self, pair: Pair) -> PairEstimate:
        """Price a pair, whether it fits the board or not.

        Raises:
            MappingError, UnsupportedLayerError: the engine cannot run a layer.
        """
        board = self.joint.board
        whole = price(lower(self.joint.space, pair.subnet), pair.accelerator, board, self.coefficients)
        needs = estimate_resources(pair.accelerator, board, self.implementation)
        return PairEstimate(whole.latency_ms, whole.energy_mj, needs)

    def needs(self, rows: IntArray) -> IntArray:
        """Return [n, 5] the resources that the accelerators of ``rows`` take, in the order of ``RESOURCES``."""
        return self.pricer().excess(self.joint.designs(rows)) + self.joint.available

    def fits(self, rows: IntArray) -> BoolArray:
        """Return [n] which accelerators of ``rows`` are legal and within the board's resources."""
        return self.pricer().fits(rows)

    def pricer(self) -> PairPricer:
        """Return what prices many subnets on many engines at once."""
        return PairPricer(self.joint, self.coefficients)

    def evolution(self, oracle: AccuracyOracle, settings: SearchSettings) -> EngineEvolution:
        """Return the evolution of batches of subnets and engines."""
        plan = self.plan or RoundPlan.of_budget(settings.pairs)
        # The workers start from as many accelerators together as one would alone.
        first = -(-plan.first_accelerators // settings.workers)
        return EngineEvolution(self.pricer(), oracle, replace(plan, first_accelerators=first))

    @property
    def baselines(self) -> Mapping[str, Baseline]:
        """Random and sequential search."""
        return {
            "random": partial(random_front, self.pricer()),
            "sequential": partial(sequential_front, self.pricer()),
        }

    def warn(self) -> None:
        """Warn of engines that the coefficients were not fitted for."""
        self.coefficients.warn_outside(range_of_space(self.joint.accelerators.choices))

    def latency_interval(self, latency_ms: float) -> tuple[float, float] | None:
        """Return the bounds that hold 9 of 10 measured latencies; None with the prior coefficients."""
        return self.coefficients.latency_interval(latency_ms)
