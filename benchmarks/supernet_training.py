"""What progressive shrinking is worth, on CIFAR-10: against training alone, against training all at once, fine-tuned.

Every part stops at any moment and goes on where it was; parts can run side by side, and the report is made of what
there is. The setting is one that two CPU cores can train: few images, small sides, few epochs (the constants below).

    python benchmarks/supernet_training.py --data ../shared/data/cifar10_jpeg --out runs/cifar10
    python benchmarks/supernet_training.py --data ... --out runs/cifar10 --parts supernet
    python benchmarks/supernet_training.py --data ... --out runs/cifar10 --parts report --page docs/training.md
"""

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from matplotlib import pyplot
from torch import Tensor

from codesign.supernet.accuracy.measured import MeasuredAccuracy
from codesign.supernet.accuracy.predictor import judge_predictor, measure_sample
from codesign.supernet.data.data_set import ChosenImages, DataSet, Split
from codesign.supernet.data.image_files import load_images
from codesign.supernet.lowering.workloads import lower
from codesign.supernet.network.subnets import evaluate, recalibrate, specialised_weights
from codesign.supernet.spaces.mobile import MobileSubnet
from codesign.supernet.spaces.named import load_space
from codesign.supernet.spaces.space import Space, Subnet
from codesign.supernet.training import shrinking
from codesign.supernet.training.checkpoint import Checkpoint
from codesign.supernet.training.processes import one_thread
from codesign.supernet.training.schedule import Schedule, load_schedule
from codesign.supernet.training.shrinking import TrainingProgress, begin_with, train
from hw_templates.foundation.arrays import BoolArray, FloatArray, IntArray
from hw_templates.foundation.atomic_file import write_text_atomically

CIFAR10_SMALL = load_space("cifar10-small")
SCHEDULE, FINE_TUNING = load_schedule("cifar10-small"), load_schedule("cifar10-fine-tuning")
TRAINING_IMAGES = 2000
CALIBRATION_IMAGES = 1000
TARGETS = (1, 10, 40)
TIMED_STEPS, TIMED_ROUNDS = 13, 3
PREDICTOR_SUBNETS, PREDICTOR_SPLITS = 500, 20
SEEDS = 2
WAYS = {
    "shared": "supernet, shared weights",
    "alone": "each alone, from scratch",
    "at_once": "supernet without shrinking",
    "fine_tuned": "supernet, then fine-tuned",
}
PARTS = ("supernet", "at-once", "alone", "fine-tuning", "predictor", "report")


def at_once(schedule: Schedule) -> Schedule:
    """Return an equally long schedule without progressive shrinking: all choices are open from the start."""
    length = sum(phase.length for phase in schedule.phases)
    return dataclasses.replace(schedule, phases=(dataclasses.replace(schedule.phases[-1], length=length),))


def with_training_images(data: DataSet, count: int) -> DataSet:
    """Return the data set with only the first ``count`` of its training images."""
    train = data.images[Split.TRAIN]
    few = ChosenImages(train, torch.arange(len(train.labels))[:count])
    return dataclasses.replace(data, images={**data.images, Split.TRAIN: few})


def figure(name: str, value: float, unit: str) -> None:
    """Print one figure."""
    print(f"figure {name} {value:.4g} {unit}", flush=True)


def judged_subnets(space: Space) -> dict[str, Subnet]:
    """Six subnets from the smallest to the largest: ends, and uniform ones between."""

    def uniform(resolution: int, depth: int, kernel: int, expand: int) -> MobileSubnet:
        values = {name: choices[0] for name, choices in space.choices.items()}
        chosen = {"depth": depth, "kernel": kernel, "expand": expand, "resolution": resolution}
        values |= {name: chosen[kind] for name in values if (kind := name.rpartition(".")[2]) in chosen}
        subnet = space.build(values)
        assert isinstance(subnet, MobileSubnet)
        return subnet

    return {
        "smallest": space.smallest(),
        "small": uniform(12, 2, 3, 3),
        "lower-middle": uniform(16, 1, 5, 3),
        "upper-middle": uniform(16, 2, 5, 4),
        "large": uniform(24, 2, 3, 3),
        "largest": space.largest(),
    }


