"""Time of an engine from counts of what it does: computing, bytes, bursts, loads, tiles, layers, and what overlaps.

A layer is computed in tiles, each in ``steps`` that load the next operands while they compute:

    layer = alone + step / n + (1 - 1 / n) * (step || load) + (tile || load / n)
    a || b = max(a, b) + unhidden * min(a, b)

where ``alone``, ``step``, ``load`` and ``tile`` are sums of coefficient times count over the terms of that role, and n
the number of steps: the load of a tile's first step hides behind what finishes the tile before, the others behind
computation; the last step computes with nothing left to load. An engine that keeps no second set of buffers hides
nothing (``unhidden`` = 1). This is the roofline of Zhang et al. (FPGA 2015) with the overlap as a coefficient.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from cost_models.calibration.timing_model import Parameter, TimingModel
from cost_models.measurements.measurement import EngineRun
from hw_templates.foundation.arrays import FloatArray

Role = Literal["step", "load", "tile", "alone"]
"""When a term takes its time: in each step, loading, once a tile, or with nothing in parallel."""


@dataclass(frozen=True)
class Term(Parameter):
    """A coefficient with its role; reports add up the terms of a ``kind``, for example "weights"."""

    role: Role
    kind: str


UNHIDDEN = Parameter("unhidden", "share of the shorter of two overlapping times that remains visible", 0.1, 1.0, 0.3)


@dataclass(frozen=True)
class Demand:
    """Demand of one layer on an engine.

    Attributes:
        counts: parameter name to how often its coefficient is paid; absent names count zero.
        steps: steps of a tile.
        hides: whether loading and computing overlap at all.
    """

    counts: dict[str, float]
    steps: float = 1.0
    hides: bool = True


def structural_model(
    engine: str,
    terms: Sequence[Term],
    demands: Callable[[EngineRun], Sequence[Demand]],
    roofline: Callable[[EngineRun], float],
    unhidden: Parameter = UNHIDDEN,
) -> TimingModel:
    """Return the model of an engine whose time is that of its terms.

    Args:
        engine: its name.
        terms: its coefficients.
        demands: returns what each layer of a run demands.
        roofline: returns the cycles that no run can undercut.
        unhidden: share of the shorter of two overlapping times that remains visible.
    """
    return TimingModel(
        engine,
        (*terms, unhidden),
        lambda runs: BoundStructure(terms, [demands(run) for run in runs]),
        lambda runs: np.array([roofline(run) for run in runs], dtype=np.float64),
    )


class BoundStructure:
    """Counts of layers [layers, terms], and the run [layers] that each layer belongs to, ascending."""

    def __init__(self, terms: Sequence[Term], demands: Sequence[Sequence[Demand]]) -> None:
        layers = [demand for of_run in demands for demand in of_run]
        counts = [[layer.counts.get(term.name, 0.0) for term in terms] for layer in layers]
        self._terms, self._counts = terms, np.array(counts, dtype=np.float64)
        self._steps = np.array([layer.steps for layer in layers], dtype=np.float64)
        self._hides = np.array([layer.hides for layer in layers])
        self._run = np.repeat(np.arange(len(demands)), [len(of_run) for of_run in demands])

    def _times(self, theta: FloatArray) -> tuple[FloatArray, FloatArray, list[FloatArray]]:
        """Return the times of the terms [layers, terms], the unhidden share [layers], and the time of each role."""
        values = np.exp(theta)[self._run]
        times = values[:, :-1] * self._counts
        of_roles = [times[:, [term.role == role for term in self._terms]].sum(axis=-1) for role in get_args(Role)]
        return times, np.where(self._hides, np.minimum(values[:, -1], 1.0), 1.0), of_roles

    def cycles(self, theta: FloatArray) -> FloatArray:
        """Return [runs] cycles, as :class:`cost_models.calibration.timing_model.BoundModel` describes."""
        n = self._steps
        _, unhidden, (step, load, tile, alone) = self._times(theta)
        inner = np.maximum(step, load) + unhidden * np.minimum(step, load)
        outer = np.maximum(tile, load / n) + unhidden * np.minimum(tile, load / n)
        layers = alone + step / n + (1 - 1 / n) * inner + outer
        return np.add.reduceat(layers, np.flatnonzero(np.diff(self._run, prepend=-1)))

    def parts(self, theta: FloatArray) -> dict[str, FloatArray]:
        """Return [runs] visible cycles by the kind of the terms."""
        n = self._steps
        times, unhidden, (step, load, tile, alone) = self._times(theta)
        shown = {
            "step": 1 / n + (1 - 1 / n) * np.where(step >= load, 1, unhidden),
            "load": (1 - 1 / n) * np.where(step >= load, unhidden, 1) + np.where(tile >= load / n, unhidden, 1) / n,
            "tile": np.where(tile >= load / n, 1, unhidden),
            "alone": np.ones_like(alone),
        }
        kinds: dict[str, FloatArray] = {}
        for term, time in zip(self._terms, times.T, strict=True):
            kinds[term.kind] = kinds.get(term.kind, 0.0) + np.bincount(self._run, time * shown[term.role])
        return kinds
