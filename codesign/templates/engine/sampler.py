"""An Optuna sampler for the joint problem, for studies of a user's own.

Stock samplers see fifty parameters and a black box. This one knows that latency, energy and resources follow from a
model that prices thousands of pairs in the time of one trial, so that only accuracy has to be learned from trials:
subnets are moved by evolution, and the accelerators for them are solved in batch by the vectorised model.
"""

import threading
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState

from codesign.search.joint_space import Choice
from codesign.search.pareto import PricedPairs
from codesign.search.study import DIRECTIONS, feasible_trials, read_pairs
from codesign.templates.engine.breeding import Limits, allows
from codesign.templates.engine.problem import EngineProblem
from codesign.templates.engine.proposals import Proposer, TriedPairs
from hw_templates.foundation.arrays import IntArray
from hw_templates.foundation.errors import InfeasibleError, InvalidValueError

# After this many batches in a row without a new pair, none is left.
_ATTEMPTS = 4
_CLAIM = "codesign:pair"
_ENQUEUED = "fixed_params"


class TrialReader:
    """Reads trials as pairs, and claims pairs for trials.

    A trial has its parameters one after the other, once its objective asks for them. So that others know at once which
    pair it will try, the pair is written to its system attributes first.
    """

    def __init__(self, problem: EngineProblem) -> None:
        self._problem = problem
        self._joint = problem.joint
        self._known: dict[frozenset[tuple[str, Choice]], IntArray | None] = {}

    def tried(self, study: optuna.Study, trial: FrozenTrial) -> TriedPairs:
        """Return the pairs that all trials but ``trial`` have tried, failed ones too: they would fail again."""
        others = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
        pairs = [(other, row) for other in others if (row := self._pair(other)) is not None]
        rows, running = [row for _, row in pairs], [row for other, row in pairs if not other.state.is_finished()]
        gene_count = self._joint.gene_count
        return TriedPairs(
            rows=frozenset(row.tobytes() for row in rows),
            subnets=frozenset(row[:gene_count].tobytes() for row in rows),
            running=np.array(running, dtype=np.int64).reshape(-1, len(self._joint.sizes)),
        )

    def found(self, study: optuna.Study, on_skipped: Callable[[str], None]) -> PricedPairs:
        """The pairs of complete trials that fit the board; ``on_skipped`` hears of trials that cannot be pairs."""
        pairs = read_pairs(self._joint, feasible_trials(study), on_skipped, with_own_parameters=True)
        return pairs.take(self._problem.fits(pairs.rows))

    def enqueued(self, trial: FrozenTrial) -> dict[str, Choice]:
        """Parameters that were given to ``trial`` when it was enqueued, and that the joint space has."""
        given = {**trial.system_attrs.get(_ENQUEUED, {}), **trial.params}
        return {name: given[name] for name, choices in self._joint.parameters if given.get(name) in choices}

    def claim(self, study: optuna.Study, trial: FrozenTrial, row: IntArray) -> bool:
        """Claim a pair for ``trial``; whether no other trial has it.

        Of two that claim the same pair at once the later one sees the other's claim; both may.
        """
        study._storage.set_trial_system_attr(trial._trial_id, _CLAIM, row.tolist())
        return row.tobytes() not in self.tried(study, trial).rows

    def claimed(self, trial: FrozenTrial) -> IntArray | None:
        """The row of the pair that was claimed for ``trial``, if any."""
        row = trial.system_attrs.get(_CLAIM)
        if not isinstance(row, list) or len(row) != len(self._joint.sizes):
            return None
        sound = all(
            type(index) is int and 0 <= index < size for index, size in zip(row, self._joint.sizes, strict=True)
        )
        return np.array(row, dtype=np.int64) if sound else None

    def _pair(self, trial: FrozenTrial) -> IntArray | None:
        """Return the pair of ``trial``, by its parameters or else by its claim; None where neither names a pair."""
        params = trial.params
        if trial.state == TrialState.WAITING:
            params = trial.system_attrs.get(_ENQUEUED, {})
        whole = self._encode(params)
        return self.claimed(trial) if whole is None else whole

    def _encode(self, params: dict[str, Choice]) -> IntArray | None:
        ours = {name: params[name] for name in self._joint.distributions.keys() & params.keys()}
        key = frozenset(ours.items())
        if key not in self._known:
            try:
                self._known[key] = self._joint.encode_params(ours)
            except InvalidValueError:
                self._known[key] = None
        return self._known[key]


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
        # Whether this sampler was asked for the last independent value of this thread.
        self._asked = threading.local()
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
    ) -> dict[str, Choice]:
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
    ) -> dict[str, Choice]:
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
                    proposer.queue = proposer.propose(found, tried, self._seed, self._batches)
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
