"""Priced pairs, which of them no other dominates, and how much of the objective space they cover."""

from collections.abc import Sequence
from dataclasses import dataclass
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
    if not len(values):
        return np.zeros(0, dtype=bool)
    _check_finite(values)
    mask: BoolArray = np.asarray(moocore.is_nondominated(values, maximise=MAXIMISED), dtype=bool)
    return mask


def _check_finite(values: FloatArray) -> None:
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        row = int(finite.argmin())
        raise InvalidValueError(f"values[{row}]", values[row].tolist(), "finite")


def are_possible(values: FloatArray) -> BoolArray:
    """[n] which rows of ``values`` [n, 3] can be: an accuracy in 0..1, a latency and an energy positive and finite."""
    accuracy, costs = values[:, ACCURACY], values[:, LATENCY:]
    mask: BoolArray = (accuracy >= 0) & (accuracy <= 1) & ((costs > 0) & (costs < np.inf)).all(axis=1)
    return mask


def check_possible(values: Sequence[float], name: str) -> None:
    """Refuse an accuracy, a latency and an energy that cannot be.

    Raises:
        InvalidValueError: names the objective as a field of ``name``.
    """
    for objective, value, is_accuracy in zip(OBJECTIVES, values, MAXIMISED, strict=True):
        if is_accuracy and not 0 <= value <= 1:
            raise InvalidValueError(f"{name}.{objective}", value, "in 0..1")
        if not is_accuracy and not 0 < value < np.inf:
            raise InvalidValueError(f"{name}.{objective}", value, "positive and finite")


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
        possible = are_possible(self.values)
        if not possible.all():
            row = int(possible.argmin())
            check_possible(self.values[row].tolist(), f"priced_pairs.values[{row}]")

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


def front_array(rows: object) -> FloatArray:
    """[n, 3] values of a front from nested lists, as JSON holds them.

    Raises:
        ValueError: they are not one or more rows of accuracy (0..1), latency and energy (positive and finite).
    """
    front = np.array(rows, dtype=np.float64)
    if front.ndim != 2 or front.shape[1] != len(OBJECTIVES) or not len(front) or not are_possible(front).all():
        raise ValueError("a front must have rows of an accuracy in 0..1 and a positive, finite latency and energy")
    return front


@dataclass(frozen=True)
class ReferencePoint:
    """The worst corner of the box that hypervolumes are measured in; the best is (1, 0 ms, 0 mJ).

    A method's hypervolume compares only with others that have the same reference point.
    """

    accuracy: float
    latency_ms: float
    energy_mj: float

    def __post_init__(self) -> None:
        if not 0 <= self.accuracy < 1:
            raise InvalidValueError("reference_point.accuracy", self.accuracy, "in 0..1, less than 1")
        for name in ("latency_ms", "energy_mj"):
            if not 0 < getattr(self, name) < np.inf:
                raise InvalidValueError(f"reference_point.{name}", getattr(self, name), "positive and finite")

    def hypervolume(self, values: FloatArray) -> float:
        """Share (0..1) of the box between this point and the best corner that ``values`` [n, 3] dominate.

        Zitzler and Thiele 1998; computed by moocore.

        Raises:
            InvalidValueError: a row is not finite, or better than the best corner.
        """
        _check_finite(values)
        beyond = (values[:, ACCURACY] > 1) | (values[:, LATENCY:] < 0).any(axis=1)
        if beyond.any():
            row = int(beyond.argmax())
            raise InvalidValueError(f"values[{row}]", values[row].tolist(), "no better than (1, 0 ms, 0 mJ)")
        scaled = np.stack(
            [
                (1 - values[:, ACCURACY]) / (1 - self.accuracy),
                values[:, LATENCY] / self.latency_ms,
                values[:, ENERGY] / self.energy_mj,
            ],
            axis=1,
        )
        inside = scaled[(scaled < 1).all(axis=1)]
        return float(moocore.hypervolume(inside, ref=[1.0, 1.0, 1.0])) if len(inside) else 0.0
