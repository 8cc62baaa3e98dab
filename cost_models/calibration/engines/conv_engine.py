"""Time model of this project's engine: :mod:`cost_models.closed_form.latency` with free coefficients."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from cost_models.calibration.timing_model import Parameter
from cost_models.closed_form.layer_prices import LayerPrices, MappedLayers
from cost_models.coefficients import Coefficients, LatencyCoefficients, load_coefficients
from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.measurements.engine_run import OWN_ENGINE, EngineRun
from hw_templates.board import Board, BoardRecord, load_board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.arrays import FloatArray
from hw_templates.foundation.errors import InvalidValueError

STARTS_PER_IMAGE = "starts_per_image"
"""Setting of a measurement: the share of a start in its latency, 0 to 1; without it, a whole start."""

_NAMES = tuple(entry.name for entry in fields(LatencyCoefficients))
_MEANINGS = {
    "pipeline_depth_cycles": "filling the compute pipeline, once a step",
    "access_latency_cycles": "from a tile's first address to its first word",
    "burst_overhead_cycles": "gap before a burst",
    "slot_overhead_cycles": "starting and joining the three stages of a slot",
    "layer_overhead_cycles": "decoding a descriptor",
    "start_cycles": "a run, from the start bit to done, without its layers",
    "ddr_efficiency": "share of the board's planned bandwidth that the ports reach",
}
_SPREADS = {"ddr_efficiency": (0.85, 0.3, 0.1), "start_cycles": (500.0, 1.0, 0.5)}


def _parameter(name: str) -> Parameter:
    prior = getattr(load_coefficients().latency, name)
    median, spread, campaign_spread = _SPREADS.get(name, (prior, 1.0, 0.1))
    return Parameter(name=name, meaning=_MEANINGS[name], median=median, spread=spread, campaign_spread=campaign_spread)


@dataclass(frozen=True)
class ConvEngineModel:
    """Coefficients of :class:`LatencyCoefficients` as parameters; their prior is the set ``prior``."""

    engine: str = OWN_ENGINE

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Parameters in the order of the fields of :class:`LatencyCoefficients`."""
        return tuple(map(_parameter, _NAMES))

    def bind(self, runs: Sequence[EngineRun]) -> "BoundConvEngine":
        """Return the layers, accelerators and mappings of the runs as columns.

        Raises:
            InvalidValueError: a run is of another engine, lists no layers, ran on an unknown board, or holds more than
                one start.
        """
        layers: dict[BoardRecord, list[tuple[int, Accelerator, MappedLayer]]] = {}
        for index, run in enumerate(runs):
            if run.accelerator is None:
                raise InvalidValueError("measurement.engine", run.engine, OWN_ENGINE)
            if not run.layers:
                raise InvalidValueError(f"measurements[{index}].layers", (), f"given for {OWN_ENGINE}")
            layers.setdefault(run.board, []).extend((index, run.accelerator, ran) for ran in run.mapped_layers)
        groups = []
        for board, rows in layers.items():
            of_run, accelerators, ran = zip(*rows, strict=True)
            groups.append(_Group(np.array(of_run), MappedLayers.of(ran, accelerators, load_board(board))))
        starts = np.array([run.settings.get(STARTS_PER_IMAGE, 1.0) for run in runs])
        if (starts > 1).any():
            index = int(np.flatnonzero(starts > 1)[0])
            raise InvalidValueError(f"measurements[{index}].settings.{STARTS_PER_IMAGE}", starts[index], "0 to 1")
        return BoundConvEngine(tuple(groups), starts)

    def least_cycles(self, runs: Sequence[EngineRun]) -> FloatArray:
        """Return [runs] iterations of the array, or words of the busiest port; both are exact."""
        return self.bind(runs).least_cycles()


@dataclass(frozen=True)
class _Group:
    """Layers on one board, with the run that each belongs to."""

    run: NDArray[np.intp]
    layers: MappedLayers


@dataclass(frozen=True)
class BoundConvEngine:
    """Layers of the runs, by board, and the share of a start in each run."""

    groups: tuple[_Group, ...]
    starts: FloatArray

    @property
    def runs(self) -> int:
        """Number of runs."""
        return len(self.starts)

    def cycles(self, theta: FloatArray) -> FloatArray:
        """Return [..., runs] cycles, as :class:`cost_models.calibration.timing_model.BoundModel` describes."""
        full = np.broadcast_to(theta, (*theta.shape[:-2], self.runs, len(_NAMES)))
        flat = full.reshape(-1, self.runs, len(_NAMES))
        return np.stack([self._of(rows) for rows in flat]).reshape(full.shape[:-1])

    def _priced(self, theta: FloatArray) -> Iterator[tuple[NDArray[np.intp], LayerPrices]]:
        """Yield runs with the price of one layer of each, for layers whose runs have equal coefficients."""
        unique, which = np.unique(theta, axis=0, return_inverse=True)
        for group in self.groups:
            for index, values in enumerate(unique):
                rows = np.flatnonzero(which.ravel()[group.run] == index)
                if len(rows):
                    latency = with_latency(load_coefficients(), values)
                    yield group.run[rows], group.layers.take(rows).price(latency)

    def least_cycles(self) -> FloatArray:
        """Return [runs] cycles in which the busiest of array and ports is busy."""
        busy = np.zeros((4, self.runs))
        for group in self.groups:
            counts = _counters(group.layers.price(load_coefficients())).values()
            busy += [np.bincount(group.run, count, minlength=self.runs) for count in counts]
        least: FloatArray = busy.max(axis=0)
        return least

    def _of(self, theta: FloatArray) -> FloatArray:
        cycles: FloatArray = self.starts * np.exp(theta[:, _NAMES.index("start_cycles")])
        for run, priced in self._priced(theta):
            cycles += np.bincount(run, priced.latency_cycles, minlength=self.runs)
        return cycles

    def parts(self, theta: FloatArray) -> dict[str, FloatArray]:
        """Return [runs] cycles of the busiest of array and ports, by which it is, and all others as overhead."""
        theta = np.broadcast_to(theta, (self.runs, len(_NAMES)))
        kinds = {kind: np.zeros(self.runs) for kind in ("compute", "input", "weights", "output", "ddr")}
        for run, priced in self._priced(theta):
            busy = np.stack([*_counters(priced).values(), priced.ddr_cycles])
            busiest = busy.argmax(axis=0)
            for index, kind in enumerate(kinds):
                kinds[kind] += np.bincount(run, np.where(busiest == index, busy[index], 0), minlength=self.runs)
        return {**kinds, "overhead": self._of(theta) - sum(kinds.values())}


def stated_counters(layers: Sequence[MappedLayer], accelerator: Accelerator, board: Board) -> dict[str, FloatArray]:
    """Return [layers] of each counter that the shapes alone determine, by its name in the program format."""
    return _counters(MappedLayers.of(layers, [accelerator] * len(layers), board).price(load_coefficients()))


def _counters(priced: LayerPrices) -> dict[str, FloatArray]:
    return {
        "compute_trips": priced.iterations,
        "ifmap_words": priced.ifmap_words,
        "weight_words": priced.weight_words,
        "ofmap_words": priced.ofmap_words,
    }


def with_latency(coefficients: Coefficients, theta: FloatArray) -> Coefficients:
    """Return the set with the latency coefficients whose logarithms are ``theta``."""
    values = dict(zip(_NAMES, (float(value) for value in np.exp(theta)), strict=True))
    values["ddr_efficiency"] = min(values["ddr_efficiency"], 1.0)
    return replace(coefficients, latency=LatencyCoefficients(**values))