@dataclasses.dataclass(frozen=True)
class Work:
    """Where the benchmark works, and on what."""

    out: Path
    data: DataSet

    def trained(
        self, name: str, space: Space, schedule: Schedule, weights: Mapping[str, Tensor] | None = None, seed: int = 0
    ) -> Checkpoint:
        """That net, trained or trained on."""

        def on_step(done: TrainingProgress) -> None:
            if done.step % 100 == 0:
                print(f"{name}: step {done.step} of {done.steps}, {done.phase}, loss {done.loss:.2f}", flush=True)

        path = self.out / (f"{name}-seed{seed}.pt" if seed else f"{name}.pt")
        if weights is not None:
            begin_with(weights, space, self.data, schedule, path, seed)
        return train(space, self.data, schedule, path, seed=seed, on_step=on_step)

    def supernet(self, seed: int = 0) -> Checkpoint:
        """The supernet, by progressive shrinking."""
        return self.trained("supernet", CIFAR10_SMALL, SCHEDULE, seed=seed)

    def at_once(self, seed: int = 0) -> Checkpoint:
        """The supernet, with everything elastic from the first step."""
        return self.trained("at-once", CIFAR10_SMALL, at_once(SCHEDULE), seed=seed)

    def alone(self, name: str, subnet: Subnet) -> Checkpoint:
        """One subnet, from random weights, for as many epochs as the supernet."""
        return self.trained(f"alone-{name}", CIFAR10_SMALL.only(subnet), SCHEDULE.for_one_subnet())

    def fine_tuned(self, name: str, subnet: Subnet) -> Checkpoint:
        """One subnet, from the supernet's weights, for a few epochs."""
        weights = specialised_weights(self.supernet().supernet(), subnet)
        return self.trained(f"fine-tuned-{name}", CIFAR10_SMALL.only(subnet), FINE_TUNING, weights)


@one_thread()
@torch.no_grad()
def right_answers(work: Work, checkpoint: Checkpoint, subnet: Subnet) -> BoolArray:
    """Which test images the subnet tells."""
    network, labels = checkpoint.supernet(), work.data.labels[Split.TEST]
    calibration = work.data.resized(Split.TRAIN, subnet.resolution, slice(CALIBRATION_IMAGES))
    logits = evaluate(
        network, subnet, work.data.resized(Split.TEST, subnet.resolution), recalibrate(network, subnet, calibration)
    )
    right: BoolArray = (logits.argmax(1) == labels).numpy()
    return right


@dataclasses.dataclass(frozen=True)
class Judged:
    """One subnet in all the ways that it was trained; accuracies are shares of the test images.

    Attributes:
        macs: of the subnet.
        shared, at_once, alone, fine_tuned: which test images it tells, by training.
    """

    name: str
    subnet: Subnet
    macs: int
    shared: BoolArray
    at_once: BoolArray
    alone: BoolArray
    fine_tuned: BoolArray


def gap(left: BoolArray, right: BoolArray) -> tuple[float, float]:
    """Difference of two accuracies on the same images, in points, and its standard error."""
    difference = left.astype(float) - right.astype(float)
    return 100 * float(difference.mean()), 100 * float(difference.std(ddof=1) / np.sqrt(len(difference)))


def judge(work: Work) -> list[Judged]:
    """All nets on the test part, which nothing before has seen; what is not trained yet is trained first."""
    shared, together, judged = work.supernet(), work.at_once(), []
    for name, subnet in judged_subnets(CIFAR10_SMALL).items():
        right = [right_answers(work, checkpoint, subnet) for checkpoint in (shared, together)]
        alone = CIFAR10_SMALL.only(subnet).largest()
        right += [right_answers(work, net(name, subnet), alone) for net in (work.alone, work.fine_tuned)]
        judged.append(Judged(name, subnet, lower(CIFAR10_SMALL, subnet).macs, *right))
    return judged


def report_accuracies(judged: list[Judged]) -> list[str]:
    """Figures of what progressive shrinking and fine-tuning bring; rows of a table."""
    rows = []
    for net in judged:
        accuracies = [100 * float(right.mean()) for right in (net.shared, net.alone, net.at_once, net.fine_tuned)]
        error = 100 * float(np.sqrt(net.shared.mean() * (1 - net.shared.mean()) / len(net.shared)))
        for kind, value in zip(("shared", "alone", "at_once", "fine_tuned"), accuracies, strict=True):
            figure(f"{net.name.replace('-', '_')}_{kind}_test_accuracy", value, "%")
        difference, spread = gap(net.alone, net.shared)
        cells = " | ".join(f"{value:.1f}" for value in accuracies)
        rows.append(f"| {net.name} | {net.macs / 1e6:.2f} | {cells} | {difference:+.1f} ± {spread:.1f} | {error:.1f} |")
    gaps = [gap(net.alone, net.shared)[0] for net in judged]
    figure("gap_to_training_alone_mean", float(np.mean(gaps)), "points")
    figure("gap_to_training_alone_mean_error", float(np.std(gaps, ddof=1) / np.sqrt(len(gaps))), "points")
    gains = [gap(net.fine_tuned, net.shared)[0] for net in judged]
    figure("smallest_gain_by_fine_tuning", gap(judged[0].fine_tuned, judged[0].shared)[0], "points")
    figure("smallest_gain_by_fine_tuning_error", gap(judged[0].fine_tuned, judged[0].shared)[1], "points")
    figure("fine_tuning_gain_mean", float(np.mean(gains)), "points")
    figure("fine_tuning_gain_mean_error", float(np.std(gains, ddof=1) / np.sqrt(len(gains))), "points")
    return rows


