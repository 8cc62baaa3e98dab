"""Choosing the winning pair of a front, by a stated rule."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from codesign.search.joint_space import Pair
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


@dataclass(frozen=True)
class Rule:
    """Rule that chooses one pair of a front.

    - ``max_latency_ms``: the most accurate pair of at most ``value`` ms; of equals the fastest, then that of least
      energy.
    - ``min_accuracy``: the fastest pair of at least ``value`` (0..1); of equals the most accurate, then that of least
      energy.
    - ``within``: the fastest pair whose accuracy is within ``value`` percentage points of the best on the front; of
      equals that of least energy, then the most accurate.
    - ``knee``: the pair nearest to the ideal point in accuracy and latency. Compromise programming (Zeleny 1973): the
      range of each of the two over the front is scaled to 0..1, latency by its logarithm, and the distance is
      Euclidean. Energy only breaks ties: it follows latency so closely that it would count the cost twice.

    Attributes:
        option: one of these names.
        value: the limit that the option sets; not used for the knee.

    Raises:
        InvalidValueError: the value is out of the option's range.
    """

    option: str
    value: float = 1.0

    def __post_init__(self) -> None:
        sound, expected = {
            "max_latency_ms": (0 < self.value < np.inf, "positive and finite"),
            "min_accuracy": (0 <= self.value <= 1, "in 0..1"),
            "within": (0 <= self.value <= 100, "in 0..100"),
            "knee": (True, ""),
        }[self.option]
        if not sound:
            raise InvalidValueError(self.option, self.value, expected)

    def __str__(self) -> str:
        return {
            "max_latency_ms": f"best accuracy within {self.value:g} ms",
            "min_accuracy": f"least latency above {self.value:.2%} accuracy",
            "within": f"fastest within {self.value:g} point{'' if self.value == 1 else 's'} of the best accuracy",
            "knee": "knee of the front in accuracy and latency",
        }[self.option]

    def choose(self, front: PricedPairs) -> int:
        """Return the index of the winner in ``front``.

        Raises:
            InfeasibleError: the front is empty, or no pair meets the limit; says which limit, and the nearest pair.
        """
        if not len(front):
            raise InfeasibleError("the front is empty: no feasible pair was found; search longer or on a larger board")
        loss, latency_ms, energy_mj = -front.accuracy, front.latency_ms, front.energy_mj
        # What is limited, by how much, and of what the winner has least: the first counts most.
        limited, limit = loss, np.inf
        order: tuple[FloatArray, ...] = (latency_ms, energy_mj, loss)
        if self.option == "max_latency_ms":
            limited, limit, order = latency_ms, self.value, (loss, latency_ms, energy_mj)
        elif self.option == "min_accuracy":
            limit, order = -self.value, (latency_ms, loss, energy_mj)
        elif self.option == "within":
            limit = loss.min() + self.value / 100 + _ROUNDING
        else:
            distance = (scaled_losses(front.values)[:, :ENERGY] ** 2).sum(axis=1)
            order = (distance, energy_mj)
        if not (limited <= limit).any():
            reached = f"is within {limit:g} ms" if limited is latency_ms else f"reaches {-limit:.2%}"
            accuracy, latency, energy = front.values[limited.argmin()]
            raise InfeasibleError(
                f"{self.option}: no pair of {len(front)} {reached}; the nearest is {latency:.4g} ms with "
                f"{accuracy:.2%} accuracy and {energy:.4g} mJ"
            )
        return int(np.lexsort((*reversed(order), limited > limit))[0])


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
    limits = {"max_latency_ms": max_latency_ms, "min_accuracy": min_accuracy, "within": within}
    options = {**limits, "rule": None if rule == "within" and within is not None else rule}
    given = {name: value for name, value in options.items() if value is not None}
    if len(given) > 1:
        first, second, *_ = given
        raise InvalidValueError(second, given[second], f"left out when --{first.replace('_', '-')} is given")
    for option, value in limits.items():
        if value is not None:
            return Rule(option, value)
    return Rule(rule or "within")


def scaled_losses(values: FloatArray) -> FloatArray:
    """[n, 3] objectives as losses: 0 at the best and 1 at the worst value among ``values``; latency, energy as logs."""
    losses = np.column_stack([-values[:, ACCURACY], np.log(values[:, LATENCY:])])
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
        InfeasibleError: as :meth:`Rule.choose`.
    """
    while True:
        compared = compare(fitting_front(problem, pairs))
        index = rule.choose(compared.front)
        row, reached = compared.front.rows[index], compared.front.values[index]
        costs = problem.evaluate(row[None])[0][0]
        if np.allclose(reached[LATENCY:], costs, rtol=_PRICE_TOLERANCE, atol=0):
            accuracy, latency_ms, energy_mj = reached.tolist()
            winner = Winner(
                pair=problem.joint.decode(row),
                accuracy=accuracy,
                latency_ms=latency_ms,
                energy_mj=energy_mj,
                rule=str(rule),
            )
            return winner, compared
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


def measure_front(problem: Problem, front: PricedPairs, oracle: AccuracyOracle) -> PricedPairs:
    """Return the front of the pairs of ``front``, with accuracies from ``oracle`` instead of their own.

    Each different subnet is measured once; what its accelerator takes from its accuracy is subtracted.

    Args:
        problem: knows what accelerators take from accuracies.
        front: the pairs.
        oracle: measures.
    """
    genes, places = np.unique(front.rows[:, : problem.joint.gene_count], axis=0, return_inverse=True)
    values = front.values.copy()
    values[:, ACCURACY] = np.maximum(checked_accuracy(oracle, genes)[places.ravel()] - problem.loss(front.rows), 0)
    return replace(front, values=values).front()


def spread(values: FloatArray, count: int) -> IntArray:
    """Indices of at most ``count`` rows of ``values`` [n, 3], far from each other; the best of each objective first.

    ``count`` is at least 3. Farthest-point sampling (Gonzalez 1985) in :func:`scaled_losses`.
    """
    if len(values) <= count:
        return np.arange(len(values))
    losses = scaled_losses(values)
    chosen = np.unique(losses.argmin(axis=0)).tolist()
    distances = np.min([((losses - losses[index]) ** 2).sum(axis=1) for index in chosen], axis=0)
    while len(chosen) < count and distances.max() > 0:
        chosen.append(int(distances.argmax()))
        distances = np.minimum(distances, ((losses - losses[chosen[-1]]) ** 2).sum(axis=1))
    return np.array(sorted(chosen), dtype=np.int64)
