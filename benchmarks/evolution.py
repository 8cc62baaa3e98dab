"""Specialising for one accelerator under a latency limit, beside the ``ofa`` package's finder in one run.

Both look for the most accurate subnet of OFA-MobileNetV3 (width 1.2, resolutions 160 to 224) within a limit on the
predicted latency on a 16 x 16 array of a ZCU104, with the official accuracy predictor included and the same prices of
blocks: ours looks them up as arrays, the finder in a dictionary, which is the least work that its interface allows. A
candidate is a subnet within the limit whose accuracy was predicted.

    python benchmarks/evolution.py ../shared/data/ofa

The folder holds ``acc_predictor.pth``; without one, what `codesign fetch` brought is taken.
"""

import argparse
import random
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from codesign.search.joint_space import JointSpace
from codesign.supernet.accuracy.official_predictor import OfficialPredictor, known_space, load_official_predictor
from codesign.supernet.spaces.named import load_space
from codesign.supernet.spaces.space import Space
from codesign.templates.engine.evolution import reference_accelerator
from codesign.templates.engine.pricing import PairPricer
from codesign.templates.engine.specialise import best_subnet_within
from cost_models.closed_form.estimate import network_latency_cycles
from cost_models.closed_form.layer_table import price_layers
from cost_models.coefficients import load_coefficients
from cost_models.workload import IMAGE
from hw_templates.board import load_board
from hw_templates.conv_engine.accelerator import Accelerator, AcceleratorColumns
from hw_templates.conv_engine.space import AcceleratorSpace

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/lib"))

OFA_MBV3_W12 = load_space("ofa-mbv3-w1.2")
LIMIT_MS = 40.0
CANDIDATES = 200_000
ROUNDS = 5
GENERATIONS = 20
BOARD = load_board("zcu104")


def figure(name: str, value: float, unit: str) -> None:
    """Print one figure."""
    print(f"figure {name} {value:.5g} {unit}", flush=True)