def report_smallest(work: Work) -> tuple[float, float]:
    """Figures of what shrinking gives the smallest subnet; mean over the seeds and its standard error on the images."""
    smallest, gains = CIFAR10_SMALL.smallest(), []
    for seed in range(SEEDS):
        nets = work.supernet(seed), work.at_once(seed)
        gains.append(gap(*(right_answers(work, checkpoint, smallest) for checkpoint in nets)))
        figure(f"smallest_gain_by_shrinking_seed{seed}", gains[-1][0], "points")
    mean = float(np.mean([gain for gain, _ in gains]))
    error = float(np.sqrt(np.sum([error**2 for _, error in gains])) / len(gains))
    figure("smallest_gain_by_shrinking", mean, "points")
    figure("smallest_gain_by_shrinking_error", error, "points")
    return mean, error


def phase_core_s(work: Work, space: Space, schedule: Schedule) -> dict[str, list[float]]:
    """Core-seconds of the first steps of each phase."""
    short = dataclasses.replace(
        schedule, phases=tuple(dataclasses.replace(phase, length=TIMED_STEPS) for phase in schedule.phases)
    )
    times: dict[str, list[float]] = {}
    last = time.process_time()

    def on_step(done: TrainingProgress) -> None:
        nonlocal last
        now = time.process_time()
        times.setdefault(done.phase, []).append(now - last)
        last = now

    never = mock.patch.object(shrinking, "CHECKPOINT_SECONDS", (1e9, 1e9))
    with tempfile.TemporaryDirectory() as folder, never:
        train(space, work.data, short, Path(folder) / "timed.pt", on_step=on_step)
    return {phase: values[1:] for phase, values in times.items()}


def costs(work: Work, judged: list[Judged]) -> tuple[float, float]:
    """Core-seconds of training the supernet, and a subnet alone on average, by steps of all of them in turn."""
    whole = SCHEDULE.in_steps(TRAINING_IMAGES)
    nets = {"supernet": (CIFAR10_SMALL, whole)}
    nets |= {net.name: (CIFAR10_SMALL.only(net.subnet), whole.for_one_subnet()) for net in judged}
    times: dict[str, dict[str, list[float]]] = {name: {} for name in nets}
    for _ in range(TIMED_ROUNDS):
        for name, (space, schedule) in nets.items():
            for phase, values in phase_core_s(work, space, schedule).items():
                times[name].setdefault(phase, []).extend(values)
    core_s = {
        name: sum(phase.length * float(np.mean(times[name][phase.name])) for phase in schedule.phases)
        for name, (_, schedule) in nets.items()
    }
    return core_s["supernet"], float(np.mean([core_s[net.name] for net in judged]))


def report_costs(shared: float, alone: float) -> list[str]:
    """Figures of what training for many targets costs, from that of the supernet and of one alone; rows of a table."""
    rows = []
    for targets in TARGETS:
        figure(f"core_seconds_for_{targets}_targets_once_for_all", shared, "s")
        figure(f"core_seconds_for_{targets}_targets_alone", targets * alone, "s")
        rows.append(f"| {targets} | {shared:,.0f} | {targets * alone:,.0f} | {targets * alone / shared:.1f} |")
    return rows


def sample(work: Work) -> tuple[IntArray, FloatArray]:
    """Random subnets of the supernet and their validation accuracies, each measured once."""
    oracle = MeasuredAccuracy(work.supernet(), work.data, cache=work.out / "accuracies.jsonl")

    def on_measured(done: int) -> None:
        if done % 50 == 0:
            print(f"predictor: {done} of {PREDICTOR_SUBNETS} subnets measured", flush=True)

    return measure_sample(CIFAR10_SMALL, oracle, PREDICTOR_SUBNETS, on_measured=on_measured)


def report_predictor(work: Work) -> tuple[float, float]:
    """Figures of the predictor; mean rank correlation and its deviation over the splits."""
    genes, accuracy = sample(work)
    quality = judge_predictor(CIFAR10_SMALL, genes, accuracy, splits=PREDICTOR_SPLITS)
    tau, deviation = float(np.mean(quality.kendall_tau)), float(np.std(quality.kendall_tau, ddof=1))
    figure("cifar10_predictor_kendall_tau", tau, "1")
    figure("cifar10_predictor_kendall_tau_deviation", deviation, "1")
    figure("cifar10_predictor_kendall_tau_2.5_percent", float(np.quantile(quality.kendall_tau, 0.025)), "1")
    figure("cifar10_predictor_spearman", float(np.mean(quality.spearman)), "1")
    figure("cifar10_predictor_rmse", 100 * float(np.mean(quality.rmse)), "%")
    return tau, deviation


