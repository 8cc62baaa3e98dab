"""Layers as arrays of records, for prices that kernels calculate."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_models.closed_form.compiled import record_dtype
from cost_models.mapping.engine_limits import check_engine_runs
from cost_models.mapping.placement import IN_MEMORY, Placement
from cost_models.workload import Layer


class LayerRecord:
    """One layer; the fields are those of :class:`Layer`, as numbers.

    Attributes:
        dense: whether input and output channels are cut apart: a convolution.
        gate: whether the weights are one for each channel, from a map: a scale.
        weightless: whether there are no weights: a pool.
        weight_bytes: what one weight takes; half a byte where it has 4 bits.
        reads_map, writes_map: whether the input and the output map are in the map memory.
        first_run, end_run: its rows of the run records.
        most_rows: output rows of the run that makes most.
    """

    dense: bool
    gate: bool
    weightless: bool
    residual: bool
    reads_map: bool
    writes_map: bool
    in_channels: float
    out_channels: float
    in_width: float
    out_height: float
    out_width: float
    kernel_height: float
    kernel_width: float
    stride: float
    padding: float
    weight_bytes: float
    macs: float
    first_run: int
    end_run: int
    most_rows: int


class RunRecord:
    """Runs of a layer that are alike: of all its rows, or of those of a band.

    Attributes:
        out_height: output rows that a run makes.
        in_height: input rows that lie in the map, of those it reads.
        top_padding: rows of padding above them.
        repeats: number of such runs.
    """

    out_height: float
    in_height: float
    top_padding: float
    repeats: float


LAYER, RUN = record_dtype(LayerRecord), record_dtype(RunRecord)
_COPIED = (
    *("residual", "in_channels", "out_channels", "in_width", "out_height", "out_width"),
    *("kernel_height", "kernel_width", "stride", "padding", "macs"),
)


@dataclass(frozen=True)
class LayerRecords:
    """Layers [L] of :class:`LayerRecord`, and their runs of :class:`RunRecord`."""

    layers: NDArray[np.void]
    runs: NDArray[np.void]

    @classmethod
    def of(cls, layers: Sequence[Layer], placements: Sequence[Placement] = ()) -> "LayerRecords":
        """Return records of layers, all from memory to memory or each with its placement.

        Raises:
            UnsupportedLayerError: the engine cannot run a layer.
        """
        for layer in layers:
            check_engine_runs(layer)
        records = np.zeros(len(layers), dtype=LAYER)
        runs: list[tuple[int, int, int, int]] = []
        for name in _COPIED:
            records[name] = [getattr(layer, name) for layer in layers]
        records["weight_bytes"] = [layer.weight_bits / 8 for layer in layers]
        records["dense"] = [layer.operation.is_dense for layer in layers]
        records["gate"] = [layer.operation.reads_gate for layer in layers]
        records["weightless"] = [layer.operation.is_weightless for layer in layers]
        for row, layer in enumerate(layers):
            placement = placements[row] if placements else IN_MEMORY
            of_layer = [_run(layer, rows, repeats) for rows, repeats in placement.runs(layer)]
            record = records[row]
            record["reads_map"], record["writes_map"] = placement.ifmap_ring > 0, placement.ofmap_ring > 0
            record["first_run"], record["end_run"] = len(runs), len(runs) + len(of_layer)
            record["most_rows"] = max(run[0] for run in of_layer)
            runs += of_layer
        return cls(records, np.array(runs, dtype=RUN))

    def take(self, index: Any) -> "LayerRecords":
        """Return the layers that an index array selects."""
        return LayerRecords(self.layers[index], self.runs)

    def __len__(self) -> int:
        return len(self.layers)


def _run(layer: Layer, rows: tuple[int, int], repeats: int) -> tuple[int, int, int, int]:
    """Return the fields of a run of output rows ``rows``, which reads only the input rows that they need."""
    first = rows[0] * layer.stride - layer.padding
    end = min(layer.in_height, (rows[1] - 1) * layer.stride - layer.padding + layer.kernel_height)
    inside = max(first, 0)
    return rows[1] - rows[0], end - inside, inside - first, repeats
