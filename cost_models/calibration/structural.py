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
from enum import Enum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cost_models.calibration.timing_model import Parameter
from cost_models.measurements.engine_run import EngineRun
from hw_templates.foundation.arrays import BoolArray, FloatArray


class Role(Enum):
    """When a term takes its time: in each step, loading, once a tile, or with nothing in parallel."""

    STEP = "step"
    LOAD = "load"
    TILE = "tile"
    ALONE = "alone"


@dataclass(frozen=True)
class Term(Parameter):
    """A coefficient with its role; reports add up the terms of a ``kind``, for example "weights"."""

    role: Role
    kind: str


def terms(*rows: tuple[str, str, float, float, float, Role, str]) -> tuple[Term, ...]:
    """Return the terms of a table: name, meaning, median, spread, spread over campaigns, role and kind of each."""
    return tuple(
        Term(name=name, meaning=meaning, median=median, spread=spread, campaign_spread=over, role=role, kind=kind)
        for name, meaning, median, spread, over, role, kind in rows
    )


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


@dataclass(frozen=True, kw_only=True)
class StructuralModel:
    """Terms of an engine, with the share of the shorter of two overlapping times that remains visible.

    ``roofline`` returns the cycles that no run can undercut; its default knows none.
    """

    engine: str
    terms: tuple[Term, ...]
    unhidden: Parameter
    demands: Callable[[EngineRun], Sequence[Demand]]
    roofline: Callable[[EngineRun], float] = lambda _: 0.0

    def least_cycles(self, runs: Sequence[EngineRun]) -> FloatArray:
        """Return [runs] cycles, as :class:`cost_models.calibration.timing_model.TimingModel` describes."""
        return np.array([self.roofline(run) for run in runs], dtype=np.float64)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Parameters of the terms, then the unhidden share."""
        return (*self.terms, self.unhidden)

    def bind(self, runs: Sequence[EngineRun]) -> "BoundStructure":
        """Return the counts of all layers of the runs."""
        demands = [self.demands(run) for run in runs]
        layers = [demand for of_run in demands for demand in of_run]
        names = [term.name for term in self.terms]
        return BoundStructure(
            terms=self.terms,
            counts=np.array([[layer.counts.get(name, 0.0) for name in names] for layer in layers], dtype=np.float64),
            steps=np.array([layer.steps for layer in layers], dtype=np.float64),
            hides=np.array([layer.hides for layer in layers]),
            run=np.repeat(np.arange(len(runs)), [len(of_run) for of_run in demands]),
        )


@dataclass(frozen=True, kw_only=True)
class BoundStructure:
    """Counts of layers: [layers, terms], and the run [layers] that each layer belongs to, ascending."""

    terms: tuple[Term, ...]
    counts: FloatArray
    steps: FloatArray
    hides: BoolArray
    run: NDArray[np.intp]

    @cached_property
    def _role(self) -> dict[Role, BoolArray]:
        return {role: np.array([term.role == role for term in self.terms]) for role in Role}

    def cycles(self, theta: FloatArray) -> FloatArray:
        """Return [..., runs] cycles, as :class:`cost_models.calibration.timing_model.BoundModel` describes."""
        times, unhidden = self._times(theta)
        step, load, tile, alone = (times[..., self._role[role]].sum(axis=-1) for role in Role)
        n = self.steps
        inner = np.maximum(step, load) + unhidden * np.minimum(step, load)
        outer = np.maximum(tile, load / n) + unhidden * np.minimum(tile, load / n)
        layers = alone + step / n + (1 - 1 / n) * inner + outer
        starts = np.flatnonzero(np.diff(self.run, prepend=-1))
        return np.add.reduceat(layers, starts, axis=-1)

    def _times(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return [..., layers, terms] the time of each term, and [..., layers] the unhidden share."""
        values = np.exp(theta)
        values = values if values.ndim == 1 else values[..., self.run, :]
        return values[..., :-1] * self.counts, np.where(self.hides, np.minimum(values[..., -1], 1.0), 1.0)

    def parts(self, theta: FloatArray) -> dict[str, FloatArray]:
        """Return [runs] visible cycles by the kind of the terms."""
        times, unhidden = self._times(theta)
        step, load, tile = (times[..., self._role[role]].sum(axis=-1) for role in (Role.STEP, Role.LOAD, Role.TILE))
        n = self.steps
        shown = {
            Role.STEP: 1 / n + (1 - 1 / n) * np.where(step >= load, 1, unhidden),
            Role.LOAD: (1 - 1 / n) * np.where(step >= load, unhidden, 1) + np.where(tile >= load / n, unhidden, 1) / n,
            Role.TILE: np.where(tile >= load / n, 1, unhidden),
            Role.ALONE: np.ones(len(n)),
        }
        kinds: dict[str, FloatArray] = {}
        for index, term in enumerate(self.terms):
            visible = np.bincount(self.run, times[:, index] * shown[term.role], minlength=int(self.run[-1]) + 1)
            kinds[term.kind] = kinds.get(term.kind, 0.0) + visible
        return kinds
