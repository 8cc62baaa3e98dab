"""A search problem: the pairs of a joint space, their prices, which fit the board, and how new ones are proposed."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import astuple, dataclass, field, replace
from operator import add, sub
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import optuna

from codesign.search.joint_space import JointSpace, Pair
from codesign.search.pareto import PricedPairs
from codesign.supernet.accuracy.oracle import AccuracyOracle, checked_accuracy
from codesign.supernet.spaces.space import Space
from cost_models.resources import RESOURCES, PairEstimate
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.arrays import BoolArray, FloatArray, IntArray
from hw_templates.foundation.errors import CodesignError, InvalidValueError, MappingError, UnsupportedLayerError

Baseline = Callable[[AccuracyOracle, int, int], PricedPairs]
"""Given accuracies, the pairs to price and a seed, the front that a simpler search finds."""

Objective = Callable[[optuna.Trial], tuple[float, float, float]]
Costs = tuple[tuple[float, float], list[int]]
"""Latency in ms and energy in mJ of a pair, and the resources that it needs, in the order of ``RESOURCES``."""


@dataclass(frozen=True)
class SearchSettings:
    """Budget, seed and workers of a search.

    Attributes:
        pairs: pairs to price in all, those of earlier calls included; the last round may add some.
        seed: the same seed gives the same trials with one worker, interrupted or not.
        workers: processes on the one study.
    """

    pairs: int = 200_000
    seed: int = 0
    workers: int = 1

    def __post_init__(self) -> None:
        for name, least in (("pairs", 1), ("seed", 0), ("workers", 1)):
            if getattr(self, name) < least:
                raise InvalidValueError(f"search.{name}", getattr(self, name), f"at least {least}")


@dataclass(frozen=True)
class SearchProgress:
    """State of a search that goes on.

    Attributes:
        rounds: done by all workers.
        pairs: priced.
        candidates: (layer, accelerator, mapping) candidates priced; zero where a template maps nothing.
        accelerators: that they were priced on; one that several workers or calls price counts for each.
    """

    rounds: int = 0
    pairs: int = 0
    candidates: int = 0
    accelerators: int = 0

    def __add__(self, other: "SearchProgress") -> "SearchProgress":
        return SearchProgress(*map(add, astuple(self), astuple(other)))

    def __sub__(self, other: "SearchProgress") -> "SearchProgress":
        return SearchProgress(*map(sub, astuple(self), astuple(other)))


class RoundKey(NamedTuple):
    """Key of a round: the search's seed, the worker, and the round's number. Equal keys draw equal random numbers."""

    seed: int
    worker: int
    number: int


@dataclass(frozen=True)
class Round:
    """The results of a round.

    Attributes:
        archive: every non-dominated pair known after it; all fit the board.
        misfits: a few pairs that do not fit the board, so that a reader of the study sees where it ends.
        done: this round, and what was priced in it.
    """

    archive: PricedPairs
    misfits: PricedPairs
    done: SearchProgress


class Evolution(Protocol):
    """Proposes and prices the pairs of a search, in one process and in memory."""

    def run_round(self, archive: PricedPairs, key: RoundKey) -> Round:
        """Run one round from ``archive``, which may be empty.

        Raises:
            InfeasibleError: no accelerator fits the board.
        """


def costs_of(estimate: PairEstimate) -> Costs:
    """Return an estimate as numbers: latency in ms and energy in mJ, and resources in the order of ``RESOURCES``."""
    return (estimate.latency_ms, estimate.energy_mj), [getattr(estimate.resources, name) for name in RESOURCES]


@dataclass(frozen=True)
class Problem(ABC):
    """A joint space with its prices; workers of a search receive it, so it must be picklable.

    A template derives a class of its own. It must say what one pair costs and how pairs are proposed; what it prices or
    checks faster in batches it overrides.

    Attributes:
        joint: the pairs.
        losses: accuracy (0..1) that the template's arithmetic costs, by a name of the template's own such as
            ``8 bits``; part of a study's identity. See :meth:`loss`.
    """

    joint: JointSpace[Any]
    losses: Mapping[str, float] = field(default_factory=dict, kw_only=True)

    template: ClassVar[str]
    """Name of the template."""
    one_process: ClassVar[bool] = False
    """Whether only one process can search."""

    @property
    @abstractmethod
    def model(self) -> str:
        """Name of the coefficients that prices follow from; part of a study's identity."""

    @property
    def implementation(self) -> Implementation:
        """Implementation of the engine; part of a study's identity. Other templates have C++ alone."""
        return Implementation.HLS

    @abstractmethod
    def estimate(self, pair: Pair) -> PairEstimate:
        """Price a pair, whether it fits the board or not.

        Raises:
            CodesignError: the pair cannot be built or run; says why.
        """

    @abstractmethod
    def evolution(self, oracle: AccuracyOracle, settings: SearchSettings) -> Evolution:
        """Return what proposes the pairs of a search, such as :class:`codesign.search.evolution.PairEvolution`."""

    @property
    def variant(self) -> str:
        """Addition to the name of a study whose prices do not compare with those of others; often empty."""
        return ""

    @property
    def baselines(self) -> Mapping[str, Baseline]:
        """Simpler searches that the search is compared with, by name."""
        return {}

    def of_space(self, space: Space) -> "Problem":
        """Return the same prices for subnets of another space, in which each parameter has the same name."""
        return replace(self, joint=JointSpace(space, self.joint.accelerators))

    def warn(self) -> None:
        """Warn of choices that the prices were not fitted for."""
        return

    def latency_interval(self, latency_ms: float) -> tuple[float, float] | None:
        """Return the bounds that hold 9 of 10 measured latencies; None where the coefficients have none."""
        del latency_ms
        return None

    def loss(self, rows: IntArray) -> FloatArray:
        """Return [n] the accuracy (0..1) that the accelerators of ``rows`` [n, G + P] take from their subnets'."""
        return np.zeros(len(rows))

    def evaluate(self, rows: IntArray) -> tuple[FloatArray, IntArray]:
        """Return latency in ms and energy in mJ [n, 2] and needed resources [n, 5] of pairs ``rows`` [n, G + P].

        Latency and energy of a pair that cannot be are infinite. Resources are in the order of ``RESOURCES``.
        """
        prices = np.full((len(rows), 2), np.inf)
        needs = np.zeros((len(rows), len(RESOURCES)), dtype=np.int64)
        for index, row in enumerate(rows):
            with suppress(CodesignError):
                prices[index], needs[index] = self.costs(row)
        return prices, needs

    def costs(self, row: IntArray) -> Costs:
        """Return (latency in ms and energy in mJ, needed resources in the order of ``RESOURCES``) of a pair's row.

        Raises:
            CodesignError: the pair cannot be built or run.
        """
        return costs_of(self.estimate(self.joint.decode(row)))

    def needs(self, rows: IntArray) -> IntArray:
        """Return [n, 5] the resources that the accelerators of ``rows`` take, in the order of ``RESOURCES``."""
        return self.evaluate(rows)[1]

    def fits(self, rows: IntArray) -> BoolArray:
        """Return [n] which pairs of ``rows`` can be and are within the board's resources."""
        return self.within(*self.evaluate(rows))

    def within(self, prices: FloatArray, needs: IntArray) -> BoolArray:
        """Return [n] which pairs that were evaluated can be and are within the board's resources."""
        fits: BoolArray = np.isfinite(prices).all(axis=1) & (needs <= self.joint.available).all(axis=1)
        return fits


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
        row = joint.suggest(trial)
        try:
            (latency_ms, energy_mj), needs = problem.costs(row)
        except (InvalidValueError, MappingError, UnsupportedLayerError) as error:
            raise optuna.TrialPruned(str(error)) from error
        for name, needed in zip(RESOURCES, needs, strict=True):
            trial.set_constraint(name, float(needed - getattr(joint.board, name)))
            trial.set_user_attr(name, needed)
        accuracy = checked_accuracy(oracle, row[None, : joint.gene_count]) - problem.loss(row[None])
        return max(float(accuracy[0]), 0.0), latency_ms, energy_mj

    return objective
