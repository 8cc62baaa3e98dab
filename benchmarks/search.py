"""The joint search beside random and sequential search, at equal budget, over several seeds.

Every method prices the same number of pairs with the same cost model, predictor, board and random operators; their
hypervolumes have one reference point. Accuracies are predicted, latency and energy modelled; nothing is measured.
Also how fast the joint search is with its study in a journal file.

    python benchmarks/search.py
    python benchmarks/search.py --run runs/demo --pairs 200000 --seeds 5

Without a run it trains the ``digits`` supernet and fits a predictor first.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import optuna

from codesign.run.folder import Run
from codesign.run.requests import load_trained
from codesign.search.joint_search import joint_search
from codesign.search.joint_space import JointSpace
from codesign.search.pareto import PricedPairs, ReferencePoint, no_pairs
from codesign.search.problem import RoundKey, SearchSettings
from codesign.search.study import SearchTask, StudyLocation
from codesign.supernet.accuracy.measured import MeasuredAccuracy
from codesign.supernet.accuracy.oracle import AccuracyOracle, checked_accuracy
from codesign.supernet.accuracy.predictor import Predictor, fit_predictor, measure_sample, read_predictor
from codesign.supernet.data.data_set import load_digits
from codesign.supernet.spaces.named import load_space
from codesign.supernet.training.schedule import load_schedule
from codesign.supernet.training.shrinking import train
from codesign.templates.engine.breeding import RoundPlan
from codesign.templates.engine.evolution import (
    EngineEvolution,
    price_pairs,
    random_front,
    reference_accelerator,
    sequential_front,
)
from codesign.templates.engine.pricing import PairPricer
from codesign.templates.engine.problem import EngineProblem
from cost_models.coefficients import load_coefficients
from hw_templates.board import load_board
from hw_templates.conv_engine.accelerator import AcceleratorColumns
from hw_templates.conv_engine.space import AcceleratorSpace

DIGITS = load_space("digits")
REFERENCE_SUBNETS = 256


def evolve(
    pricer: PairPricer, oracle: AccuracyOracle, pairs: int, seed: int, plan: RoundPlan | None = None
) -> PricedPairs:
    """The front that the joint search finds in memory, with no study, after at least ``pairs`` priced pairs.

    Raises:
        InfeasibleError: no accelerator fits the board.
    """
    evolution = EngineEvolution(pricer, oracle, plan or RoundPlan.of_budget(pairs))
    archive, end, number = no_pairs(pricer.joint), pricer.pairs + pairs, 0
    while pricer.pairs < end:
        archive = evolution.run_round(archive, RoundKey(seed, 0, number)).archive
        number += 1
    return archive


METHODS = {"joint": evolve, "random": random_front, "sequential": sequential_front}
PREDICTOR_SUBNETS = 300


def reference_point(pricer: PairPricer, oracle: AccuracyOracle) -> ReferencePoint:
    """The point that all methods' hypervolumes on one board and space refer to.

    Latency and energy are those of the largest subnet on the reference accelerator; accuracy is the least of
    ``REFERENCE_SUBNETS`` random subnets. It depends on no search.
    """
    space = pricer.joint.accelerators
    fixed = space.encode(AcceleratorColumns.of([reference_accelerator(space)]))
    subnets = pricer.joint.space
    _, latency_ms, energy_mj = price_pairs(pricer, oracle, subnets.encode(subnets.largest())[None], fixed).values[0]
    sample = subnets.sample_genes(np.random.default_rng(0), REFERENCE_SUBNETS)
    return ReferencePoint(float(checked_accuracy(oracle, sample).min()), float(latency_ms), float(energy_mj))


def figure(name: str, value: float, unit: str) -> None:
    """Print one figure."""
    print(f"figure {name} {value:.5g} {unit}", flush=True)


def fitted_for_the_occasion() -> Predictor:
    """A predictor of a supernet trained now."""
    data = load_digits()
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = train(DIGITS, data, load_schedule("digits"), Path(folder) / "supernet.pt")
    genes, accuracy = measure_sample(DIGITS, MeasuredAccuracy(checkpoint, data), PREDICTOR_SUBNETS)
    return fit_predictor(DIGITS, checkpoint.digest, genes, accuracy)


def predictor_of(folder: Path) -> Predictor:
    """The predictor of a finished run."""
    trained = load_trained(Run(folder))
    return read_predictor(Run(folder).predictor, trained.space, trained.checkpoint.digest)


def compare(joint: JointSpace, predictor: Predictor, pairs: int, seeds: int) -> None:
    """Hypervolumes of all methods."""
    coefficients = load_coefficients()
    reference = reference_point(PairPricer(joint, coefficients), predictor)
    figure("reference_accuracy", 100 * reference.accuracy, "%")
    figure("reference_latency", reference.latency_ms, "ms")
    figure("reference_energy", reference.energy_mj, "mJ")
    volumes: dict[str, list[float]] = {name: [] for name in METHODS}
    for seed in range(seeds):
        for name, method in METHODS.items():
            # A pricer of its own: no method profits from accelerators that another has priced.
            pricer = PairPricer(joint, coefficients)
            start = time.perf_counter()
            front = method(pricer, predictor, pairs, seed)
            seconds = time.perf_counter() - start
            volumes[name].append(reference.hypervolume(front.values))
            print(
                f"seed {seed} {name}: hypervolume {volumes[name][-1]:.5f}, front {len(front)}, {pricer.pairs} pairs, "
                f"{pricer.candidates} candidates, {seconds:.1f} s",
                flush=True,
            )
    for name, found in volumes.items():
        figure(f"hypervolume_{name}_mean", statistics.mean(found), "1")
        figure(f"hypervolume_{name}_std", statistics.stdev(found), "1")
    for name in ("random", "sequential"):
        ratios = [ours / theirs for ours, theirs in zip(volumes["joint"], volumes[name], strict=True)]
        figure(f"hypervolume_joint_over_{name}_mean", statistics.mean(ratios), "1")
        figure(f"hypervolume_joint_over_{name}_least", min(ratios), "1")


def time_study(joint: JointSpace, predictor: Predictor, pairs: int, workers: int) -> None:
    """Speed of the whole search, storage included."""
    with tempfile.TemporaryDirectory() as folder:
        location = StudyLocation(str(Path(folder) / "study.journal"), "search")
        settings = SearchSettings(pairs=pairs, workers=workers)
        task = SearchTask(
            location=location,
            problem=EngineProblem(joint, load_coefficients()),
            oracle=predictor,
            accuracy_name=predictor.checkpoint,
            settings=settings,
        )
        start = time.perf_counter()
        result = joint_search(task)
        seconds = time.perf_counter() - start
        trials = len(task.open_study().trials)
    suffix = "" if workers == 1 else f"_{workers}_workers"
    figure(f"joint_search_time{suffix}", seconds, "s")
    figure(f"joint_pairs_per_second{suffix}", result.progress.pairs / seconds, "1/s")
    figure(f"joint_study_trials{suffix}", trials, "1")


def main() -> None:
    """Print every figure."""
    options = argparse.ArgumentParser(description="Hypervolume and speed of the joint search.")
    options.add_argument("--run", type=Path, help="folder of a finished run of the digits space")
    options.add_argument("--board", default="pynq-z2")
    options.add_argument("--pairs", type=int, default=200_000)
    options.add_argument("--seeds", type=int, default=5)
    asked = options.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    joint = JointSpace(DIGITS, AcceleratorSpace(load_board(asked.board)))
    predictor = predictor_of(asked.run) if asked.run else fitted_for_the_occasion()
    for workers in (1, 2):
        time_study(joint, predictor, asked.pairs, workers)
    compare(joint, predictor, asked.pairs, asked.seeds)


if __name__ == "__main__":
    main()