def draw(judged: list[Judged], cost: tuple[float, float], path: Path) -> None:
    """Accuracy against size in each way of training, and the cost against the number of targets."""
    figures, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    judged = sorted(judged, key=lambda net: net.macs)
    macs = [net.macs / 1e6 for net in judged]
    ways = (("shared", "o-"), ("alone", "s--"), ("at_once", "^:"), ("fine_tuned", "D-."))
    for way, style in ways:
        values = [getattr(net, way) for net in judged]
        means = [100 * float(value.mean()) for value in values]
        errors = [100 * float(np.sqrt(value.mean() * (1 - value.mean()) / len(value))) for value in values]
        left.errorbar(macs, means, errors, fmt=style, capsize=2, label=WAYS[way])
    left.set(xscale="log", xlabel="million MACs of the subnet", ylabel="test accuracy [%]")
    left.set_xticks(macs, [f"{value:.2f}" for value in macs], rotation=60)
    left.minorticks_off()
    left.legend()
    shared, alone = cost
    targets = np.arange(1, max(TARGETS) + 1)
    right.plot(targets, np.full(len(targets), shared / 60), label="one supernet")
    right.plot(targets, targets * alone / 60, "--", label="each target alone")
    right.set(xlabel="deployment targets", ylabel="training [core-minutes]")
    right.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figures.savefig(path, dpi=110)
    pyplot.close(figures)


def report(work: Work, page: Path | None) -> None:
    """Print all figures; write the page and its picture."""
    judged = judge(work)
    cost = costs(work, judged)
    accuracies, prices = report_accuracies(judged), report_costs(*cost)
    smallest, smallest_error = report_smallest(work)
    tau, deviation = report_predictor(work)
    if page is None:
        return
    picture = page.with_suffix(".png")
    draw(judged, cost, picture)
    phases = ", ".join(f"{phase.name} {phase.length:g}" for phase in SCHEDULE.phases)
    gaps, gains, shrinking = (
        [gap(getattr(net, left), getattr(net, right))[0] for net in judged]
        for left, right in (("alone", "shared"), ("fine_tuned", "shared"), ("shared", "at_once"))
    )
    text = (
        Path(__file__)
        .with_suffix(".md")
        .read_text()
        .format(
            images=TRAINING_IMAGES,
            judged=len(work.data.labels[Split.TEST]),
            validation=len(work.data.labels[Split.VALIDATION]),
            phases=phases,
            epochs=f"{sum(phase.length for phase in SCHEDULE.phases):g}",
            accuracies="\n".join(accuracies),
            gap=f"{np.mean(gaps):+.2f} ± {np.std(gaps, ddof=1) / np.sqrt(len(gaps)):.2f}",
            smallest=f"{smallest:+.2f} ± {smallest_error:.2f}",
            seeds=SEEDS,
            shrinking=f"{np.mean(shrinking):+.2f} ± {np.std(shrinking, ddof=1) / np.sqrt(len(shrinking)):.2f}",
            smallest_gain="{:+.2f} ± {:.2f}".format(*gap(judged[0].fine_tuned, judged[0].shared)),
            gain=f"{np.mean(gains):+.2f} ± {np.std(gains, ddof=1) / np.sqrt(len(gains)):.2f}",
            fine_epochs=f"{FINE_TUNING.phases[0].length:g}",
            prices="\n".join(prices),
            subnets=PREDICTOR_SUBNETS,
            splits=PREDICTOR_SPLITS,
            tau=f"{tau:.3f} ± {deviation:.3f}",
            picture=picture.name,
        )
    )
    write_text_atomically(page, text)


def main() -> None:
    """Do the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of CIFAR-10, as parquet or image folders")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints; a stopped run goes on from it")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--nets", nargs="+", help="which subnets to train alone or fine-tune (default: all six)")
    parser.add_argument("--page", type=Path, help="Markdown file for the report; its picture lies beside it")
    arguments = parser.parse_args()
    data = with_training_images(load_images(arguments.data, CIFAR10_SMALL.image_channels), TRAINING_IMAGES)
    work = Work(arguments.out, data)
    nets = {name: net for name, net in judged_subnets(CIFAR10_SMALL).items() if name in (arguments.nets or (name,))}
    for part in arguments.parts:
        match part:
            case "supernet":
                for seed in range(SEEDS):
                    work.supernet(seed)
            case "at-once":
                for seed in range(SEEDS):
                    work.at_once(seed)
            case "alone":
                for name, subnet in nets.items():
                    work.alone(name, subnet)
            case "fine-tuning":
                for name, subnet in nets.items():
                    work.fine_tuned(name, subnet)
            case "predictor":
                sample(work)
            case _:
                report(work, arguments.page)


if __name__ == "__main__":
    main()
