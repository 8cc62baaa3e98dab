"""Search the joint space with a sampler of your own, and compare it with Optuna's and with ours.

    python examples/own_sampler.py
    python examples/own_sampler.py --run runs/demo --trials 200

Without a run a small supernet for digits is trained first, which takes seconds, and every subnet is measured. With the
folder of a finished run that run's predictor gives the accuracies.
"""

import argparse
import random
import tempfile
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

import codesign


class Climber(optuna.samplers.BaseSampler):
    """Change a few parameters of a random pair of the front, and draw them at random where there is no front yet."""

    def __init__(self, share: float = 0.15) -> None:
        self._share, self._parent = share, dict[str, Any]()
        self._random, self._draws = optuna.samplers.RandomSampler(seed=0), random.Random(0)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Choose the parent of the trial; each parameter is sampled by itself, as not every subnet has all of them."""
        self._parent = self._draws.choice(study.best_trials).params if study.best_trials else {}
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Sample nothing together."""
        return {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return the parent's value, or now and then a random one."""
        if param_name in self._parent and self._draws.random() > self._share:
            return self._parent[param_name]
        return self._random.sample_independent(study, trial, param_name, param_distribution)


def measured_by_a_small_supernet() -> codesign.AccuracyOracle:
    """Return the accuracies of a supernet that is trained on the spot."""
    print("training a small supernet ...", flush=True)
    folder = tempfile.mkdtemp()
    codesign.train(folder, space="digits", schedule="digits-small")
    return codesign.measured_accuracy(folder)


def main() -> None:
    """Run each sampler on the joint problem and print the fastest pairs of its front."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--run", help="folder of a finished run of the digits space")
    options.add_argument("--board", default="pynq-z2")
    options.add_argument("--trials", type=int, default=30)
    asked = options.parse_args()
    oracle = codesign.predicted_accuracy(asked.run) if asked.run else measured_by_a_small_supernet()
    problem = codesign.joint_problem("digits", asked.board)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    samplers = {
        "codesign": codesign.JointSampler(problem, seed=0),
        "own": Climber(),
        "NSGA-II": optuna.samplers.NSGAIISampler(population_size=20, seed=0),
        "TPE": optuna.samplers.TPESampler(seed=0),
    }
    for name, sampler in samplers.items():
        study = optuna.create_study(directions=["maximize", "minimize", "minimize"], sampler=sampler)
        study.optimize(codesign.joint_objective(problem, oracle), n_trials=asked.trials)
        # Optuna keeps to the board's resources: its best trials meet every constraint.
        front = sorted(study.best_trials, key=lambda trial: trial.values[1])
        print(f"{name}: {len(study.trials)} trials, {len(front)} on the front")
        for trial in front[:5]:
            accuracy, latency_ms, energy_mj = trial.values
            array = "x".join(str(trial.params[side]) for side in ("pe_rows", "pe_cols", "pe_pixels"))
            print(f"  {accuracy:7.2%}  {latency_ms:8.4f} ms  {energy_mj:8.4f} mJ  PEs {array}")


if __name__ == "__main__":
    main()
