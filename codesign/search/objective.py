"""The joint problem as a plain Optuna objective, for a user's own study and sampler."""

from collections.abc import Callable

import numpy as np
import optuna
from optuna.distributions import IntDistribution

from codesign.search.joint_space import JointSpace
from codesign.supernet.accuracy.oracle import AccuracyOracle, checked_accuracy
from codesign.supernet.lowering.workloads import lower
from cost_models.closed_form.estimate import price
from cost_models.coefficients import Coefficients
from cost_models.resources import RESOURCES, estimate_resources, excess
from hw_templates.foundation.arrays import IntArray
from hw_templates.foundation.errors import InvalidValueError, MappingError

Objective = Callable[[optuna.Trial], tuple[float, float, float]]


def joint_objective(joint: JointSpace, coefficients: Coefficients, oracle: AccuracyOracle) -> Objective:
    """An objective that returns (accuracy, latency_ms, energy_mj), for ``study.optimize``.

    It suggests the parameters of ``joint`` under the names the joint search uses, blocks only where the depth has
    them, and sets one constraint for each resource of the board. Trials whose accelerator is not legal, or cannot
    map a layer, are pruned; an accuracy that is no number in 0..1 is an InvalidValueError. The study's directions are
    maximize, minimize, minimize.

    Example::

        study = optuna.create_study(directions=["maximize", "minimize", "minimize"], sampler=NSGAIISampler())
        study.optimize(joint_objective(joint, coefficients, oracle), n_trials=200)
    """
    board = joint.accelerators.board

    def objective(trial: optuna.Trial) -> tuple[float, float, float]:
        row = suggest_row(joint, trial)
        try:
            pair = joint.decode(row)
            estimate = price(lower(joint.space, pair.subnet), pair.accelerator, board, coefficients)
        except (InvalidValueError, MappingError) as error:
            raise optuna.TrialPruned(str(error)) from error
        needs = estimate_resources(pair.accelerator, board)
        for name, over in excess(needs, board).items():
            trial.set_constraint(name, float(over))
        for name in RESOURCES:
            trial.set_user_attr(name, int(getattr(needs, name)))
        accuracy = float(checked_accuracy(oracle, row[None, : joint.gene_count])[0])
        return accuracy, estimate.latency_ms, estimate.energy_mj

    return objective


def suggest_row(joint: JointSpace, trial: optuna.Trial) -> IntArray:
    """[parameters] the row of the pair that ``trial`` suggests, its parameters named as the joint search names them.

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
