"""How fast the cost model prices: candidates of the mapper, and pairs once an accelerator's layer table stands.

A candidate is a legal (layer, accelerator, mapping), one that fits the buffers. Each is priced: a lower bound of its
latency first, and its latency in full where the bound is below what another mapping reaches (the share of these is
printed). Layers are those of a MobileNetV3-Large at 224 pixels, and of the whole digits space; accelerators are drawn
from the space of a board and shared between processes, which run on one core each and stand before the clock starts,
with the kernels compiled. A pair is a (subnet, accelerator): latency and energy of the network, from its genotype by
sums of priced pieces, and whether it is on the exact front of them all; on as many threads, and on a GPU where torch
finds one. Each figure is the median over the repetitions; its spread is half the range
between the quartiles as a share.

With ``--picture FILE`` also how the time grows with layers, with accelerators and with mappings, in one process: the
exponent of a power law fitted to each, 1 where it is linear.
"""

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch

from codesign.search.joint_space import JointSpace
from codesign.supernet.lowering.workloads import LayerIndex
from codesign.supernet.spaces.named import load_space
from codesign.supernet.spaces.space import Genes
from codesign.templates.engine.exact_front import exact_front
from codesign.templates.engine.pricing import PairPricer
from cost_models.closed_form.layer_table import price_layers
from cost_models.coefficients import load_coefficients
from cost_models.workload import Layer, Operation
from hw_templates.board import load_board
from hw_templates.conv_engine.accelerator import AcceleratorColumns
from hw_templates.conv_engine.space import AcceleratorSpace
from hw_templates.foundation.arrays import FloatArray

DIGITS = load_space("digits")
BOARD = load_board("pynq-z2")
COEFFICIENTS = load_coefficients()
# Blocks of MobileNetV3-Large (Howard et al. 2019, table 1): input size, input, expanded and output channels, kernel,
# stride, whether there is squeeze-and-excite.
MOBILENET_BLOCKS = (
    (112, 16, 64, 24, 3, 2, False),
    (56, 24, 72, 24, 3, 1, False),
    (56, 24, 72, 40, 5, 2, True),
    (28, 40, 120, 40, 5, 1, True),
    (28, 40, 240, 80, 3, 2, False),
    (14, 80, 200, 80, 3, 1, False),
    (14, 80, 480, 112, 3, 1, True),
    (14, 112, 672, 160, 5, 2, True),
    (7, 160, 960, 160, 5, 1, True),
)


def mobilenet_layers() -> list[Layer]:
    """The different layers of a MobileNetV3-Large."""
    layers = [
        Layer(
            operation=Operation.CONV,
            in_channels=3,
            out_channels=16,
            in_height=224,
            in_width=224,
            kernel_height=3,
            kernel_width=3,
            stride=2,
            padding=1,
        ),
        Layer(operation=Operation.CONV, in_channels=160, out_channels=960, in_height=7, in_width=7),
    ]
    for size, inputs, expanded, outputs, kernel, stride, squeezes in MOBILENET_BLOCKS:
        small = size // stride
        layers.append(
            Layer(operation=Operation.CONV, in_channels=inputs, out_channels=expanded, in_height=size, in_width=size)
        )
        layers.append(
            Layer(
                operation=Operation.DEPTHWISE,
                in_channels=expanded,
                out_channels=expanded,
                in_height=size,
                in_width=size,
                kernel_height=kernel,
                kernel_width=kernel,
                stride=stride,
                padding=kernel // 2,
            )
        )
        if squeezes:
            layers.append(
                Layer(
                    operation=Operation.POOL,
                    in_channels=expanded,
                    out_channels=expanded,
                    in_height=small,
                    in_width=small,
                    kernel_height=small,
                    kernel_width=small,
                )
            )
            layers.append(
                Layer(
                    operation=Operation.CONV, in_channels=expanded, out_channels=expanded // 4, in_height=1, in_width=1
                )
            )
            layers.append(
                Layer(
                    operation=Operation.CONV, in_channels=expanded // 4, out_channels=expanded, in_height=1, in_width=1
                )
            )
            layers.append(
                Layer(
                    operation=Operation.SCALE,
                    in_channels=expanded,
                    out_channels=expanded,
                    in_height=small,
                    in_width=small,
                )
            )
        residual = stride == 1 and inputs == outputs
        layers.append(
            Layer(
                operation=Operation.CONV,
                in_channels=expanded,
                out_channels=outputs,
                in_height=small,
                in_width=small,
                residual=residual,
            )
        )
    return list(dict.fromkeys(layers))


def report(name: str, unit: str, repetitions: int, measure: Callable[[], float]) -> None:
    """Print the median rate of several measurements, and their spread."""
    rates = np.array([measure() for _ in range(repetitions)])
    low, median, high = np.quantile(rates, (0.25, 0.5, 0.75))
    print(f"figure {name} {median:.0f} {unit}")
    print(f"figure {name}_spread {(high - low) / 2 / median * 100:.1f} %", flush=True)


def priced(layers: list[Layer], accelerators: AcceleratorColumns) -> tuple[int, int]:
    """How many candidates there were, and how many were calculated in full."""
    table = price_layers(layers, accelerators, BOARD, COEFFICIENTS)
    return table.candidates, table.calculated


def measure_candidates(name: str, layers: list[Layer], accelerators: AcceleratorColumns, runs: int, cores: int) -> None:
    """Report the rate of pricing all mappings, each process with a share of the accelerators."""
    shares = [accelerators.take(np.arange(core, len(accelerators), cores)) for core in range(cores)]
    with ProcessPoolExecutor(cores) as pool:

        def run() -> tuple[int, int]:
            counts = pool.map(priced, [layers] * cores, shares)
            candidates, calculated = np.sum(list(counts), axis=0)
            return int(candidates), int(calculated)

        def rate() -> float:
            start = time.perf_counter()
            return run()[0] / (time.perf_counter() - start)

        candidates, calculated = run()  # also starts the processes
        report(name, "candidates/s", runs, rate)
        print(f"figure {name}_calculated {calculated / candidates * 100:.1f} %", flush=True)


