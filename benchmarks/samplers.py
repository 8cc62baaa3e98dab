"""How many trials samplers need on a joint space small enough to know its exact Pareto front.

Every pair of a narrowed digits space and a narrowed accelerator space of a PYNQ-Z2 (more than 10^6) is priced, which
gives the true front. Then Optuna studies with the plain objective run with stock samplers and with ours, and the share
of the true hypervolume that their feasible trials reach is printed against the number of trials. Accuracies are
predicted by a predictor fitted on measured digits subnets, latency and energy are modelled.

    python benchmarks/samplers.py --run runs/demo --picture docs/samplers.png
"""

import argparse
import dataclasses
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, NSGAIIISampler, NSGAIISampler, RandomSampler, TPESampler

from codesign.run.folder import Run
from codesign.run.requests import load_trained
from codesign.search.joint_space import JointSpace
from codesign.search.pareto import ReferencePoint, concatenate, no_pairs
from codesign.search.problem import Objective, joint_objective
from codesign.search.study import DIRECTIONS, is_feasible
from codesign.supernet.accuracy.oracle import AccuracyOracle
from codesign.supernet.accuracy.predictor import read_predictor
from codesign.supernet.spaces.mobile import MobileSpace
from codesign.supernet.spaces.named import load_space
from codesign.supernet.spaces.space import Genes
from codesign.templates.engine.evolution import price_pairs
from codesign.templates.engine.pricing import PairPricer
from codesign.templates.engine.problem import EngineProblem
from codesign.templates.engine.sampler import JointSampler
from cost_models.coefficients import load_coefficients
from cost_models.resources import RESOURCES
from hw_templates.board import load_board
from hw_templates.conv_engine.accelerator import is_legal
from hw_templates.conv_engine.space import AcceleratorSpace
from hw_templates.foundation.arrays import FloatArray

DIGITS = cast(MobileSpace, load_space("digits"))
SHARES = (0.9, 0.95, 0.99)
LABELS = {"ours": "JointSampler", "nsga2": "NSGA-II", "nsga3": "NSGA-III", "tpe": "TPE", "random": "random"}
CHECKPOINTS = (50, 100, 200, 300, 500, 1000)


def figure(name: str, value: float, unit: str) -> None:
    """Print one figure."""
    print(f"figure {name} {value:.5g} {unit}", flush=True)


def narrowed_digits() -> MobileSpace:
    """1,080 subnets of the digits space, as a space of their own."""
    first, second, third = DIGITS.stages
    return dataclasses.replace(
        DIGITS,
        name="digits-narrowed",
        stages=(
            dataclasses.replace(first, depths=(1,), kernels=(3,)),
            dataclasses.replace(second, depths=(1, 2), kernels=(3, 5), expands=(2, 4)),
            dataclasses.replace(third, depths=(1, 2), kernels=(3,), expands=(2, 4)),
        ),
    )


class WiderSpaceAccuracy:
    """Accuracies of a narrowed space, of the oracle of the space it was cut from."""

    def __init__(self, narrow: MobileSpace, oracle: AccuracyOracle) -> None:
        self._narrow, self._oracle = narrow, oracle
        self._known: dict[bytes, float] = {}

    def accuracy(self, genes: Genes) -> FloatArray:
        """See the protocol."""
        keys = [row.tobytes() for row in genes]
        new = [index for index, key in enumerate(keys) if key not in self._known]
        if new:
            wide = np.stack([DIGITS.encode(self._narrow.decode(genes[index])) for index in new])
            self._known.update(zip([keys[index] for index in new], self._oracle.accuracy(wide).tolist(), strict=True))
        return np.array([self._known[key] for key in keys])


def every_subnet(space: MobileSpace) -> Genes:
    """All different genotypes of the space."""
    grids = np.meshgrid(*[np.arange(len(choices)) for _, choices in space.genes], indexing="ij")
    rows = np.stack([grid.ravel() for grid in grids], axis=1)
    return np.unique(space.canonical(rows), axis=0)


class PricedSpace:
    """Every pair of a joint space whose accelerator is legal and fits, with what it reaches.

    Attributes:
        front: the exact front.
        pairs: how many pairs there are.
    """

    def __init__(self, joint: JointSpace, oracle: AccuracyOracle) -> None:
        pricer = PairPricer(joint, load_coefficients())
        space = joint.accelerators
        grids = np.meshgrid(*[np.arange(len(choices)) for _, choices in space.genes], indexing="ij")
        rows = np.stack([grid.ravel() for grid in grids], axis=1)
        rows = rows[is_legal(space.decode(rows))]
        rows = rows[(pricer.excess(space.decode(rows)) <= 0).all(axis=1)]
        genes = every_subnet(joint.space)
        print(f"{len(genes)} subnets x {len(rows)} accelerators that are legal and fit", flush=True)
        self.front = no_pairs(pricer.joint)
        self._values: dict[bytes, tuple[float, float, float]] = {}
        for start in range(0, len(rows), 100):
            priced = price_pairs(pricer, oracle, genes, rows[start : start + 100])
            self._values |= dict(zip(map(bytes, priced.rows), map(tuple, priced.values.tolist()), strict=True))
            self.front = concatenate([self.front, priced]).front()
        self.pairs = pricer.pairs

    def objective(self, joint: JointSpace, oracle: AccuracyOracle) -> Objective:
        """:func:`joint_objective`, with prices looked up where the pair is one of these."""
        plain = joint_objective(EngineProblem(joint, load_coefficients()), oracle)

        def objective(trial: optuna.Trial) -> tuple[float, float, float]:
            known = self._values.get(bytes(joint.suggest(trial)))
            if known is None:
                return plain(trial)
            for name in RESOURCES:
                trial.set_constraint(name, 0.0)
            return known

        return objective


