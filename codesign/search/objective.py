"""The joint problem as a plain Optuna objective, for a user's own study and sampler."""

from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
from optuna.distributions import IntDistribution

from codesign.search.joint_space import JointSpace
from codesign.search.problem import Problem
from codesign.supernet.accuracy.oracle import AccuracyOracle, checked_accuracy
from cost_models.resources import RESOURCES
from hw_templates.foundation.arrays import IntArray
from hw_templates.foundation.errors import InvalidValueError, MappingError, UnsupportedLayerError

Objective = Callable[[optuna.Trial], tuple[float, float, float]]


def joint_objective(problem: Problem, oracle: AccuracyOracle) -> Objective:
    """Return an objective with the values (accuracy, latency_ms, energy_mj), for ``study.optimize``.

    It suggests the parameters of the joint space under the names the joint search uses, blocks only where the depth has
    them, and sets one constraint for each resource of the board. Trials whose accelerator is not legal, or cannot run a
    layer, are pruned; an accuracy that is no number in 0..1 is an InvalidValueError. The study's directions are
    maximize, minimize, minimize.

    Example::

        study = optuna.create_study(directions=["maximize", "minimize", "minimize"], sampler=NSGAIISampler())
        study.optimize(joint_objective(problem, oracle), n_trials=200)
    """
    joint = problem.joint

    def objective(trial: optuna.Trial) -> tuple[float, float, float]:
        row = suggest_row(joint, trial)
        try:
            estimate = problem.estimate(joint.decode(row))
        except (InvalidValueError, MappingError, UnsupportedLayerError) as error:
            raise optuna.TrialPruned(str(error)) from error
        for name in RESOURCES:
            needed = int(getattr(estimate.resources, name))
            trial.set_constraint(name, float(needed - getattr(joint.board, name)))
            trial.set_user_attr(name, needed)
        accuracy = checked_accuracy(oracle, row[None, : joint.gene_count]) - problem.loss(row[None])
        return max(float(accuracy[0]), 0.0), estimate.latency_ms, estimate.energy_mj

    return objective


def suggest_row(joint: JointSpace[Any], trial: optuna.Trial) -> IntArray:
    """Return the row [G + P] of the pair that ``trial`` suggests; its parameters are named as the joint search does.

    Raises:
        InvalidValueError: a value was fixed that is none of the parameter's choices.
    """
    row = np.zeros(len(joint.parameters), dtype=np.int64)
    for column, (name, choices) in enumerate(joint.parameters):
        # A stage's depth comes before its blocks, so whether this one is there is known by now.
        if not joint.present(row[None])[0, column]:
            continue
        distribution = joint.distributions[name]
        value = (
            trial.suggest_int(name, distribution.low, distribution.high, step=distribution.step)
            if isinstance(distribution, IntDistribution)
            else trial.suggest_categorical(name, choices)
        )
        if value not in choices:
            # Optuna gives trials what was fixed or enqueued for them, whatever it is.
            raise InvalidValueError(f"params.{name}", value, f"one of {choices}")
        row[column] = choices.index(value)
    return row
