"""The joint problem in a study of your own, with the sampler you like.

    python examples/own_sampler.py
    python examples/own_sampler.py --run runs/demo --trials 200

Without a run it trains a small supernet for digits first, which takes seconds and is enough to try things, and
measures every subnet it is asked for. With the folder of a finished run it asks that run's predictor.
"""

import argparse
import tempfile
from pathlib import Path

import optuna

from codesign.run.folder import Run
from codesign.run.requests import load_trained
from codesign.search.joint_space import JointSpace
from codesign.search.objective import joint_objective
from codesign.supernet.accuracy.measured import MeasuredAccuracy
from codesign.supernet.accuracy.oracle import AccuracyOracle
from codesign.supernet.accuracy.predictor import read_predictor
from codesign.supernet.data.data_set import load_digits
from codesign.supernet.spaces.named import DIGITS
from codesign.supernet.training.named import load_schedule
from codesign.supernet.training.shrinking import train
from codesign.templates.engine.problem import EngineProblem
from codesign.templates.engine.sampler import JointSampler
from cost_models.coefficients import load_coefficients
from hw_templates.board import load_board
from hw_templates.conv_engine.space import AcceleratorSpace


def measured_by_a_small_supernet() -> AccuracyOracle:
    """Accuracies of a supernet trained on the spot."""
    print("training a small supernet ...", flush=True)
    data = load_digits()
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = train(DIGITS, data, load_schedule("digits-small"), Path(folder) / "supernet.pt")
    return MeasuredAccuracy(checkpoint, data)


def predicted_by_a_run(folder: Path) -> AccuracyOracle:
    """Accuracies of the predictor in the folder of a finished run."""
    trained = load_trained(Run(folder))
    return read_predictor(Run(folder).predictor, trained.space, trained.checkpoint.digest)


def main() -> None:
    """Run each sampler on the joint problem and print the fastest pairs of its front."""
    options = argparse.ArgumentParser(description="The joint problem with samplers of Optuna.")
    options.add_argument("--run", type=Path, help="folder of a finished run of the digits space")
    options.add_argument("--board", default="pynq-z2")
    options.add_argument("--trials", type=int, default=30)
    asked = options.parse_args()
    oracle = predicted_by_a_run(asked.run) if asked.run else measured_by_a_small_supernet()
    joint = JointSpace(DIGITS, AcceleratorSpace(load_board(asked.board)))
    objective = joint_objective(EngineProblem(joint, load_coefficients()), oracle)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    samplers = {
        "codesign": JointSampler(EngineProblem(joint, load_coefficients()), seed=0),
        "NSGA-II": optuna.samplers.NSGAIISampler(population_size=20, seed=0),
        "TPE": optuna.samplers.TPESampler(seed=0),
    }
    for name, sampler in samplers.items():
        study = optuna.create_study(directions=["maximize", "minimize", "minimize"], sampler=sampler)
        study.optimize(objective, n_trials=asked.trials)
        # Optuna keeps to the board's resources: its best trials meet every constraint.
        front = sorted(study.best_trials, key=lambda trial: trial.values[1])
        print(f"{name}: {len(study.trials)} trials, {len(front)} on the front")
        for trial in front[:5]:
            accuracy, latency_ms, energy_mj = trial.values
            array = "x".join(str(trial.params[side]) for side in ("pe_rows", "pe_cols", "pe_pixels"))
            print(f"  {accuracy:7.2%}  {latency_ms:8.4f} ms  {energy_mj:8.4f} mJ  PEs {array}")


if __name__ == "__main__":
    main()