class BlockPrices:
    """Latency of a subnet, given as the finder's dictionary, by looking up each of its blocks."""

    def __init__(self, space: Space, accelerator: Accelerator) -> None:
        coefficients = load_coefficients()
        self._ms: dict[tuple[Any, ...], float] = {}
        per_ms = accelerator.clock_mhz * 1e3
        self._start_ms = network_latency_cycles(0.0, coefficients) / per_ms
        self._blocks = [name for name in space.block_names if len(space.choices[f"{name}.kernel"]) > 1]
        for number, piece in enumerate(space.segments):
            choices = [space.choices[name] for name in piece.names]
            grid = np.stack(np.meshgrid(*choices, indexing="ij"), axis=-1).reshape(-1, len(choices)).tolist()
            for values in grid:
                nodes = piece.nodes(dict(zip(piece.names, values, strict=True)), IMAGE)
                layers = [node.layer for node in nodes]
                cycles = price_layers(layers, [accelerator], BOARD, coefficients).latency_cycles.sum()
                key = dict(zip(piece.names, values, strict=True))
                chosen = tuple(key.get(f"{piece.block}.{kind}") for kind in ("kernel", "expand"))
                elastic = piece.block in self._blocks
                place = (piece.block, key["resolution"], *chosen) if elastic else (number, key["resolution"])
                self._ms[place] = float(cycles) / per_ms
        self._always = [number for number, piece in enumerate(space.segments) if piece.block not in self._blocks]

    def get_efficiency(self, subnet: dict[str, Any]) -> float:
        """Latency in ms, by the name that the finder calls."""
        side = subnet["image_size"]
        total = self._start_ms + sum(self._ms[number, side] for number in self._always)
        for index, block in enumerate(self._blocks):
            if index % 4 < subnet["d"][index // 4]:
                total += self._ms[block, side, subnet["ks"][index], subnet["e"][index]]
        return total


def theirs(space: Space, oracle: OfficialPredictor, prices: BlockPrices) -> None:
    """Figures of the ``ofa`` package's finder, with its own encoder and network and the same weights."""
    import torch
    from support.networks.reference_ofa import import_ofa

    import_ofa()
    from ofa.nas.accuracy_predictor import AccuracyPredictor, MobileNetArchEncoder
    from ofa.nas.search_algorithm import EvolutionFinder

    encoder = MobileNetArchEncoder(image_size_list=list(space.resolutions))
    network = AccuracyPredictor(encoder, device="cpu").eval()
    # The encoder's inputs are resolution, kernel, expand; the published weights' are kernel, expand, resolution.
    weight = torch.from_numpy(oracle.layers[0][0].T.copy())
    known = [120 + index for index, side in enumerate(range(112, 225, 16)) if side in space.resolutions]
    state = {"layers.0.0.weight": torch.cat([weight[:, known], weight[:, :120]], dim=1)}
    state |= {f"layers.{i}.0.weight": torch.from_numpy(oracle.layers[i][0].T.copy()) for i in (1, 2)}
    state |= {f"layers.{i}.0.bias": torch.from_numpy(oracle.layers[i][1]) for i in range(3)}
    state |= {"layers.3.weight": torch.from_numpy(oracle.layers[3][0].T.copy()), "base_acc": oracle_bias(oracle)}
    network.load_state_dict(state)
    population = 100
    rates, cpu_rates, best = [], [], []
    for seed in range(ROUNDS):
        random.seed(seed)
        np.random.seed(seed)
        finder = EvolutionFinder(prices, network, population_size=population, max_time_budget=GENERATIONS)
        start, cpu_start = time.perf_counter(), time.process_time()
        with torch.no_grad():
            _, found = finder.run_evolution_search(LIMIT_MS, verbose=True)
        candidates = population * (GENERATIONS + 1)
        rates.append(candidates / (time.perf_counter() - start))
        cpu_rates.append(candidates / (time.process_time() - cpu_start))
        best.append(found[0])
    figure("evolution_ofa_candidates_per_second", statistics.median(rates), "1/s")
    figure("evolution_ofa_candidates_per_cpu_second", statistics.median(cpu_rates), "1/s")
    figure("evolution_ofa_accuracy", 100 * statistics.mean(best), "%")


def oracle_bias(oracle: OfficialPredictor) -> Any:
    """The last layer's bias, as the reference's network holds it."""
    import torch

    return torch.from_numpy(oracle.layers[3][1].copy())


def ours(joint: JointSpace, oracle: OfficialPredictor, accelerator: Accelerator) -> None:
    """Figures of :func:`best_subnet_within`."""
    row = joint.accelerators.encode(AcceleratorColumns.of([accelerator]))[0]
    pricer = PairPricer(joint, load_coefficients())
    # Prices of layers stand before the clock starts, as the finder's do.
    best_subnet_within(pricer, oracle, row, LIMIT_MS, CANDIDATES)
    rates, cpu_rates, best = [], [], []
    for seed in range(ROUNDS):
        start, cpu_start = time.perf_counter(), time.process_time()
        found = best_subnet_within(pricer, oracle, row, LIMIT_MS, CANDIDATES, seed)
        rates.append(found.candidates / (time.perf_counter() - start))
        cpu_rates.append(found.candidates / (time.process_time() - cpu_start))
        best.append(found.accuracy)
    figure("evolution_candidates_per_second", statistics.median(rates), "1/s")
    figure("evolution_candidates_per_second_least", min(rates), "1/s")
    figure("evolution_candidates_per_cpu_second", statistics.median(cpu_rates), "1/s")
    figure("evolution_accuracy", 100 * statistics.mean(best), "%")


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="of acc_predictor.pth (default: the cache)")
    folder = parser.parse_args().folder
    space = known_space(OFA_MBV3_W12)
    oracle = load_official_predictor(space, folder)
    accelerators = AcceleratorSpace(BOARD)
    accelerator = reference_accelerator(accelerators)
    ours(JointSpace(space, accelerators), oracle, accelerator)
    theirs(space, oracle, BlockPrices(space, accelerator))


if __name__ == "__main__":
    main()
