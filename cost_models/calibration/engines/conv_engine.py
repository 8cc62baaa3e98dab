"""Time model of this project's engine: :mod:`cost_models.closed_form.latency` with free coefficients."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cost_models.calibration.timing_model import Parameter, TimingModel
from cost_models.closed_form.layer_prices import LayerPrices, MappedLayers
from cost_models.coefficients import Coefficients, LatencyCoefficients, load_coefficients
from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.measurements.measurement import OWN_ENGINES, EngineRun
from hw_templates.board import Board, BoardRecord, load_board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.arrays import FloatArray
from hw_templates.foundation.errors import InvalidValueError

_MEANINGS = {
    "pipeline_depth_cycles": "filling the compute pipeline, once a step",
    "access_latency_cycles": "from a tile's first address to its first word",
    "burst_overhead_cycles": "gap before a burst",
    "slot_overhead_cycles": "starting and joining the three stages of a slot",
    "layer_overhead_cycles": "decoding a descriptor",
    "start_cycles": "a run, from the start bit to done, without its layers",
    "ddr_efficiency": "share of the board's planned bandwidth that the ports reach",
}
_NAMES = tuple(_MEANINGS)
_START = _NAMES.index("start_cycles")
_EFFICIENCY = (0.85, 0.3, 0.1)
_SPREADS = {"start_cycles": (1.0, 0.5)}


class BoundConvEngine:
    """Layers, accelerators and mappings of some runs as columns, by board; each run is one start.

    What is not fitted is the prior's of the engine's implementation.

    Raises:
        InvalidValueError: a run is of another engine, lists no layers, or ran on an unknown board.
    """

    def __init__(self, implementation: Implementation, runs: Sequence[EngineRun]) -> None:
        self._prior = load_coefficients("prior", implementation)
        self._count = len(runs)
        layers: dict[BoardRecord, list[tuple[int, Accelerator, MappedLayer]]] = {}
        for index, run in enumerate(runs):
            if run.accelerator is None:
                raise InvalidValueError("measurement.engine", run.engine, OWN_ENGINES[implementation])
            if not run.layers:
                raise InvalidValueError(f"measurements[{index}].layers", (), f"given for {OWN_ENGINES[implementation]}")
            layers.setdefault(run.board, []).extend((index, run.accelerator, ran) for ran in run.mapped_layers)
        self._groups = []
        for board, rows in layers.items():
            of_run, accelerators, ran = zip(*rows, strict=True)
            self._groups.append((np.array(of_run), MappedLayers.of(ran, accelerators, load_board(board))))

    def _priced(self, theta: FloatArray) -> Iterator[tuple[NDArray[np.intp], LayerPrices]]:
        """Yield runs with the price of one layer of each, for layers whose runs have equal coefficients."""
        unique, which = np.unique(theta, axis=0, return_inverse=True)
        for of_run, layers in self._groups:
            for index, values in enumerate(unique):
                rows = np.flatnonzero(which.ravel()[of_run] == index)
                if len(rows):
                    yield of_run[rows], layers.price(with_latency(self._prior, values), rows)

    def least_cycles(self) -> FloatArray:
        """Return [runs] iterations of the array, or words of the busiest port; both are exact."""
        busy = np.zeros((4, self._count))
        for of_run, layers in self._groups:
            counters = _counters(layers.price(self._prior))
            busy += [np.bincount(of_run, count, minlength=self._count) for count in counters.values()]
        least: FloatArray = busy.max(axis=0)
        return least

    def cycles(self, theta: FloatArray) -> FloatArray:
        """Return [runs] cycles, as :class:`cost_models.calibration.timing_model.BoundModel` describes."""
        cycles: FloatArray = np.exp(theta[:, _START])
        for runs, priced in self._priced(theta):
            cycles += np.bincount(runs, priced.latency_cycles, minlength=len(cycles))
        return cycles

    def parts(self, theta: FloatArray) -> dict[str, FloatArray]:
        """Return [runs] cycles of the busiest of array and ports, by which it is, and all others as overhead."""
        kinds = {kind: np.zeros(len(theta)) for kind in ("compute", "input", "weights", "output", "ddr")}
        for runs, priced in self._priced(theta):
            busy = np.stack([*_counters(priced).values(), priced.ddr_cycles])
            busiest = busy.argmax(axis=0)
            for index, kind in enumerate(kinds):
                kinds[kind] += np.bincount(runs, np.where(busiest == index, busy[index], 0), minlength=len(theta))
        return {**kinds, "overhead": self.cycles(theta) - sum(kinds.values())}


def _model(implementation: Implementation) -> TimingModel:
    """Return the model of an implementation, whose parameters are around its prior."""
    prior = load_coefficients("prior", implementation).latency

    def parameter(name: str, meaning: str) -> Parameter:
        if name == "ddr_efficiency":
            return Parameter(name, meaning, *_EFFICIENCY)
        return Parameter(name, meaning, getattr(prior, name), *_SPREADS.get(name, (1.0, 0.1)))

    bind = partial(BoundConvEngine, implementation)
    parameters = tuple(parameter(name, meaning) for name, meaning in _MEANINGS.items())
    return TimingModel(OWN_ENGINES[implementation], parameters, bind, lambda runs: bind(runs).least_cycles())


CONV_ENGINES = {implementation: _model(implementation) for implementation in Implementation}
"""Coefficients of :class:`LatencyCoefficients` as parameters, by implementation; around the sets ``prior``."""


def stated_counters(layers: Sequence[MappedLayer], accelerator: Accelerator, board: Board) -> dict[str, FloatArray]:
    """Return [layers] of each counter that the shapes alone determine, by its name in the program format.

    The engine counts words of memory, of which the weight port may move two at a time.
    """
    counters = _counters(MappedLayers.of(layers, [accelerator] * len(layers), board).price(load_coefficients()))
    counters["weight_words"] = counters["weight_words"] * accelerator.weight_port_words
    return counters


def _counters(priced: LayerPrices) -> dict[str, FloatArray]:
    return {
        "compute_trips": priced.iterations,
        "ifmap_words": priced.ifmap_words,
        "weight_words": priced.weight_words,
        "ofmap_words": priced.ofmap_words,
    }


def with_latency(coefficients: Coefficients, theta: FloatArray) -> Coefficients:
    """Return the set with the latency coefficients whose logarithms are ``theta``."""
    values = dict(zip(_NAMES, np.exp(theta).tolist(), strict=True))
    values["ddr_efficiency"] = min(values["ddr_efficiency"], 1.0)
    return replace(coefficients, latency=LatencyCoefficients(**values))
