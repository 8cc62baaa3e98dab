"""How long one step of progressive shrinking takes beside the ``ofa`` package's, in one run.

A step of OFA-MobileNetV3 (width 1.0): the full net answers a batch as the teacher, without gradient; then 4 random
subnets, the same for both, each give logits, a cross-entropy with the labels and one with the teacher's answer, and
gradients, which are summed; then stochastic gradient descent with Nesterov momentum. Both start from the same weights.
The two take turns, and which one is first alternates, so that whatever else runs disturbs both alike. A ratio is the
median over the turns of their time by ours; on a CPU it is taken of processor seconds and of elapsed seconds.

    python benchmarks/shrinking_step.py
    python benchmarks/shrinking_step.py --threads 2 --turns 40
"""

import argparse
import copy
import dataclasses
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from codesign.supernet.published.official_weights import read_official
from codesign.supernet.spaces.named import load_space
from codesign.supernet.spaces.space import Space, Subnet

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/lib"))
from support.networks.reference_ofa import activate, reference_supernet

SPACE = "ofa-mbv3-w1.0"
SUBNETS = 4
LABEL_SMOOTHING = 0.1
WARM_UP = 3

Step = Callable[[list[Subnet]], list[float]]


def figure(name: str, value: float, unit: str) -> None:
    """Print one figure."""
    print(f"figure {name} {value:.4g} {unit}", flush=True)


def step_of(
    network: nn.Module, answer: Callable[[], Tensor], logits_of: Callable[[Subnet], Tensor], labels: Tensor, half: bool
) -> Step:
    """One training step, which returns the loss of every subnet."""
    optimiser = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9, nesterov=True)

    def step(subnets: list[Subnet]) -> list[float]:
        losses = []
        optimiser.zero_grad()
        mixed = torch.autocast("cuda", torch.bfloat16, enabled=half)
        with mixed, torch.no_grad():
            taught = answer().softmax(1)
        for subnet in subnets:
            with mixed:
                logits = logits_of(subnet)
                loss = functional.cross_entropy(logits, labels, label_smoothing=LABEL_SMOOTHING)
                loss = loss + functional.cross_entropy(logits, taught)
            loss.backward()
            losses.append(loss.detach())
        optimiser.step()
        return [loss.item() for loss in losses]

    return step


def both_steps(space: Space, batch: int, device: str, half: bool) -> dict[str, Step]:
    """Steps of the reference and of ours, from the same weights and on the same images."""
    reference = reference_supernet(SPACE).train()
    supernet = read_official(space, reference.state_dict()).supernet.to(device)
    reference.to(device)
    teachers = copy.deepcopy(reference), copy.deepcopy(supernet)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch, 3, *[space.resolutions[0]] * 2, generator=generator).to(device)
    labels = torch.randint(space.num_classes, (batch,), generator=generator).to(device)
    activate(teachers[0], space.largest())

    def reference_logits(subnet: Subnet) -> Tensor:
        activate(reference, subnet)
        logits: Tensor = reference(images)
        return logits

    return {
        "ofa": step_of(reference, lambda: teachers[0](images), reference_logits, labels, half),
        "codesign": step_of(
            supernet,
            lambda: teachers[1](images, space.largest()),
            lambda subnet: supernet(images, subnet),
            labels,
            half,
        ),
    }


def seconds(step: Step, subnets: list[Subnet], device: str) -> tuple[float, float, list[float]]:
    """Processor seconds, elapsed seconds and losses of one step."""
    synchronise = torch.cuda.synchronize if device == "cuda" else lambda: None
    synchronise()
    start = time.process_time(), time.perf_counter()
    losses = step(subnets)
    synchronise()
    return time.process_time() - start[0], time.perf_counter() - start[1], losses


def report_ratio(name: str, ofa: np.ndarray, codesign: np.ndarray) -> None:
    """Median ratio and the middle half of all ratios."""
    low, middle, high = np.percentile(ofa / codesign, (25, 50, 75))
    figure(name, middle, "1")
    figure(f"{name}_quartile_low", low, "1")
    figure(f"{name}_quartile_high", high, "1")


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=("cpu", "cuda"))
    parser.add_argument("--batch", type=int, default=32, help="images a step (default: 32)")
    parser.add_argument("--resolution", type=int, default=64, help="side of an image (default: 64)")
    parser.add_argument("--threads", type=int, default=1, help="of torch on the CPU, for both (default: 1)")
    parser.add_argument("--turns", type=int, default=30, help="measured steps of each (default: 30)")
    parser.add_argument("--half", action="store_true", help="on a GPU: both in mixed precision (bfloat16)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    space = dataclasses.replace(load_space(SPACE), resolutions=(arguments.resolution,))
    steps = both_steps(space, arguments.batch, arguments.device, arguments.half)
    rng = np.random.default_rng(0)
    processor: dict[str, list[float]] = {name: [] for name in steps}
    elapsed: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(WARM_UP + arguments.turns):
        subnets = [space.decode(row) for row in space.sample_genes(rng, SUBNETS)]
        losses = {}
        for name in list(steps)[:: 1 if turn % 2 else -1]:
            cpu, wall, losses[name] = seconds(steps[name], subnets, arguments.device)
            if turn >= WARM_UP:
                processor[name].append(cpu)
                elapsed[name].append(wall)
        if turn == 0:
            deviation = max(abs(a - b) for a, b in zip(*losses.values(), strict=True))
            figure("shrinking_step_loss_deviation", deviation, "1")
    figure("shrinking_step_threads", torch.get_num_threads(), "threads")
    for name in steps:
        if arguments.device == "cpu":
            figure(f"shrinking_step_processor_time_{name}", float(np.median(processor[name])), "s")
        figure(f"shrinking_step_time_{name}", float(np.median(elapsed[name])), "s")
    if arguments.device == "cpu":
        report_ratio("shrinking_step_ratio", np.array(processor["ofa"]), np.array(processor["codesign"]))
    report_ratio("shrinking_step_elapsed_ratio", np.array(elapsed["ofa"]), np.array(elapsed["codesign"]))


if __name__ == "__main__":
    main()
