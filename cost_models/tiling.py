"""What a tiling implies, as arrays: how many tiles, how large the full and the last ones, what each moves and computes.

Arrays broadcast over cases (a case is one layer on one accelerator; the first axis) and tile sizes. Channel quantities
come in the classes BODY (all but the last, full tiles) and LAST of an axis. Pixels come also in FIRST and MIDDLE, as
halos are clipped at the borders of the map; BODY is then the mean of both. Where an axis has a single tile, all classes
are that tile.
"""

from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_models.layer_columns import LayerColumns
from cost_models.workload import Operation
from hw_templates.accelerator import PARAMETERS, AcceleratorColumns, ifmap_cols, weight_port_bytes

Array = NDArray[Any]

FIRST, MIDDLE, BODY, LAST = 0, 1, 2, 3
CHANNEL_CLASSES = tuple((m, n) for m in (BODY, LAST) for n in (BODY, LAST))


# At most 3 rows of padding: no tile but the first and last three along an axis touches it.
_BORDER_TILES = 3


@dataclass(frozen=True)
class Engine:
    """Accelerator parameters [A] in the floating type of the calculation."""

    rows: Array
    cols: Array
    pixels: Array
    lanes: Array
    line: Array
    word: Array
    weight_word: Array
    clock_mhz: Array

    @classmethod
    def of(cls, accelerators: AcceleratorColumns, dtype: type[np.floating[Any]]) -> "Engine":
        """The parameters that tiling depends on; whole numbers below 2**24, so exact in float32."""
        values = {name: getattr(accelerators, name).astype(dtype) for name in PARAMETERS}
        return cls(
            rows=values["pe_rows"],
            cols=values["pe_cols"],
            pixels=values["pe_pixels"],
            lanes=values["depthwise_lanes"],
            line=ifmap_cols(accelerators).astype(dtype),
            word=values["axi_bits"] / dtype(8),
            weight_word=weight_port_bytes(accelerators).astype(dtype),
            clock_mhz=values["clock_mhz"],
        )

    def column(self) -> "Engine":
        """The parameters as [A, 1, 1]."""
        return Engine(*(getattr(self, field.name)[:, None, None] for field in fields(self)))


@dataclass(frozen=True)
class Split:
    """An axis cut into ``count`` tiles: sizes of the full ones and of the last one."""

    count: Array
    full: Array
    last: Array

    @classmethod
    def of(cls, extent: Array, tile: Array) -> "Split":
        """Tiles of ``tile`` units along ``extent``."""
        count = np.ceil(extent / tile)
        return cls(count, np.minimum(tile, extent), extent - (count - 1) * tile)

    def at(self, edge: int) -> Array:
        """Size of a tile of that class; all but the last are full."""
        return self.last if edge == LAST else self.full

    def groups(self, unit: Array) -> "Split":
        """The same tiles counted in groups of ``unit``, each rounded up."""
        return Split(self.count, np.ceil(self.full / unit), np.ceil(self.last / unit))

    @property
    def total(self) -> Array:
        """Sum over the tiles."""
        return (self.count - 1) * self.full + self.last


@dataclass(frozen=True)
class Halo:
    """Rows or columns of the input that the tiles of an axis read, clipped at the borders of the map.

    Each quantity is a tuple over the classes FIRST, MIDDLE, BODY and LAST.

    Attributes:
        extent: how many a tile reads, in the mean of its class.
        covering: the share of the class that reads the whole axis.
        total: sum of the extents over all tiles.
    """

    extent: tuple[Array, Array, Array, Array]
    covering: tuple[Array, Array, Array, Array]
    total: Array

    @classmethod
    def of(cls, split: Split, in_extent: Array, kernel: Array, stride: Array, padding: Array) -> "Halo":
        """Tile i of t outputs reads (t - 1) * stride + kernel inputs from i * T * stride - padding on."""
        count, out_extent = split.count, split.total
        step = split.full * stride

        def before(tile: Array) -> Array:
            clipped: Array = np.maximum(padding - tile * step, 0)
            return clipped

        def end(tile: Array) -> Array:
            return (np.minimum((tile + 1) * split.full, out_extent) - 1) * stride - padding + kernel

        def covers(tile: Array) -> Array:
            return ((tile * step <= padding) & (end(tile) >= in_extent)).astype(count.dtype)

        def beyond(tile: Array) -> Array:
            return np.maximum(end(tile) - in_extent, 0)

        zero, final = np.zeros_like(count), count - 1
        total = (out_extent - count) * stride + count * kernel
        covering = zero
        for border in range(_BORDER_TILES):
            inside = border < count
            total = total - inside * (before(zero + border) + beyond(final - border))
        for border in range(_BORDER_TILES + 1):
            covering = covering + (border < count) * covers(zero + border)
        first = (np.where(count == 1, split.last, split.full) - 1) * stride + kernel - before(zero) - beyond(zero)
        last = (split.last - 1) * stride + kernel - before(final) - beyond(final)
        return cls(_classes(count, total, first, last), _classes(count, covering, covers(zero), covers(final)), total)


