"""What weights of 4 bits save: subnets with all blocks at 8 and at 4 bits, each with the accelerator that suits it.

Subnets are drawn at random; so are the accelerators, from those that a board has room for, and of these each subnet
takes the one with the least latency. Everything is predicted by the cost model; what the bits cost in accuracy is not
looked at here.
"""

import argparse
from dataclasses import replace
from typing import cast

import numpy as np

from codesign.supernet.lowering.workloads import lower
from codesign.supernet.spaces.mobile import MobileSpace, MobileSubnet
from codesign.supernet.spaces.named import load_space
from cost_models.closed_form.estimate import Estimate, price
from cost_models.closed_form.layer_table import price_layers
from cost_models.coefficients import load_coefficients
from cost_models.resources import estimate_resources, excess
from cost_models.workload import Workload
from hw_templates.board import Board, load_board
from hw_templates.conv_engine.accelerator import AcceleratorColumns
from hw_templates.conv_engine.space import AcceleratorSpace

CIFAR10 = cast(MobileSpace, load_space("cifar10"))
OFA_MBV3_W10 = cast(MobileSpace, load_space("ofa-mbv3-w1.0"))
COEFFICIENTS = load_coefficients()
# The space of the paper has weights of 8 bits alone.
MOBILENET = replace(
    OFA_MBV3_W10, stages=tuple(replace(stage, weight_bits=(4, 8)) for stage in OFA_MBV3_W10.stages), resolutions=(224,)
)


def accelerators_of(board: Board, count: int, rng: np.random.Generator) -> AcceleratorColumns:
    """Accelerators that fit the board."""
    columns = AcceleratorSpace(board).sample(rng, 100 * count)
    beyond = excess(estimate_resources(columns, board), board)
    return columns.take(np.flatnonzero(np.all([over <= 0 for over in beyond.values()], axis=0))[:count])


def fastest(workload: Workload, accelerators: AcceleratorColumns, board: Board) -> Estimate:
    """The price of a network on the accelerator where its latency is least."""
    table = price_layers(workload.layers, accelerators, board, COEFFICIENTS)
    latency = table.latency_cycles.sum(axis=0) / accelerators.clock_mhz
    return price(workload, accelerators[int(latency.argmin())], board, COEFFICIENTS)


def with_bits(subnet: MobileSubnet, bits: int) -> MobileSubnet:
    """The subnet with all blocks at so many bits."""
    stages = tuple(tuple(replace(block, weight_bits=bits) for block in blocks) for blocks in subnet.stages)
    return replace(subnet, stages=stages)


def saved(space: MobileSpace, board: Board, subnets: int, seed: int) -> dict[str, np.ndarray]:
    """By quantity, the share that 4 bits save of each subnet's, in percent."""
    rng = np.random.default_rng(seed)
    accelerators = accelerators_of(board, 256, rng)
    shares = []
    for row in space.sample_genes(rng, subnets):
        subnet = space.decode(row)
        assert isinstance(subnet, MobileSubnet)
        wide, narrow = (fastest(lower(space, with_bits(subnet, bits)), accelerators, board) for bits in (8, 4))
        ratios = np.array(quantities(narrow)) / np.array(quantities(wide))
        shares.append(100 * (1 - ratios))
    return dict(zip(("latency", "energy", "ddr_bytes"), np.array(shares).T, strict=True))


def quantities(estimate: Estimate) -> tuple[float, float, float]:
    """Latency in ms, energy in mJ, and bytes that pass the DDR, of an inference."""
    return estimate.latency_ms, estimate.energy_mj, sum(layer.ddr_bytes for layer in estimate.layers)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subnets", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--board", default="pynq-z2")
    arguments = parser.parse_args()
    board = load_board(arguments.board)
    for name, space in (("cifar10", CIFAR10), ("mbv3", MOBILENET)):
        for quantity, shares in saved(space, board, arguments.subnets, arguments.seed).items():
            print(f"figure four_bits_{name}_{quantity}_saved_mean {shares.mean():.1f} %")
            print(f"figure four_bits_{name}_{quantity}_saved_std {shares.std():.1f} %", flush=True)


if __name__ == "__main__":
    main()
