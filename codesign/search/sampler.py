"""An Optuna sampler for the joint problem, for studies of a user's own.

Stock samplers see fifty parameters and a black box. This one knows that latency, energy and resources follow from a
model that prices thousands of pairs in the time of one trial, so that only accuracy has to be learned from trials:
subnets are moved by evolution, and the accelerators for them are solved in batch by the vectorised model.
"""

import threading
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial

from codesign.search.breeding import RoundPlan, draw_fitting
from codesign.search.evolution import RoundKey, no_pairs, run_round
from codesign.search.joint_space import IntArray, JointSpace
from codesign.search.pareto import ACCURACY, FloatArray, PricedPairs, ReferencePoint, concatenate
from codesign.search.pricing import PairPricer
from codesign.search.study import DIRECTIONS, is_feasible, read_pairs
from codesign.search.winner import spread
from codesign.supernet.predictor import LEAST_SUBNETS, Predictor, fit_predictor
from codesign.supernet.space import Genes
from cost_models.coefficients import Coefficients
from hw_templates.errors import InvalidValueError

_BATCH = 4
_ROUNDS = 12
_FIRST_ACCELERATORS = 64
# What a fit costs grows with the cube of the sample; later trials lie nearer to the front.
_MOST_SUBNETS = 400
_MOST_CANDIDATES = 96
_PLAN = RoundPlan(subnets=48, accelerators=12, new_accelerators=32, new_period=4, first_accelerators=96, screened=1)


class _LearnedAccuracy:
    """What trials say of accuracy: the mean of a subnet's own trials, and for others a fitted predictor."""

    def __init__(self, predictor: Predictor, genes: Genes, accuracy: FloatArray) -> None:
        self._predictor = predictor
        self._known = {row.tobytes(): value for row, value in zip(genes, accuracy, strict=True)}

    def accuracy(self, genes: Genes) -> FloatArray:
        """See :class:`~codesign.supernet.oracle.AccuracyOracle`."""
        predicted = self._predictor.accuracy(genes)
        for index, row in enumerate(self._predictor.space.canonical(genes)):
            predicted[index] = self._known.get(row.tobytes(), predicted[index])
        return predicted