def _classes(count: Array, total: Array, first: Array, last: Array) -> tuple[Array, Array, Array, Array]:
    """Values of the classes FIRST, MIDDLE, BODY and LAST that add up to ``total``; all the last where there is one."""
    middle = np.where(count > 2, (total - first - last) / np.maximum(count - 2, 1), last)
    body = np.where(count > 1, (total - last) / np.maximum(count - 1, 1), last)
    return first, middle, body, last


@dataclass(frozen=True)
class ChannelTiling:
    """Channels of a layer cut into tiles; m is the axis of output channels, n that of input channels.

    For channel-wise layers n is a single tile, and the ifmap is cut like the output channels.

    Attributes:
        outputs: groups computed at a time: of ``pe_rows``, or of ``depthwise_lanes``.
        inputs: groups of ``pe_cols``, or one.
        out_words, in_words: bus words of the channels of one pixel, or lines where they are in the map memory;
            ``in_words`` runs along n for CONV, else along m.
        weight_words: words of the weight port of a weight tile, for each (class of m, class of n).
        needs: words a bank that a full tile takes of ifmap (for one input position), weight and ofmap buffer
            (for one group of output pixels).
    """

    outputs: Split
    inputs: Split
    out_words: Split
    in_words: Split
    weight_words: dict[tuple[int, int], Array]
    needs: tuple[Array, Array, Array]

    @classmethod
    def of(cls, layers: LayerColumns, engine: Engine, tile_out: Array, tile_in: Array) -> "ChannelTiling":
        """The tiling for tile sizes [candidates, A]."""
        m = Split.of(layers.out_channels, tile_out)
        cell = engine.rows * engine.cols
        out_words = m.groups(engine.rows if layers.writes_map else engine.word)
        in_unit = engine.line if layers.reads_map else engine.word
        if layers.dense:
            n = Split.of(layers.in_channels, tile_in)
            outputs, inputs = m.groups(engine.rows), n.groups(engine.cols)
            line = layers.taps * layers.weight_bytes * cell / engine.weight_word
            weight_words = {(a, b): outputs.at(a) * inputs.at(b) * line for a, b in CHANNEL_CLASSES}
            weight_lines = np.ceil(layers.taps * layers.weight_bytes * outputs.full * inputs.full)
            needs = (n.groups(engine.line).full, weight_lines, outputs.full)
            return cls(outputs, inputs, out_words, n.groups(in_unit), weight_words, needs)
        ones = np.ones_like(m.count)
        outputs = m.groups(engine.lanes)
        weight_bytes: list[Array]
        if layers.operation == Operation.DEPTHWISE:
            channel_bytes = layers.taps * layers.weight_bytes
            weight_bytes = [channel_bytes * size * engine.lanes for size in (outputs.full, outputs.last)]
        elif layers.operation == Operation.SCALE:
            weight_bytes = [m.full, m.last]
        else:
            weight_bytes = [0 * ones, 0 * ones]
        full, last = (np.ceil(size / engine.weight_word) for size in weight_bytes)
        weight_words = {(a, b): last if a == LAST else full for a, b in CHANNEL_CLASSES}
        needs = (np.ceil(m.full / engine.line), np.ceil(weight_bytes[0] / cell), np.ceil(m.full / engine.rows))
        return cls(outputs, Split(ones, ones, ones), out_words, m.groups(in_unit), weight_words, needs)

    @property
    def all_weight_words(self) -> Array:
        """Words of the weight port of all weight tiles."""
        m, n = self.outputs.count, self.inputs.count
        parts = (
            words * (1 if a == LAST else m - 1) * (1 if b == LAST else n - 1)
            for (a, b), words in self.weight_words.items()
        )
        total: Array = sum(parts, np.zeros_like(m))
        return total