class Pairs:
    """Subnets and accelerators whose layer tables stand."""

    def __init__(self, subnets: int, accelerators: int, device: str) -> None:
        rng, space = np.random.default_rng(1), AcceleratorSpace(BOARD)
        self.genes = DIGITS.sample_genes(rng, subnets)
        self.accelerators = space.encode(space.sample(rng, accelerators))
        self.pricer = PairPricer(JointSpace(DIGITS, space), COEFFICIENTS)
        self.device = device
        self.per_second()

    def per_second(self) -> float:
        """Rate of pricing every subnet on every accelerator, from genotypes to the exact front."""
        start = time.perf_counter()
        exact_front(self.pricer, self, self.genes, self.accelerators, self.device)
        return len(self.genes) * len(self.accelerators) / (time.perf_counter() - start)

    def accuracy(self, genes: Genes) -> FloatArray:
        """See `AccuracyOracle`: a made-up one that costs nothing, larger choices being better."""
        score: FloatArray = genes @ np.linspace(1, 2, genes.shape[1])
        return score / 1e3


def seconds_of(layers: list[Layer], accelerators: AcceleratorColumns) -> tuple[float, int]:
    """(least seconds of three to price all mappings, how many these are)."""
    times = []
    for _ in range(3):
        start = time.process_time()
        candidates, _ = priced(layers, accelerators)
        times.append(time.process_time() - start)
    return min(times), candidates


def _wide_layer(inputs: int, outputs: int, size: int) -> Layer:
    return Layer(
        operation=Operation.CONV,
        in_channels=inputs,
        out_channels=outputs,
        in_height=size,
        in_width=size,
        kernel_height=3,
        kernel_width=3,
        padding=1,
    )


def growth(accelerators: AcceleratorColumns) -> dict[str, tuple[list[int], list[float]]]:
    """By what grows: how much of it there is, and the seconds that it takes."""
    rng = np.random.default_rng(2)
    sizes = rng.choice((7, 14, 28, 56), 512).tolist()
    pool = [_wide_layer(*rng.integers(16, 400, 2).tolist(), size=size) for size in sizes]
    grown: dict[str, tuple[list[int], list[float]]] = {
        "layers": ([], []),
        "accelerators": ([], []),
        "mappings": ([], []),
    }
    for count in (8, 16, 32, 64, 128, 256, 512):
        for name, seconds in (
            ("layers", seconds_of(pool[:count], accelerators.take(np.arange(16)))[0]),
            ("accelerators", seconds_of(pool[:16], accelerators.take(np.arange(count)))[0]),
        ):
            grown[name][0].append(count)
            grown[name][1].append(seconds)
    for size in (4, 7, 14, 28, 56, 112, 224):
        layers = [
            Layer(
                operation=Operation.CONV,
                in_channels=size * 4 + index,
                out_channels=size * 4 + index,
                in_height=size,
                in_width=size,
            )
            for index in range(16)
        ]
        seconds, candidates = seconds_of(layers, accelerators.take(np.arange(64)))
        grown["mappings"][0].append(candidates)
        grown["mappings"][1].append(seconds)
    return grown


def draw_growth(accelerators: AcceleratorColumns, picture: Path) -> None:
    """Print and draw how the time grows."""
    from matplotlib.figure import Figure

    sheet = Figure(figsize=(9, 3.2), layout="constrained")
    for axes, (name, (amounts, seconds)) in zip(sheet.subplots(1, 3), growth(accelerators).items(), strict=True):
        exponent, constant = np.polyfit(np.log(amounts), np.log(seconds), 1)
        print(f"figure growth_with_{name}_exponent {exponent:.3f} 1", flush=True)
        axes.loglog(amounts, seconds, "o", color="#1f5f99")
        fitted = np.exp(constant) * np.asarray(amounts, float) ** exponent
        axes.loglog(amounts, fitted, "-", color="#1f5f99", linewidth=1, label=f"power {exponent:.2f}")
        middle = len(amounts) // 2
        linear = fitted[middle] * np.asarray(amounts, float) / amounts[middle]
        axes.loglog(amounts, linear, "--", color="#999999", linewidth=1, label="linear")
        axes.set_xlabel(name)
        axes.set_ylabel("seconds of one core")
        axes.legend(frameon=False)
    sheet.savefig(picture, dpi=150)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--cores", type=int, default=2, help="processes for the mapper, threads for pairs")
    parser.add_argument("--picture", type=Path, help="PNG of how the time grows")
    arguments = parser.parse_args()
    space, rng = AcceleratorSpace(BOARD), np.random.default_rng(0)
    many, few = space.sample(rng, 512), space.sample(rng, 256)
    mobilenet, digits = mobilenet_layers(), list(LayerIndex(DIGITS).layers)
    runs, cores = arguments.repetitions, arguments.cores
    measure_candidates("candidates_per_second", mobilenet, many, runs, cores)
    measure_candidates("digits_candidates_per_second", digits, few, runs, cores)
    torch.set_num_threads(cores)
    report("pairs_per_second", "pairs/s", runs, Pairs(16_384, 256, "cpu").per_second)
    if torch.cuda.is_available():
        report("gpu_pairs_per_second", "pairs/s", runs, Pairs(131_072, 2_048, "cuda").per_second)
    if arguments.picture:
        draw_growth(many, arguments.picture)


if __name__ == "__main__":
    main()
