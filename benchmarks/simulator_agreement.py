"""How far the closed form is from the event-driven simulator, over random layers, accelerators and legal mappings.

Half of the cases run the mapper's choice, half a mapping drawn from all legal tile sizes, however odd. Most agree to
the cycle. What deviates by more than 10 % does so because ports compete for the DDR: where they ask for nearly all its
bandwidth, a port of short bursts (a tile of some of the channels is a burst a pixel) waits behind the long bursts of
another, and finishes long after it. The closed form takes the longer of the busiest port and all words through the
DDR, and so is too low there. `figure simulator_ample_ddr_...` are the same cases with bandwidth to
spare: what is left is the mean that stands for middle tiles clipped at the border, and unlike neighbours of tiles.
"""

import argparse
import math
from dataclasses import dataclass, replace

import numpy as np

from cost_models.closed_form.layer_prices import MappedLayers
from cost_models.closed_form.layer_table import price_layers
from cost_models.coefficients import Coefficients, load_coefficients
from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.mapping.mapping import LoopOrder, Mapping, channel_units, least_size
from cost_models.simulator import SimulatedLayer, simulate
from cost_models.workload import Layer, Operation
from hw_templates.board import Board, Ddr, load_board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.space import AcceleratorSpace


@dataclass(frozen=True)
class Case:
    """One layer on one accelerator with one mapping, and what both models say."""

    layer: Layer
    accelerator: Accelerator
    mapping: Mapping
    is_best: bool
    predicted_cycles: float
    simulated: SimulatedLayer

    @property
    def deviation(self) -> float:
        """Closed form against simulator, signed, as a share."""
        return self.predicted_cycles / self.simulated.latency_cycles - 1


def random_layer(rng: np.random.Generator) -> Layer:
    """A layer as mobile and residual networks have them, of up to 28 x 28 pixels and 256 channels."""
    operation = Operation[str(rng.choice([Operation.CONV, *Operation])).upper()]
    size, channels = int(rng.integers(1, 29)), int(rng.integers(1, 257))
    if operation == Operation.POOL:
        kernel, stride = (2, 2) if rng.integers(2) else (size, 1)
        return Layer(
            operation=operation,
            in_channels=channels,
            out_channels=channels,
            in_height=size,
            in_width=size,
            kernel_height=kernel,
            kernel_width=kernel,
            stride=stride,
        )
    if operation == Operation.MAX_POOL:
        return Layer(
            operation=operation,
            in_channels=channels,
            out_channels=channels,
            in_height=size,
            in_width=size,
            kernel_height=3,
            kernel_width=3,
            stride=int(rng.integers(1, 3)),
            padding=1,
        )
    if operation == Operation.SCALE:
        return Layer(operation=operation, in_channels=channels, out_channels=channels, in_height=size, in_width=size)
    kernel, stride, residual = int(rng.choice([1, 1, 3, 5, 7])), int(rng.integers(1, 3)), bool(rng.integers(2))
    out_channels = int(rng.integers(1, 257)) if operation == Operation.CONV else channels
    bits = int(rng.choice([4, 8]))
    return Layer(
        operation=operation,
        in_channels=channels,
        out_channels=out_channels,
        in_height=size,
        in_width=size,
        kernel_height=kernel,
        kernel_width=kernel,
        stride=stride,
        padding=kernel // 2,
        residual=residual,
        weight_bits=bits,
    )


def random_mapping(layer: Layer, accelerator: Accelerator, rng: np.random.Generator) -> Mapping | None:
    """A legal mapping of any tile sizes, or None if none turns up in 200 draws."""
    out_unit, in_unit = channel_units(layer.operation, accelerator)
    orders = [o for o in LoopOrder if layer.operation == Operation.CONV or o != LoopOrder.INPUTS_OUTER]
    for _ in range(200):
        tile_out = out_unit * int(rng.integers(1, math.ceil(layer.out_channels / out_unit) + 1))
        tile_in = in_unit * int(rng.integers(1, math.ceil(layer.in_channels / in_unit) + 1))
        height, width = (
            int(rng.integers(least_size(layer, extent), extent + 1)) for extent in (layer.out_height, layer.out_width)
        )
        order = orders[int(rng.integers(len(orders)))]
        mapping = Mapping(
            tile_out_channels=tile_out,
            tile_in_channels=tile_in if layer.operation == Operation.CONV else tile_out,
            tile_height=height,
            tile_width=width,
            loop_order=order,
        )
        if all(need.words <= need.depth for need in mapping.needs(layer, accelerator)):
            return mapping
    return None


def predicted_cycles(
    layer: Layer, mapping: Mapping, accelerator: Accelerator, board: Board, coefficients: Coefficients
) -> float:
    """What the closed form says of one mapping."""
    return float(
        MappedLayers.of([MappedLayer(layer, mapping)], [accelerator], board).price(coefficients).latency_cycles[0]
    )


def random_cases(count: int, seed: int, board: Board, coefficients: Coefficients) -> list[Case]:
    """Cases whose mapping alternates between the mapper's choice and a random legal one."""
    rng = np.random.default_rng(seed)
    space = AcceleratorSpace(board)
    cases: list[Case] = []
    while len(cases) < count:
        layer, accelerator = random_layer(rng), space.sample(rng, 1)[0]
        table = price_layers([layer], [accelerator], board, coefficients)
        is_best = len(cases) % 2 == 0
        if not np.isfinite(table.latency_cycles[0, 0]):
            continue
        mapping = table.mapping(0, 0) if is_best else random_mapping(layer, accelerator, rng)
        if mapping is None:
            continue
        cycles = predicted_cycles(layer, mapping, accelerator, board, coefficients)
        simulated = simulate(MappedLayer(layer, mapping), accelerator, board, coefficients)
        cases.append(Case(layer, accelerator, mapping, is_best, cycles, simulated))
    return cases


def main() -> None:
    """Print the figures, and the worst cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--board", default="pynq-z2")
    parser.add_argument("--worst", type=int, default=0, help="print this many of the worst cases")
    arguments = parser.parse_args()
    board, coefficients = load_board(arguments.board), load_coefficients()
    ample = replace(board, ddr=Ddr(peak_gb_s=100.0, plan_gb_s=100.0))
    cases = random_cases(arguments.cases, arguments.seed, board, coefficients)
    for name, chosen in (
        ("simulator", cases),
        ("simulator_ample_ddr", random_cases(arguments.cases // 4, arguments.seed, ample, coefficients)),
        ("simulator_best_mapping", [case for case in cases if case.is_best]),
        ("simulator_random_mapping", [case for case in cases if not case.is_best]),
    ):
        deviations = np.abs([case.deviation for case in chosen]) * 100
        print(f"figure {name}_median_deviation {np.median(deviations):.3f} %")
        print(f"figure {name}_p99_deviation {np.percentile(deviations, 99):.2f} %")
        print(f"figure {name}_worst_deviation {deviations.max():.2f} %")
        print(f"figure {name}_over_10_percent {np.mean(deviations > 10) * 100:.2f} %")
    for case in sorted(cases, key=lambda case: -abs(case.deviation))[: arguments.worst]:
        print(f"{case.deviation:+.3f} {case.layer} {case.mapping} {case.accelerator} {case.simulated}")


if __name__ == "__main__":
    main()