@dataclass(frozen=True)
class PixelTile:
    """A class of tiles of output pixels.

    Attributes:
        area: input pixels read.
        in_bursts: bursts that read them.
        trips: pipeline trips for one group of output and one of input channels.
        outputs: output pixels.
        out_bursts: bursts that store them.
    """

    area: Array
    in_bursts: Array
    trips: Array
    outputs: Array
    out_bursts: Array


@dataclass(frozen=True)
class PixelTiling:
    """Output pixels of a layer cut into tiles.

    Attributes:
        rows, cols: the tiles.
        groups: tiles of columns in groups of ``pe_pixels``.
        halo_rows, halo_cols: input rows and columns read.
        taps: of the kernel.
        needs: input positions a bank, and groups of output pixels, of a full tile.
        tables: the classes of tiles of all channels that were asked for so far.
    """

    rows: Split
    cols: Split
    groups: Split
    halo_rows: Halo
    halo_cols: Halo
    taps: Array
    needs: tuple[Array, Array]
    tables: dict[tuple[int, int], PixelTile] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, layers: LayerColumns, engine: Engine, tile_height: Array, tile_width: Array) -> "PixelTiling":
        """The tiling for tile sizes [candidates, A]."""
        rows, cols = Split.of(layers.out_height, tile_height), Split.of(layers.out_width, tile_width)
        groups = cols.groups(engine.pixels)
        in_rows = (rows.full - 1) * layers.stride + layers.kernel_height
        in_cols = (cols.full - 1) * layers.stride + layers.kernel_width
        col_slots = layers.stride * np.ceil(np.ceil(in_cols / layers.stride) / engine.pixels)
        return cls(
            rows=rows,
            cols=cols,
            groups=groups,
            halo_rows=Halo.of(rows, layers.in_height, layers.kernel_height, layers.stride, layers.top_padding),
            halo_cols=Halo.of(cols, layers.in_width, layers.kernel_width, layers.stride, layers.padding),
            taps=layers.taps,
            needs=(in_rows * col_slots, rows.full * groups.full),
        )

    def tile(self, row: int, col: int, whole_in: bool, whole_out: bool, candidates: NDArray[np.intp]) -> PixelTile:
        """The tiles of the given classes along rows and columns.

        A tile of all channels is read, or stored, in one burst a row, or in one where its rows are whole; any other in
        one a pixel.
        """
        if (row, col) not in self.tables:
            self.tables[row, col] = self._table(row, col)
        table = self.tables[row, col]
        area, outputs = np.take(table.area, candidates), np.take(table.outputs, candidates)
        return PixelTile(
            area=area,
            in_bursts=np.take(table.in_bursts, candidates) if whole_in else area,
            trips=np.take(table.trips, candidates),
            outputs=outputs,
            out_bursts=np.take(table.out_bursts, candidates) if whole_out else outputs,
        )

    def _table(self, row: int, col: int) -> PixelTile:
        in_rows, covering = self.halo_rows.extent[row], self.halo_cols.covering[col]
        rows, cols = self.rows.at(row), self.cols.at(col)
        return PixelTile(
            area=in_rows * self.halo_cols.extent[col],
            in_bursts=covering + (1 - covering) * in_rows,
            trips=self.taps * rows * self.groups.at(col),
            outputs=rows * cols,
            out_bursts=np.where(self.cols.count == 1, rows.dtype.type(1), rows),
        )

    @cached_property
    def counts(self) -> tuple[Array, Array]:
        """Tiles along rows and columns, for every candidate."""
        down, across = np.broadcast_arrays(self.rows.count, self.cols.count)
        return np.ascontiguousarray(down), np.ascontiguousarray(across)

    @property
    def count(self) -> Array:
        """Tiles in all."""
        return self.rows.count * self.cols.count

    @property
    def all_trips(self) -> Array:
        """Pipeline trips of all tiles for one group of output and one of input channels."""
        return self.taps * self.rows.total * self.groups.total

    @property
    def all_outputs(self) -> Array:
        """Output pixels of all tiles."""
        return self.rows.total * self.cols.total

    @property
    def area(self) -> Array:
        """Input pixels read by all tiles together."""
        return self.halo_rows.total * self.halo_cols.total