def shares_by_trial(study: optuna.Study, reference: ReferencePoint, best: float) -> FloatArray:
    """[trials] share of the true hypervolume after each trial."""
    shares = np.zeros(len(study.trials))
    front = np.zeros((0, 3))
    share = 0.0
    for index, trial in enumerate(study.get_trials(deepcopy=False)):
        if is_feasible(trial):
            values = np.vstack([front, trial.values])
            volume = reference.hypervolume(values) / best
            if volume > share:
                front, share = values, volume
        shares[index] = share
    return shares


def draw(curves: dict[str, FloatArray], path: Path) -> None:
    """Median and quartiles of each sampler's share over the seeds."""
    from matplotlib import pyplot

    figure_, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for name, shares in curves.items():
        trials = 1 + np.arange(shares.shape[1])
        low, middle, high = 100 * np.quantile(shares, (0.25, 0.5, 0.75), axis=0)
        axes.plot(trials, middle, label=LABELS[name])
        axes.fill_between(trials, low, high, alpha=0.2)
    axes.axhline(99, color="grey", linewidth=0.8, linestyle="--")
    axes.set(xlabel="trials", ylabel="share of the true hypervolume / %", xscale="log", ylim=(0, 101))
    axes.legend()
    figure_.savefig(path, dpi=150)


def main() -> None:
    """Print every figure."""
    options = argparse.ArgumentParser(description="Samplers against the exact front.")
    options.add_argument("--run", type=Path, required=True, help="folder of a finished run of the digits space")
    options.add_argument("--seeds", type=int, default=10)
    options.add_argument("--trials", type=int, default=300)
    options.add_argument("--picture", type=Path, help="PNG of share against trials")
    asked = options.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", ExperimentalWarning)
    trained = load_trained(Run(asked.run))
    predictor = read_predictor(Run(asked.run).predictor, trained.space, trained.checkpoint.digest)
    space = narrowed_digits()
    oracle = WiderSpaceAccuracy(space, predictor)
    accelerators = AcceleratorSpace(load_board("pynq-z2")).narrow(
        pe_rows=(8, 16), pe_cols=(4, 8, 16), pe_pixels=(1, 2, 4, 8), ifmap_kib=(8, 16, 32), weight_kib=(8, 16, 32),
        ofmap_kib=(8, 32), axi_bits=(64,), clock_mhz=(75, 100, 150), map_kib=(0, 8),
        ifmap_buffers=(2,), weight_buffers=(2,), ofmap_buffers=(2,),
    )  # fmt: skip
    joint = JointSpace(space, accelerators)
    priced = PricedSpace(joint, oracle)
    front = priced.front
    figure("exact_pairs", priced.pairs, "1")
    figure("exact_front", len(front), "1")
    reference = ReferencePoint(
        float(front.accuracy.min()) - 1e-3, 1.05 * float(front.latency_ms.max()), 1.05 * float(front.energy_mj.max())
    )
    best = reference.hypervolume(front.values)
    coefficients = load_coefficients()
    samplers: dict[str, Callable[[int], BaseSampler]] = {
        "ours": lambda seed: JointSampler(EngineProblem(joint, coefficients), seed),
        "nsga2": lambda seed: NSGAIISampler(seed=seed),
        "nsga3": lambda seed: NSGAIIISampler(seed=seed),
        "tpe": lambda seed: TPESampler(seed=seed),
        "random": lambda seed: RandomSampler(seed=seed),
    }
    curves: dict[str, FloatArray] = {}
    for name, make in samplers.items():
        rows = []
        start = time.perf_counter()
        for seed in range(asked.seeds):
            study = optuna.create_study(directions=DIRECTIONS, sampler=make(seed))
            study.optimize(priced.objective(joint, oracle), n_trials=asked.trials)
            rows.append(shares_by_trial(study, reference, best))
        curves[name] = np.stack(rows)
        figure(f"{name}_trials_per_second", asked.trials * asked.seeds / (time.perf_counter() - start), "1/s")
        for trials in (count for count in CHECKPOINTS if count <= asked.trials):
            shares = 100 * curves[name][:, trials - 1]
            figure(f"{name}_share_after_{trials}_mean", shares.mean(), "%")
            figure(f"{name}_share_after_{trials}_std", shares.std(), "%")
        for share in SHARES:
            reached = curves[name] >= share
            needed = np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, np.inf)
            figure(f"{name}_trials_to_{share:.0%}".replace("%", "_percent") + "_median", float(np.median(needed)), "1")
    if asked.picture:
        draw(curves, asked.picture)


if __name__ == "__main__":
    main()
