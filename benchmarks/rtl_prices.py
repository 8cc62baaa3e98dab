"""How far the prices of a search for the Verilog are from the cycles that the formulas for its program state.

    python benchmarks/rtl_prices.py          compare pairs that nothing was fitted to
    python benchmarks/rtl_prices.py --fit    fit the latency coefficients of the prior anew, to other pairs

A search prices a pair by the closed form with the prior of `rtl`; `cost_models/engine/cycles.py` states the cycles of
the compiled program slot by slot, and what the Verilog takes in simulation is within 2 % of that (`engine_cycles.py`).
Pairs are random subnets of the demo's space, whose weights do not matter, each on random engines that fit the board.
The deviation of a pair is its price in cycles over the stated cycles, less one. Both assume a memory that answers after
as many cycles as `make rtlsim` has by default, and the bandwidth that is planned for the board.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.optimize import least_squares

from codesign.emit.network import compile_network
from codesign.emit.quantise import quantise
from codesign.supernet.lowering.workloads import lower
from codesign.supernet.network.subnets import fold
from codesign.supernet.network.supernet import Supernet
from codesign.supernet.spaces.named import load_space
from cost_models.closed_form.estimate import map_workload
from cost_models.closed_form.layer_prices import MappedLayers
from cost_models.coefficients import Coefficients, load_coefficients
from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.resources import estimate_resources, excess
from hw_templates.board import load_board
from hw_templates.conv_engine.accelerator import Accelerator, AcceleratorColumns
from hw_templates.conv_engine.engine_shape import EngineShape
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.conv_engine.space import AcceleratorSpace
from hw_templates.foundation.arrays import FloatArray
from hw_templates.foundation.errors import MappingError

SPACE, BOARD = load_space("digits"), load_board("pynq-z2")
COMPARED_SEED, FITTED_SEED = 1, 0
FITTED = {
    "pipeline_depth_cycles": 22.0,
    "access_latency_cycles": 72.0,
    "burst_overhead_cycles": 2.0,
    "slot_overhead_cycles": 14.0,
    "layer_overhead_cycles": 150.0,
}
"""Coefficients that are fitted, from what they follow from in `cost_models/engine`, which the fit is held near."""
_HELD = 0.01
"""Weight of a coefficient's distance from there, as a logarithm, against the mean squared deviation of the pairs."""


@dataclass(frozen=True)
class Pair:
    """A subnet on an engine: its layers as they are compiled, and the stated cycles of an image."""

    layers: tuple[MappedLayer, ...]
    accelerator: Accelerator
    cycles: int


def figure(name: str, value: float, unit: str) -> None:
    """Print one figure."""
    print(f"figure {name} {value:.3g} {unit}", flush=True)


def fitting_engines(rng: np.random.Generator, count: int) -> AcceleratorColumns:
    """Return the engines of ``count`` random ones that fit the board."""
    columns = AcceleratorSpace(BOARD).sample(rng, count)
    over = excess(estimate_resources(columns, BOARD, Implementation.RTL), BOARD).values()
    return columns.take(np.all([np.asarray(each) <= 0 for each in over], axis=0))


def draw_pairs(seed: int, subnets: int, engines: int, coefficients: Coefficients) -> list[Pair]:
    """Return random subnets, each on random engines whose buffers hold a tile of every layer."""
    rng, pairs = np.random.default_rng(seed), list[Pair]()
    columns, supernet = fitting_engines(rng, 4000), Supernet(SPACE, seed)
    for _ in range(subnets):
        subnet = SPACE.sample(rng)
        shape = (16, SPACE.image_channels, subnet.resolution, subnet.resolution)
        images = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
        workload = lower(SPACE, subnet)
        network = quantise(workload, fold(supernet, subnet, images), images.numpy())
        for index in rng.integers(len(columns), size=engines):
            accelerator = columns[int(index)]
            try:
                mapped = map_workload(workload, accelerator, BOARD, coefficients)
            except MappingError:
                continue  # a buffer is too small
            compiled = compile_network(network, mapped, EngineShape(accelerator=accelerator, family=BOARD.family))
            pairs.append(Pair(mapped, accelerator, compiled.cycles(BOARD)))
    return pairs


class Prices:
    """The prices of pairs by the closed form, for any latency coefficients."""

    def __init__(self, pairs: Sequence[Pair], coefficients: Coefficients) -> None:
        self._coefficients = coefficients
        self._pair = np.repeat(np.arange(len(pairs)), [len(pair.layers) for pair in pairs])
        self._stated = np.array([pair.cycles for pair in pairs], dtype=float)
        layers = [layer for pair in pairs for layer in pair.layers]
        accelerators = [pair.accelerator for pair in pairs for _ in pair.layers]
        self._layers = MappedLayers.of(layers, accelerators, BOARD)

    def deviations(self, values: FloatArray | None = None) -> FloatArray:
        """Return [pairs] price over stated cycles, less one; ``values`` stand for the coefficients that are fitted."""
        own = self._coefficients
        if values is not None:
            own = replace(own, latency=replace(own.latency, **dict(zip(FITTED, values.tolist(), strict=True))))
        priced = np.bincount(self._pair, self._layers.price(own).latency_cycles) + own.latency.start_cycles
        deviations: FloatArray = priced / self._stated - 1
        return deviations


def fitted(prices: Prices, count: int) -> FloatArray:
    """Return the coefficients that make the deviations of ``count`` pairs small; far ones count less."""
    start = np.array(list(FITTED.values()))

    def residuals(values: FloatArray) -> FloatArray:
        return np.concatenate([prices.deviations(values), _HELD * np.sqrt(count) * np.log(values / start)])

    found: FloatArray = least_squares(
        residuals, start, bounds=(1e-3, np.inf), diff_step=1e-2, x_scale=start, loss="soft_l1", f_scale=0.02
    ).x
    return found


def main() -> None:
    """Print every figure."""
    options = argparse.ArgumentParser(description="Prices of a search for the Verilog beside stated cycles.")
    options.add_argument("--subnets", type=int, default=20, help="random subnets, each on 10 engines")
    options.add_argument("--fit", action="store_true", help="fit the coefficients to other pairs")
    asked = options.parse_args()
    prior = load_coefficients("prior", Implementation.RTL)
    pairs = draw_pairs(FITTED_SEED if asked.fit else COMPARED_SEED, asked.subnets, 10, prior)
    prices = Prices(pairs, prior)
    if asked.fit:
        values = fitted(prices, len(pairs))
        for name, value in zip(FITTED, values.tolist(), strict=True):
            figure(f"fitted_{name}", value, "cycles")
        deviations = prices.deviations(values)
    else:
        deviations = prices.deviations()
    figure("rtl_prices_pairs", len(pairs), "pairs")
    figure("rtl_prices_mean_error", 100 * np.abs(deviations).mean(), "%")
    figure("rtl_prices_bias", 100 * deviations.mean(), "%")
    figure("rtl_prices_95th_percentile", 100 * np.quantile(np.abs(deviations), 0.95), "%")
    figure("rtl_prices_worst", 100 * np.abs(deviations).max(), "%")


if __name__ == "__main__":
    main()