class JointSampler(BaseSampler):
    """Suggests pairs of subnet and accelerator to a study with :func:`~codesign.search.objective.joint_objective`.

    The first trials are the smallest, the largest and random subnets, each on the accelerator that the model finds the
    best compromise for it. Then, every few trials: accuracies of other subnets are predicted from the trials so far,
    rounds of batched evolution search the joint space with them and the cost model, and the next trials are the pairs
    that add most to the hypervolume of the study's front (a greedy choice, as in Ponweiser et al. 2008, "SMS-EGO").

    Example::

        study = optuna.create_study(directions=["maximize", "minimize", "minimize"],
                                    sampler=JointSampler(joint, coefficients, seed=0))
        study.optimize(joint_objective(joint, coefficients, oracle), n_trials=200)

    Args:
        joint: the joint space.
        coefficients: of the cost model that solves the accelerators.
        seed: with one process and one thread, equal seeds make equal studies.

    Raises:
        InvalidValueError: on use in a study of other directions.
        InfeasibleError: on use where no accelerator fits the board.
    """

    def __init__(self, joint: JointSpace, coefficients: Coefficients, seed: int = 0) -> None:
        self._joint = joint
        self._pricer = PairPricer(joint, coefficients)
        self._seed = seed
        self._independent = RandomSampler(seed=seed)
        self._lock = threading.Lock()
        self._queue: list[IntArray] = []
        self._pool = no_pairs(self._pricer)
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
        self,
        study: optuna.Study,
        trial: FrozenTrial,  # noqa: ARG002
        search_space: dict[str, BaseDistribution],  # noqa: ARG002
    ) -> dict[str, Any]:
        """Parameters of the next pair."""
        with self._lock:
            if not self._queue:
                self._queue = self._propose(self._found(study))
                self._batches += 1
            row = self._queue.pop(0)
        return self._joint.params(row[None])[0]

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A random value, for parameters that are not of the joint space."""
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    def reseed_rng(self) -> None:
        """Go on with other draws than before, as Optuna asks of samplers that are copied to other processes."""
        self._seed = int(np.random.default_rng().integers(2**31))
        self._independent.reseed_rng()

    def _found(self, study: optuna.Study) -> PricedPairs:
        """The pairs of the study so far that fit the board; what cannot be one is left out and said once."""
        trials = [trial for trial in study.get_trials(deepcopy=False) if is_feasible(trial)]
        pairs = read_pairs(self._joint, trials, self._warn_once, with_own_parameters=True)
        return pairs.take(self._joint.fits(pairs.rows))

    def _warn_once(self, skipped: str) -> None:
        if skipped not in self._skipped:
            self._skipped.add(skipped)
            warnings.warn(f"{skipped}; JointSampler leaves it out", stacklevel=2)

    def _propose(self, found: PricedPairs) -> list[IntArray]:
        """Rows of the next pairs, given what trials ``found``; never empty."""
        gene_count = self._joint.gene_count
        genes, places = np.unique(found.rows[:, :gene_count], axis=0, return_inverse=True)
        rng = np.random.default_rng([self._seed, self._batches])
        if len(genes) < LEAST_SUBNETS:
            return self._first_pairs(rng, LEAST_SUBNETS - len(genes), len(found) == 0)
        accuracy = np.bincount(places.ravel(), found.accuracy) / np.bincount(places.ravel())
        last = np.zeros(len(genes), dtype=np.int64)
        np.maximum.at(last, places.ravel(), np.arange(len(found)))
        kept = np.sort(np.argsort(-last)[:_MOST_SUBNETS])
        predictor = fit_predictor(self._joint.space, "", genes[kept], accuracy[kept])
        learned = _LearnedAccuracy(predictor, genes, accuracy)
        self._pool = self._evolve(found, learned)
        tried = {row.tobytes() for row in found.rows}
        fresh = np.array([row.tobytes() not in tried for row in self._pool.rows], dtype=bool)
        chosen = list(_most_gain(found.front(), self._pool.take(fresh)))
        if not chosen:
            return self._first_pairs(rng, _BATCH, False)
        return [self._pool.take(fresh).rows[index] for index in chosen]

    def _first_pairs(self, rng: np.random.Generator, count: int, with_ends: bool) -> list[IntArray]:
        """Random subnets (the smallest and the largest among them), each on the best compromise of an accelerator."""
        space = self._joint.space
        genes = space.sample_genes(rng, count)
        if with_ends and count > 1:
            genes[:2] = space.encode(space.smallest()), space.encode(space.largest())
        accelerators = draw_fitting(self._pricer, rng, _FIRST_ACCELERATORS)
        latency_ms, energy_mj = self._pricer.price(genes, accelerators)
        best = (np.log(latency_ms) + np.log(energy_mj)).argmin(axis=1)
        return [np.concatenate([row, accelerators[index]]) for row, index in zip(genes, best, strict=True)]

    def _evolve(self, found: PricedPairs, learned: _LearnedAccuracy) -> PricedPairs:
        """The front predicted after some rounds of evolution from the pairs found and those of earlier batches."""
        values = self._pool.values.copy()
        if len(values):
            values[:, ACCURACY] = learned.accuracy(self._pool.rows[:, : self._joint.gene_count])
        archive = concatenate([found, replace(self._pool, values=values)]).front()
        for number in range(_ROUNDS):
            key = RoundKey(self._seed, 0, self._batches * _ROUNDS + number)
            archive = run_round(self._pricer, learned, archive, key, _PLAN).archive
        return archive


def _most_gain(front: PricedPairs, candidates: PricedPairs) -> Iterator[int]:
    """Indices of at most ``_BATCH`` candidates, each adding most hypervolume to ``front`` and those before it."""
    if not len(candidates):
        return
    kept = spread(candidates.values, _MOST_CANDIDATES)
    both = np.concatenate([front.values, candidates.values])
    worst = ReferencePoint(
        float(max(both[:, 0].min() - 1e-3, 0)), 1.05 * float(both[:, 1].max()), 1.05 * float(both[:, 2].max())
    )
    reached = front.values
    for _ in range(min(_BATCH, len(kept))):
        volume = worst.hypervolume(reached)
        gains = [worst.hypervolume(np.vstack([reached, candidates.values[index]])) - volume for index in kept]
        best = int(np.argmax(gains))
        if gains[best] <= 0:
            return
        yield int(kept[best])
        reached = np.vstack([reached, candidates.values[kept[best]]])
