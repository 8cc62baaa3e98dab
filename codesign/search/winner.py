"""Choosing the winning pair of a front, by a stated rule."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from codesign.search.joint_space import IntArray, JointSpace, Pair, PairSpace
from codesign.search.pareto import ACCURACY, FloatArray, PricedPairs
from codesign.supernet.oracle import AccuracyOracle, checked_accuracy
from hw_templates.errors import InfeasibleError, InvalidValueError


class Rule(Protocol):
    """How to choose one pair of a front."""

    def choose(self, front: PricedPairs) -> int:
        """Index of the winner in ``front``, which is not empty.

        Raises:
            InfeasibleError: no pair meets the rule's limit.
        """


@dataclass(frozen=True)
class BestAccuracyWithin:
    """The most accurate pair of at most ``latency_ms``; of equals the fastest."""

    latency_ms: float

    def __post_init__(self) -> None:
        if not 0 < self.latency_ms < np.inf:
            raise InvalidValueError("rule.latency_ms", self.latency_ms, "positive and finite")

    def __str__(self) -> str:
        return f"best accuracy within {self.latency_ms:g} ms"

    def choose(self, front: PricedPairs) -> int:
        """See :class:`Rule`."""
        within = front.latency_ms <= self.latency_ms
        if not within.any():
            nearest = int(front.latency_ms.argmin())
            raise InfeasibleError(
                f"latency_ms: no pair of {len(front)} is within {self.latency_ms:g} ms; "
                f"the nearest is {_describe(front, nearest)}"
            )
        return int(np.lexsort((front.latency_ms, -front.accuracy, ~within))[0])


@dataclass(frozen=True)
class LeastLatencyAbove:
    """The fastest pair of at least ``accuracy`` (0..1); of equals the most accurate."""

    accuracy: float

    def __post_init__(self) -> None:
        if not 0 <= self.accuracy <= 1:
            raise InvalidValueError("rule.accuracy", self.accuracy, "in 0..1")

    def __str__(self) -> str:
        return f"least latency above {self.accuracy:.2%} accuracy"

    def choose(self, front: PricedPairs) -> int:
        """See :class:`Rule`."""
        above = front.accuracy >= self.accuracy
        if not above.any():
            nearest = int(front.accuracy.argmax())
            raise InfeasibleError(
                f"accuracy: no pair of {len(front)} reaches {self.accuracy:.2%}; "
                f"the nearest is {_describe(front, nearest)}"
            )
        return int(np.lexsort((-front.accuracy, front.latency_ms, ~above))[0])


@dataclass(frozen=True)
class Knee:
    """The pair nearest to the ideal point.

    Compromise programming (Zeleny 1973): each objective's range over the front is scaled to 0..1, latency and energy
    by their logarithms, and the distance is Euclidean.
    """

    def __str__(self) -> str:
        return "knee of the front"

    def choose(self, front: PricedPairs) -> int:
        """See :class:`Rule`."""
        return int((scaled_losses(front.values) ** 2).sum(axis=1).argmin())


def rule_of(max_latency_ms: float | None, min_accuracy: float | None) -> Rule:
    """The rule of at most one limit; the knee without any.

    Raises:
        InvalidValueError: both limits are given, or one is out of range.
    """
    if max_latency_ms is not None and min_accuracy is not None:
        raise InvalidValueError("min_accuracy", min_accuracy, "left out where max_latency_ms is given")
    if max_latency_ms is not None:
        return BestAccuracyWithin(max_latency_ms)
    return Knee() if min_accuracy is None else LeastLatencyAbove(min_accuracy)


def scaled_losses(values: FloatArray) -> FloatArray:
    """[n, 3] objectives as losses: 0 at the best and 1 at the worst value among ``values``; latency, energy as logs."""
    losses = np.stack([-values[:, 0], np.log(values[:, 1]), np.log(values[:, 2])], axis=1)
    spread = np.ptp(losses, axis=0)
    scaled: FloatArray = (losses - losses.min(axis=0)) / np.where(spread > 0, spread, 1.0)
    return scaled


@dataclass(frozen=True)
class Winner:
    """The chosen pair and what it reaches.

    Attributes:
        pair: subnet and accelerator.
        accuracy: in 0..1.
        latency_ms: of one inference.
        energy_mj: of one inference.
        rule: by which it was chosen, in words.
    """

    pair: Pair
    accuracy: float
    latency_ms: float
    energy_mj: float
    rule: str


def choose_winner(joint: JointSpace, front: PricedPairs, rule: Rule) -> Winner:
    """The pair of ``front`` that ``rule`` chooses.

    Raises:
        InfeasibleError: the front is empty, or no pair meets the rule's limit; says which limit, and the nearest pair.
    """
    if not len(front):
        raise InfeasibleError("the front is empty: no feasible pair was found; search longer or on a larger board")
    index = rule.choose(front)
    accuracy, latency_ms, energy_mj = front.values[index].tolist()
    return Winner(joint.decode(front.rows[index]), accuracy, latency_ms, energy_mj, str(rule))


def measure_front(joint: PairSpace, front: PricedPairs, oracle: AccuracyOracle, most: int) -> PricedPairs:
    """The front of at most ``most`` pairs of ``front``, with accuracies from ``oracle`` instead of their own.

    Pairs to measure are spread over the objectives (:func:`spread`); each different subnet is measured once.
    """
    chosen = front.take(spread(front.values, most))
    genes, places = np.unique(chosen.rows[:, : joint.gene_count], axis=0, return_inverse=True)
    values = chosen.values.copy()
    values[:, ACCURACY] = checked_accuracy(oracle, genes)[places.ravel()]
    return replace(chosen, values=values).front()


def spread(values: FloatArray, count: int) -> IntArray:
    """Indices of at most ``count`` rows of ``values`` [n, 3], far from each other; the best of each objective first.

    Farthest-point sampling (Gonzalez 1985) in :func:`scaled_losses`.
    """
    if count < 3:
        raise InvalidValueError("spread.count", count, "at least 3, the best of each objective")
    if len(values) <= count:
        return np.arange(len(values))
    losses = scaled_losses(values)
    chosen = np.unique(losses.argmin(axis=0)).tolist()
    distances = np.min([((losses - losses[index]) ** 2).sum(axis=1) for index in chosen], axis=0)
    while len(chosen) < count and distances.max() > 0:
        chosen.append(int(distances.argmax()))
        distances = np.minimum(distances, ((losses - losses[chosen[-1]]) ** 2).sum(axis=1))
    return np.array(sorted(chosen), dtype=np.int64)


def _describe(front: PricedPairs, index: int) -> str:
    accuracy, latency_ms, energy_mj = front.values[index]
    return f"{latency_ms:.4g} ms with {accuracy:.2%} accuracy and {energy_mj:.4g} mJ"
