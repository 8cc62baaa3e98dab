"""Choosing the winning pair of a front, by a stated rule."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from codesign.search.joint_space import JointSpace, Pair
from codesign.search.pareto import ACCURACY, ENERGY, LATENCY, PricedPairs
from codesign.search.problem import Problem
from codesign.search.study import fitting_front
from codesign.supernet.accuracy.oracle import AccuracyOracle, RecordingOracle, checked_accuracy
from hw_templates.foundation.arrays import FloatArray, IntArray
from hw_templates.foundation.errors import InfeasibleError, InvalidValueError

MEASURED_PAIRS = 200
"""Most pairs of a front that are measured."""

# Accuracies are counts of images over their number; what such a limit holds must not depend on rounding.
_ROUNDING = 1e-9
# Prices of the same pair by other sums of the same numbers.
_PRICE_TOLERANCE = 1e-6


class Rule(Protocol):
    """How to choose one pair of a front."""

    def choose(self, front: PricedPairs) -> int:
        """Return the index of the winner in ``front``, which is not empty.

        Raises:
            InfeasibleError: no pair meets the rule's limit.
        """


@dataclass(frozen=True)
class BestAccuracyWithin:
    """The most accurate pair of at most ``latency_ms``; of equals the fastest, then that of least energy."""

    latency_ms: float

    def __post_init__(self) -> None:
        if not 0 < self.latency_ms < np.inf:
            raise InvalidValueError("rule.latency_ms", self.latency_ms, "positive and finite")

    def __str__(self) -> str:
        return f"best accuracy within {self.latency_ms:g} ms"

    def choose(self, front: PricedPairs) -> int:
        """Return the index of the winner in ``front``; see :class:`Rule`."""
        within = front.latency_ms <= self.latency_ms
        if not within.any():
            nearest = int(front.latency_ms.argmin())
            raise InfeasibleError(
                f"max_latency_ms: no pair of {len(front)} is within {self.latency_ms:g} ms; "
                f"the nearest is {_describe(front, nearest)}"
            )
        return int(np.lexsort((front.energy_mj, front.latency_ms, -front.accuracy, ~within))[0])


@dataclass(frozen=True)
class LeastLatencyAbove:
    """The fastest pair of at least ``accuracy`` (0..1); of equals the most accurate, then that of least energy."""

    accuracy: float

    def __post_init__(self) -> None:
        if not 0 <= self.accuracy <= 1:
            raise InvalidValueError("rule.accuracy", self.accuracy, "in 0..1")

    def __str__(self) -> str:
        return f"least latency above {self.accuracy:.2%} accuracy"

    def choose(self, front: PricedPairs) -> int:
        """Return the index of the winner in ``front``; see :class:`Rule`."""
        above = front.accuracy >= self.accuracy
        if not above.any():
            nearest = int(front.accuracy.argmax())
            raise InfeasibleError(
                f"min_accuracy: no pair of {len(front)} reaches {self.accuracy:.2%}; "
                f"the nearest is {_describe(front, nearest)}"
            )
        return int(np.lexsort((front.energy_mj, -front.accuracy, front.latency_ms, ~above))[0])


@dataclass(frozen=True)
class FastestWithin:
    """The fastest pair whose accuracy is within ``points`` (percentage points) of the best on the front.

    Of equally fast pairs it is that of least energy, then the most accurate.
    """

    points: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.points <= 100:
            raise InvalidValueError("rule.points", self.points, "in 0..100")

    def __str__(self) -> str:
        return f"fastest within {self.points:g} point{'' if self.points == 1 else 's'} of the best accuracy"

    def choose(self, front: PricedPairs) -> int:
        """Return the index of the winner in ``front``; see :class:`Rule`."""
        within = front.accuracy >= front.accuracy.max() - self.points / 100 - _ROUNDING
        return int(np.lexsort((-front.accuracy, front.energy_mj, front.latency_ms, ~within))[0])


@dataclass(frozen=True)
class Knee:
    """The pair nearest to the ideal point in accuracy and latency.

    Compromise programming (Zeleny 1973): the range of each of the two over the front is scaled to 0..1, latency by its
    logarithm, and the distance is Euclidean. Energy only breaks ties: it follows latency so closely that it would count
    the cost twice.
    """

    def __str__(self) -> str:
        return "knee of the front in accuracy and latency"

    def choose(self, front: PricedPairs) -> int:
        """Return the index of the winner in ``front``; see :class:`Rule`."""
        distance = (scaled_losses(front.values)[:, :ENERGY] ** 2).sum(axis=1)
        return int(np.lexsort((front.energy_mj, distance))[0])


def rule_of(
    max_latency_ms: float | None = None,
    min_accuracy: float | None = None,
    within: float | None = None,
    rule: str | None = None,
) -> Rule:
    """The rule that at most one of these options names; without any, the fastest within one point.

    Args:
        max_latency_ms: the most accurate pair within this.
        min_accuracy: the fastest pair of at least this, 0 to 1.
        within: the fastest pair within this many percentage points of the best accuracy.
        rule: ``within``, or ``knee`` for the knee in accuracy and latency.

    Raises:
        InvalidValueError: two options name different rules, or one is out of range.
    """
    if rule not in (None, "within", "knee"):
        raise InvalidValueError("rule", rule, "within or knee")
    options: dict[str, float | str | None] = {
        "max_latency_ms": max_latency_ms,
        "min_accuracy": min_accuracy,
        "within": within,
        "rule": None if rule == "within" and within is not None else rule,
    }
    given = {name: value for name, value in options.items() if value is not None}
    if len(given) > 1:
        first, second, *_ = given
        raise InvalidValueError(second, given[second], f"left out when --{first.replace('_', '-')} is given")
    try:
        if max_latency_ms is not None:
            return BestAccuracyWithin(max_latency_ms)
        if min_accuracy is not None:
            return LeastLatencyAbove(min_accuracy)
        return Knee() if rule == "knee" else FastestWithin() if within is None else FastestWithin(within)
    except InvalidValueError as error:
        # What the user knows is the option, not the rule's field.
        (option,) = given
        raise InvalidValueError(option, error.value, error.expected) from error


def scaled_losses(values: FloatArray) -> FloatArray:
    """[n, 3] objectives as losses: 0 at the best and 1 at the worst value among ``values``; latency, energy as logs."""
    losses = np.stack([-values[:, 0], np.log(values[:, 1]), np.log(values[:, 2])], axis=1)
    spread = np.ptp(losses, axis=0)
    scaled: FloatArray = (losses - losses.min(axis=0)) / np.where(spread > 0, spread, 1.0)
    return scaled


@dataclass(frozen=True, kw_only=True)
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


def choose_winner(joint: JointSpace[Any], front: PricedPairs, rule: Rule) -> Winner:
    """Return the pair of ``front`` that ``rule`` chooses.

    Raises:
        InfeasibleError: the front is empty, or no pair meets the rule's limit; says which limit, and the nearest pair.
    """
    index = _choose(front, rule)
    accuracy, latency_ms, energy_mj = front.values[index].tolist()
    return Winner(
        pair=joint.decode(front.rows[index]),
        accuracy=accuracy,
        latency_ms=latency_ms,
        energy_mj=energy_mj,
        rule=str(rule),
    )


def _choose(front: PricedPairs, rule: Rule) -> int:
    if not len(front):
        raise InfeasibleError("the front is empty: no feasible pair was found; search longer or on a larger board")
    return rule.choose(front)


@dataclass(frozen=True)
class Compared:
    """The pairs among which a winner is chosen.

    Attributes:
        front: the pairs, none of which another dominates.
        source: where all their accuracies come from: ``measured``, or the name of what predicts them.
    """

    front: PricedPairs
    source: str


def choose_priced(
    problem: Problem, pairs: PricedPairs, rule: Rule, compare: Callable[[PricedPairs], Compared]
) -> tuple[Winner, Compared]:
    """Choose the winner of all pairs that fit, and make sure that it costs what it states.

    Whoever adds a trial to a study can state any cost. A winner that states another than its parameters make is given
    the right one, and the choice is made again.

    Args:
        problem: prices the pairs.
        pairs: those that were found, on a front or not.
        rule: to choose by.
        compare: returns the pairs of a front with the accuracies that count.

    Returns:
        The winner, and the pairs that it was chosen from.

    Raises:
        InfeasibleError: as :func:`choose_winner`.
    """
    while True:
        compared = compare(fitting_front(problem, pairs))
        index = _choose(compared.front, rule)
        row, stated = compared.front.rows[index], compared.front.values[index, LATENCY:]
        costs = problem.evaluate(row[None])[0][0]
        if np.allclose(stated, costs, rtol=_PRICE_TOLERANCE, atol=0):
            return choose_winner(problem.joint, compared.front, rule), compared
        same = (pairs.rows == row).all(axis=1)
        values = pairs.values.copy()
        if np.isfinite(costs).all():
            values[same, LATENCY:] = costs
            pairs = replace(pairs, values=values)
        else:
            pairs = pairs.take(~same)


def pairs_to_measure(front: PricedPairs, oracle: RecordingOracle, gene_count: int) -> PricedPairs:
    """Return the pairs of ``front`` to compare by measured accuracies: all where all are recorded, else a few.

    These few are ``MEASURED_PAIRS`` at most, spread over the objectives (:func:`spread`). The first ``gene_count``
    columns of a row describe its subnet.
    """
    if oracle.knows(front.rows[:, :gene_count]):
        return front
    return front.take(spread(front.values, MEASURED_PAIRS))


def measure_front(problem: Problem, front: PricedPairs, oracle: AccuracyOracle, most: int | None = None) -> PricedPairs:
    """Return the front of the pairs of ``front``, with accuracies from ``oracle`` instead of their own.

    Each different subnet is measured once; what its accelerator takes from its accuracy is subtracted.

    Args:
        problem: knows what accelerators take from accuracies.
        front: the pairs.
        oracle: measures.
        most: how many of the pairs to measure at most, spread over the objectives (:func:`spread`); None for all.
    """
    chosen = front if most is None else front.take(spread(front.values, most))
    genes, places = np.unique(chosen.rows[:, : problem.joint.gene_count], axis=0, return_inverse=True)
    values = chosen.values.copy()
    values[:, ACCURACY] = np.maximum(checked_accuracy(oracle, genes)[places.ravel()] - problem.loss(chosen.rows), 0)
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
