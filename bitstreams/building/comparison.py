"""Predictions of the cost model compared with the outcome of a build."""

from dataclasses import dataclass

from bitstreams.building.reports import CoSimulation, Synthesis, Timing, Utilisation
from cost_models.resources import RESOURCES, estimate_resources
from hw_templates.board import Board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.json_records import ZeroOrMore, check_fields


@dataclass(frozen=True)
class Quantity:
    """One quantity as predicted and as built; what a tool did not report is None.

    Attributes:
        name: as in :class:`hw_templates.board.Board` or :class:`cost_models.closed_form.estimate.Estimate`.
        predicted: value that the cost model predicts.
        synthesis: value that C synthesis expects.
        implementation: value of the routed engine; cycles are those of RTL co-simulation.
        deviation: relative deviation from the prediction of the implementation, or else of the synthesis; it is always
            computed.
    """

    name: str
    predicted: ZeroOrMore
    synthesis: ZeroOrMore | None
    implementation: ZeroOrMore | None
    deviation: float | None = None

    def __post_init__(self) -> None:
        check_fields(self, f"figure.{self.name}")
        reached = self.implementation if self.implementation is not None else self.synthesis
        deviation = None
        if reached is not None:
            deviation = reached / self.predicted - 1 if self.predicted else None if reached else 0.0
        object.__setattr__(self, "deviation", deviation)


def compare(
    accelerator: Accelerator,
    board: Board,
    latency_cycles: float,
    clock_mhz: float | None,
    synthesis: Synthesis,
    cosim: CoSimulation,
    timing: Timing,
    utilisation: Utilisation,
) -> tuple[Quantity, ...]:
    """Compare the resources, clock and latency of a build with their predictions.

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
        Quantity(name, float(getattr(needed, name)), getattr(synthesis.utilisation, name), getattr(utilisation, name))
        for name in RESOURCES
    ]
    expected_ns = synthesis.estimated_clock_ns
    fastest_mhz = None
    if clock_mhz is not None and timing.wns_ns is not None and timing.wns_ns < 1000 / clock_mhz:
        fastest_mhz = 1000 / (1000 / clock_mhz - timing.wns_ns)
    figures.append(
        Quantity("clock_mhz", float(accelerator.clock_mhz), 1000 / expected_ns if expected_ns else None, fastest_mhz)
    )
    figures.append(Quantity("latency_cycles", latency_cycles, None, cosim.latency_cycles))
    return tuple(figures)
