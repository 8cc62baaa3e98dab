"""Many layers of one kind as columns, for prices that are calculated elementwise."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_models.placement import IN_MEMORY, Placement
from cost_models.workload import Layer, Operation

_NUMBERS = (
    "in_channels",
    "out_channels",
    "in_height",
    "in_width",
    "out_height",
    "out_width",
    "kernel_height",
    "kernel_width",
    "stride",
    "padding",
    "top_padding",
    "weight_bits",
    "macs",
)


@dataclass(frozen=True)
class Band:
    """Output rows ``begin`` to ``end`` of each layer, which so many ``repeats`` runs of it make or make alike."""

    begin: NDArray[Any]
    end: NDArray[Any]
    repeats: NDArray[Any]

    def take(self, index: Any) -> "Band":
        """What an index selects of each column."""
        return Band(self.begin[index], self.end[index], self.repeats[index])

    def astype(self, dtype: type[np.floating[Any]]) -> "Band":
        """The numbers in a floating type."""
        return Band(self.begin.astype(dtype), self.end.astype(dtype), self.repeats.astype(dtype))


@dataclass(frozen=True)
class LayerColumns:
    """Layers of one operation, all with or all without a residual; the fields are those of :class:`Layer`.

    Attributes:
        top_padding: rows of padding above; below and beside are ``padding``.
        reads_map, writes_map: whether the input and the output map are in the map memory.
        bands: the rows that the runs of each layer make; none where one run makes all.
    """

    operation: Operation
    residual: bool
    in_channels: NDArray[Any]
    out_channels: NDArray[Any]
    in_height: NDArray[Any]
    in_width: NDArray[Any]
    out_height: NDArray[Any]
    out_width: NDArray[Any]
    kernel_height: NDArray[Any]
    kernel_width: NDArray[Any]
    stride: NDArray[Any]
    padding: NDArray[Any]
    top_padding: NDArray[Any]
    weight_bits: NDArray[Any]
    macs: NDArray[Any]
    reads_map: bool = False
    writes_map: bool = False
    bands: tuple[Band, ...] = ()

    @classmethod
    def of(cls, layers: Sequence[Layer], placements: Sequence[Placement] = ()) -> "LayerColumns":
        """Columns [L] of layers of one kind, all in memory or each with its placement; these are of one kind too."""
        sources = {"top_padding": "padding"}
        numbers: dict[str, Any] = {
            name: np.array([getattr(layer, sources.get(name, name)) for layer in layers], dtype=np.int64)
            for name in _NUMBERS
        }
        columns = cls(layers[0].operation, layers[0].residual, **numbers)
        if not placements:
            return columns
        runs = [placement.runs(layer) for layer, placement in zip(layers, placements, strict=True)]
        bands = []
        for kind in range(max(map(len, runs))):
            # Layers with fewer kinds of runs repeat their first one no times.
            rows = [some[kind] if kind < len(some) else (some[0][0], 0) for some in runs]
            bands.append(Band(*np.array([(begin, end, count) for (begin, end), count in rows], dtype=np.int64).T))
        first = placements[0]
        return replace(columns, reads_map=first.ifmap_ring > 0, writes_map=first.ofmap_ring > 0, bands=tuple(bands))

    def take(self, index: Any) -> "LayerColumns":
        """What an index, a slice or a tuple of such selects of each column."""
        bands = tuple(band.take(index) for band in self.bands)
        return replace(self, bands=bands, **{name: getattr(self, name)[index] for name in _NUMBERS})

    def astype(self, dtype: type[np.floating[Any]]) -> "LayerColumns":
        """The numbers in a floating type; all but ``macs`` are small enough for float32."""
        bands = tuple(band.astype(dtype) for band in self.bands)
        return replace(self, bands=bands, **{name: getattr(self, name).astype(dtype) for name in _NUMBERS})

    def runs(self) -> "list[tuple[LayerColumns, NDArray[Any] | int]]":
        """The layers that a run sees, and how many such runs there are: all rows, or those of each band."""
        if not self.bands:
            return [(self, 1)]
        return [(self._rows(band.begin, band.end), band.repeats) for band in self.bands]

    def _rows(self, begin: NDArray[Any], end: NDArray[Any]) -> "LayerColumns":
        """Layers of these output rows only, which read only the input rows that they need."""
        first = begin * self.stride - self.padding
        beyond = np.minimum(self.in_height, (end - 1) * self.stride - self.padding + self.kernel_height)
        inside = np.maximum(first, 0)
        return replace(self, in_height=beyond - inside, out_height=end - begin, top_padding=inside - first, bands=())

    def __len__(self) -> int:
        return len(self.macs)

    @property
    def dense(self) -> bool:
        """Whether input and output channels are cut apart."""
        return self.operation == Operation.CONV

    @property
    def taps(self) -> NDArray[Any]:
        """Positions of the kernel."""
        taps: NDArray[Any] = self.kernel_height * self.kernel_width
        return taps

    @property
    def weight_bytes(self) -> NDArray[Any]:
        """What one weight takes of memory: half a byte where it has 4 bits."""
        weight_bytes: NDArray[Any] = self.weight_bits / 8
        return weight_bytes


def by_kind(layers: Sequence[Layer], placements: Sequence[Placement] = ()) -> list[NDArray[np.int64]]:
    """Indices of the layers of each kind: of those whose columns can be priced together."""
    kinds: dict[tuple[Operation, bool, bool, bool], list[int]] = {}
    for index, layer in enumerate(layers):
        placement = placements[index] if placements else IN_MEMORY
        kind = (layer.operation, layer.residual, placement.ifmap_ring > 0, placement.ofmap_ring > 0)
        kinds.setdefault(kind, []).append(index)
    return [np.array(members, dtype=np.int64) for members in kinds.values()]
