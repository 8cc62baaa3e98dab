"""Priced pairs, which of them no other dominates, and how much of the objective space they cover."""

from collections.abc import Container, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import moocore
import numpy as np

from codesign.search.joint_space import JointSpace
from hw_templates.foundation.arrays import BoolArray, FloatArray, IntArray
from hw_templates.foundation.errors import InvalidValueError

OBJECTIVES = ("accuracy", "latency_ms", "energy_mj")
MAXIMISED = (True, False, False)
ACCURACY, LATENCY, ENERGY = range(3)


def nondominated(values: FloatArray) -> BoolArray:
    """[n] which rows of ``values`` [n, 3] (in the order of ``OBJECTIVES``) no other row dominates.

    Of equal rows the first counts. Kung, Luccio and Preparata 1975 (n log n for three objectives), by moocore.

    Raises:
        InvalidValueError: a row is not finite; compared with others it would evict or keep any of them.
    """
    _check_rows(np.isfinite(values), values, "finite")
    mask: BoolArray = np.asarray(moocore.is_nondominated(values, maximise=MAXIMISED), dtype=bool)
    return mask


def _check_rows(sound: BoolArray, values: FloatArray, expected: str) -> None:
    """Refuse rows [n, 3] of which a value is not sound."""
    if not sound.all():
        row = int(np.argwhere(~sound)[0, 0])
        raise InvalidValueError(f"values[{row}]", values[row].tolist(), expected)


def check_possible(values: FloatArray, name: str) -> None:
    """Refuse rows [n, 3] of an accuracy, a latency and an energy that cannot be.

    Raises:
        InvalidValueError: names the objective as a field of ``name``, in which ``{}`` stands for the row.
    """
    accuracy, costs = values[:, :LATENCY], values[:, LATENCY:]
    possible = np.hstack([(accuracy >= 0) & (accuracy <= 1), (costs > 0) & (costs < np.inf)])
    if not possible.all():
        row, column = np.argwhere(~possible)[0]
        expected = "in 0..1" if column == ACCURACY else "positive and finite"
        raise InvalidValueError(f"{name.format(row)}.{OBJECTIVES[column]}", float(values[row, column]), expected)


@dataclass(frozen=True)
class PricedPairs:
    """Pairs and what they reach.

    Attributes:
        rows: int64 [n, G + P], as :class:`~codesign.search.joint_space.JointSpace` encodes pairs.
        values: float64 [n, 3], in the order of ``OBJECTIVES``: accuracies in 0..1, positive and finite costs.
    """

    rows: IntArray
    values: FloatArray

    def __post_init__(self) -> None:
        if len(self.rows) != len(self.values):
            raise InvalidValueError("priced_pairs.values", len(self.values), f"as many as the {len(self.rows)} rows")
        check_possible(self.values, "priced_pairs.values[{}]")

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def accuracy(self) -> FloatArray:
        """[n] in 0..1."""
        return self.values[:, ACCURACY]

    @property
    def latency_ms(self) -> FloatArray:
        """[n] of one inference."""
        return self.values[:, LATENCY]

    @property
    def energy_mj(self) -> FloatArray:
        """[n] of one inference."""
        return self.values[:, ENERGY]

    @property
    def keys(self) -> list[bytes]:
        """The bytes of each row: equal pairs have equal keys."""
        return [row.tobytes() for row in self.rows]

    def without(self, known: Container[bytes]) -> "PricedPairs":
        """The pairs whose keys are not ``known``."""
        return self.take(np.array([key not in known for key in self.keys], dtype=bool))

    def take(self, selection: BoolArray | IntArray) -> "PricedPairs":
        """The pairs that an index or boolean array selects."""
        return PricedPairs(self.rows[selection], self.values[selection])

    def front(self) -> "PricedPairs":
        """The non-dominated pairs, ascending in latency; pairs of equal latency in the order given."""
        kept = self.take(nondominated(self.values))
        return kept.take(np.argsort(kept.latency_ms, kind="stable"))


def no_pairs(joint: JointSpace[Any]) -> PricedPairs:
    """Return the archive of a search of ``joint`` before its first round."""
    return PricedPairs(np.zeros((0, len(joint.parameters)), dtype=np.int64), np.zeros((0, len(OBJECTIVES))))


def concatenate(parts: Sequence[PricedPairs]) -> PricedPairs:
    """The pairs of all ``parts``, in order."""
    return PricedPairs(np.concatenate([p.rows for p in parts]), np.concatenate([p.values for p in parts]))


def check_front(values: FloatArray) -> None:
    """Refuse what are not the values [n, 3] of the pairs of a front.

    Raises:
        InvalidValueError: there is no row, rows are not of three values, or one holds what cannot be.
    """
    if values.ndim != 2 or values.shape[1] != len(OBJECTIVES) or not len(values):
        raise InvalidValueError("front", values.shape, f"rows of {', '.join(OBJECTIVES)}")
    check_possible(values, "front[{}]")


@dataclass(frozen=True)
class ReferencePoint:
    """The worst corner of the box that hypervolumes are measured in; the best is (1, 0 ms, 0 mJ).

    A method's hypervolume compares only with others that have the same reference point.
    """

    accuracy: float
    latency_ms: float
    energy_mj: float

    def __post_init__(self) -> None:
        check_possible(np.array([astuple(self)]), "reference_point")
        if self.accuracy == 1:
            raise InvalidValueError("reference_point.accuracy", self.accuracy, "less than 1")

    def hypervolume(self, values: FloatArray) -> float:
        """Share (0..1) of the box between this point and the best corner that ``values`` [n, 3] dominate.

        Zitzler and Thiele 1998; computed by moocore.

        Raises:
            InvalidValueError: a row is not finite, or better than the best corner.
        """
        _check_rows(np.isfinite(values), values, "finite")
        at_best = np.column_stack([values[:, ACCURACY] <= 1, values[:, LATENCY:] >= 0])
        _check_rows(at_best, values, "no better than (1, 0 ms, 0 mJ)")
        losses = np.column_stack([1 - values[:, ACCURACY], values[:, LATENCY:]])
        worst = [1 - self.accuracy, self.latency_ms, self.energy_mj]
        return float(moocore.hypervolume(losses / worst, ref=np.ones(3)))
