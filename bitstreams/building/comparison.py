"""What the cost model predicted of a build beside what came out."""

import math
from dataclasses import dataclass

from bitstreams.building.reports import CoSimulation, Synthesis, Timing, Utilisation
from cost_models.resources import RESOURCES, estimate_resources
from hw_templates.board import Board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.errors import InvalidValueError


@dataclass(frozen=True)
class Figure:
    """One figure in one unit; what a tool did not report is None.

    Attributes:
        name: as in :class:`hw_templates.board.Board` or :class:`cost_models.closed_form.estimate.Estimate`.
        predicted: by the cost model.
        synthesis: what C synthesis expects.
        implementation: of the routed engine; cycles are those of RTL co-simulation.
    """

    name: str
    predicted: float
    synthesis: float | None
    implementation: float | None

    def __post_init__(self) -> None:
        for kind in ("predicted", "synthesis", "implementation"):
            value = getattr(self, kind)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise InvalidValueError(f"figure.{self.name}.{kind}", value, "a finite number, zero or more")

    @property
    def deviation(self) -> float | None:
        """Relative deviation of the implementation, or else of the synthesis, from the prediction; None without."""
        reached = self.implementation if self.implementation is not None else self.synthesis
        if reached is None:
            return None
        if self.predicted == 0:
            return 0.0 if reached == 0 else None
        return reached / self.predicted - 1


def compare(
    accelerator: Accelerator,
    board: Board,
    latency_cycles: float,
    clock_mhz: float | None,
    synthesis: Synthesis,
    cosim: CoSimulation,
    timing: Timing,
    utilisation: Utilisation,
) -> tuple[Figure, ...]:
    """Resources, clock and latency of a build.

    C synthesis states a latency from the trip counts that pragmas guess, as the engine's loops are bounded at run time;
    it is left out.

    Args:
        accelerator, board: what was built.
        latency_cycles: of one image, as the cost model predicts it.
        clock_mhz: that the design was routed for, or None.
        synthesis, cosim: of Vitis HLS.
        timing: of the routed design.
        utilisation: of the routed engine alone.
    """
    needed = estimate_resources(accelerator, board)
    figures = [
        Figure(name, float(getattr(needed, name)), getattr(synthesis.utilisation, name), getattr(utilisation, name))
        for name in RESOURCES
    ]
    expected_ns = synthesis.estimated_clock_ns
    fastest_mhz = None
    if clock_mhz is not None and timing.wns_ns is not None and timing.wns_ns < 1000 / clock_mhz:
        fastest_mhz = 1000 / (1000 / clock_mhz - timing.wns_ns)
    figures.append(
        Figure("clock_mhz", float(accelerator.clock_mhz), 1000 / expected_ns if expected_ns else None, fastest_mhz)
    )
    figures.append(Figure("latency_cycles", latency_cycles, None, cosim.latency_cycles))
    return tuple(figures)
