"""An Optuna sampler for the joint problem, for studies of a user's own.

Stock samplers see fifty parameters and a black box. This one knows that latency, energy and resources follow from a
model that prices thousands of pairs in the time of one trial, so that only accuracy has to be learned from trials:
subnets are moved by evolution, and the accelerators for them are solved in batch by the vectorised model.
"""

import threading
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial

from codesign.search.joint_space import Choice
from codesign.search.study import DIRECTIONS
from codesign.templates.engine.limits import Limits, allows
from codesign.templates.engine.problem import EngineProblem
from codesign.templates.engine.proposals import Draw, Proposer
from codesign.templates.engine.tried import TrialReader
from hw_templates.foundation.arrays import IntArray
from hw_templates.foundation.errors import InfeasibleError, InvalidValueError

# After this many batches in a row without a new pair, none is left.
_ATTEMPTS = 4


class _Asked(threading.local):
    """Whether this sampler was asked for the last independent value of this thread."""

    here = False


class JointSampler(BaseSampler):
    """Suggests pairs of subnet and accelerator to a study with :func:`~codesign.search.problem.joint_objective`.

    The first trials are the smallest, the largest and random subnets, each on the accelerator that the model finds the
    best compromise for it. Then, every few trials: accuracies of other subnets are predicted from the trials so far,
    rounds of batched evolution search the joint space with them and the cost model, and the next trials are the pairs
    that add most to the hypervolume of the study's front (a greedy choice, as in Ponweiser et al. 2008, "SMS-EGO").

    Any number of threads and processes may share a study: no pair is tried twice while there are others, and trials
    that are running count as if they had come to what is predicted of them. Parameters that are fixed, by
    ``PartialFixedSampler`` or where a trial was enqueued, stay as they are, and the others are chosen for them.

    Example::

        study = optuna.create_study(directions=["maximize", "minimize", "minimize"],
                                    sampler=JointSampler(problem, seed=0))
        study.optimize(joint_objective(problem, oracle), n_trials=200)

    Args:
        problem: the pairs, and the prices by which accelerators are solved.
        seed: with one process and one thread, equal seeds make equal studies; None draws one.

    Raises:
        InvalidValueError: the seed is negative; on use, in a study of other directions, or where a parameter is fixed
            to none of its choices.
        InfeasibleError: on use where no accelerator fits the board.
    """

    def __init__(self, problem: EngineProblem, seed: int | None = None) -> None:
        if seed is not None and seed < 0:
            raise InvalidValueError("sampler.seed", seed, "0 or more, or None")
        self._joint = problem.joint
        self._pricer = problem.pricer()
        self._trials = TrialReader(problem)
        self._seed = _new_seed() if seed is None else seed
        self._independent = RandomSampler(seed=seed)
        self._lock = threading.Lock()
        self._asked = _Asked()
        self._proposers: dict[Limits, Proposer] = {}
        self._batches = 0
        self._skipped: set[str] = set()

    def infer_relative_search_space(
        self,
        study: optuna.Study,
        trial: FrozenTrial,  # noqa: ARG002
    ) -> dict[str, BaseDistribution]:
        """Every parameter of the joint space; a trial takes those of the blocks that its subnet has."""
        if study.directions != DIRECTIONS:
            directions = [direction.name.lower() for direction in study.directions]
            raise InvalidValueError("study.directions", directions, "['maximize', 'minimize', 'minimize']")
        return dict(self._joint.distributions)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Parameters of the next pair, those of ``search_space``; the pair has the values fixed for the others."""
        fixed, given = self._fixed(study, trial, search_space), self._trials.enqueued(trial)
        try:
            row = self._claim(study, trial, Limits.of(self._joint, search_space, {**fixed, **given}))
        except InfeasibleError:
            if not given:
                raise
            # What somebody enqueued is tried all the same; its objective says what is wrong with it.
            row = self._claim(study, trial, Limits.of(self._joint, search_space, fixed))
        return {name: value for name, value in self._params(row).items() if name in search_space}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """The value of the pair that was chosen for the trial; a random one for parameters that the pair has not."""
        self._asked.here = True
        row = self._trials.claimed(trial)
        chosen = {} if row is None else self._params(row)
        if param_name in chosen and allows(param_distribution, chosen[param_name]):
            return chosen[param_name]
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    def reseed_rng(self) -> None:
        """Go on with other draws than before, as Optuna asks of samplers that are copied to other processes."""
        self._seed = _new_seed()
        self._independent.reseed_rng()

    def _params(self, row: IntArray) -> dict[str, Choice]:
        return self._joint.params(row[None])[0]

    def _fixed(
        self, study: optuna.Study, trial: FrozenTrial, search_space: Mapping[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The values that the study's sampler, which this one is a part of, has for what it left out.

        Optuna asks the study's sampler for such values one by one, once this one has chosen the others. Those for which
        that asks this one in turn are free.
        """
        fixed = {}
        for name, distribution in self._joint.distributions.items():
            if name not in search_space:
                self._asked.here = False
                value = study.sampler.sample_independent(study, trial, name, distribution)
                if not self._asked.here:
                    fixed[name] = value
        return fixed

    def _claim(self, study: optuna.Study, trial: FrozenTrial, limits: Limits) -> IntArray:
        """A pair within the limits that no other trial has or is given at this moment; any, where all were tried."""
        with self._lock:
            proposer = self._proposers.setdefault(limits, Proposer(self._pricer, limits))
            for _ in range(_ATTEMPTS):
                if not proposer.queue:
                    tried, found = self._trials.tried(study, trial), self._trials.found(study, self._warn_once)
                    proposer.propose(found, tried, Draw(self._seed, self._batches))
                    self._batches += 1
                while proposer.queue:
                    row = proposer.queue.pop(0)
                    if self._trials.claim(study, trial, row):
                        return row
            return row

    def _warn_once(self, skipped: str) -> None:
        if skipped not in self._skipped:
            self._skipped.add(skipped)
            warnings.warn(f"{skipped}; JointSampler leaves it out", stacklevel=2)


def _new_seed() -> int:
    return int(np.random.default_rng().integers(2**31))
