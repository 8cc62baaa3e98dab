"""What a tiling implies, as arrays: how many tiles, how large the full and the last ones, what each moves and computes.

Arrays are [candidates, A] for A accelerators. Channel quantities come in the classes *full* and *last* of a tile along
an axis; rows of the input in the classes *first*, *middle*, *body* (mean of all but the last) and *last*, because halos
are clipped at the borders of the map. Where there is a single tile, all classes are that tile.
"""

from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_models.workload import Layer, Operation
from hw_templates.accelerator import PARAMETERS, AcceleratorColumns

Array = NDArray[Any]

FULL, LAST = 0, 1


class Inside(Enum):
    """The innermost loop with more than one tile, which settles what stays in the buffers between steps.

    PIXELS_ONLY means that no other loop has more than one tile (there may be a single step in all).
    """

    INPUTS = "inputs"
    CHANNELS = "channels"
    PIXELS = "pixels"
    PIXELS_ONLY = "pixels_only"


# At most 3 rows of padding: no tile but the first and last three along an axis touches it.
_BORDER_TILES = 3


@dataclass(frozen=True)
class Engine:
    """Accelerator parameters [A] in the floating type of the calculation."""

    rows: Array
    cols: Array
    pixels: Array
    lanes: Array
    word: Array
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
            word=values["axi_bits"] / dtype(8),
            clock_mhz=values["clock_mhz"],
        )


@dataclass(frozen=True)
class Split:
    """An axis cut into ``count`` tiles: sizes of the full ones and of the last one."""

    count: Array
    full: Array
    last: Array

    @classmethod
    def of(cls, extent: int, tile: Array) -> "Split":
        """Tiles of ``tile`` units along ``extent``."""
        count = np.ceil(extent / tile)
        return cls(count, np.minimum(tile, extent), extent - (count - 1) * tile)

    def at(self, edge: int) -> Array:
        """Size of the full or the last tile."""
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

    ``covering`` is the share of the tiles that read the whole extent.
    """

    first: Array
    middle: Array
    body: Array
    last: Array
    total: Array
    covering: Array

    @classmethod
    def of(cls, split: Split, in_extent: int, kernel: int, stride: int, padding: int) -> "Halo":
        """Tile i of t outputs reads (t - 1) * stride + kernel inputs from i * T * stride - padding on."""
        count, full, last = split.count, split.full, split.last
        out_extent = split.total
        step = full * stride

        def before(tile: Array | int) -> Array:
            return np.maximum(padding - tile * step, 0)

        def beyond(tile: Array) -> Array:
            outputs = np.minimum((tile + 1) * full, out_extent)
            return np.maximum((outputs - 1) * stride - padding + kernel - in_extent, 0)

        total = (out_extent - count) * stride + count * kernel
        for border in range(_BORDER_TILES):
            inside = border < count
            total = total - inside * (before(border) + beyond(count - 1 - border))
        zero = np.zeros_like(count)
        first = (np.where(count == 1, last, full) - 1) * stride + kernel - before(0) - beyond(zero)
        final = (last - 1) * stride + kernel - before(count - 1) - beyond(count - 1)
        middle = np.where(count > 2, (total - first - final) / np.maximum(count - 2, 1), final)
        body = np.where(count > 1, (total - final) / np.maximum(count - 1, 1), final)
        covering = zero
        for tile in range(_BORDER_TILES + 1):
            starts_outside = (tile < count) & (tile * step <= padding)
            end = (np.minimum((tile + 1) * full, out_extent) - 1) * stride - padding + kernel
            covering = covering + (starts_outside & (end >= in_extent))
        return cls(first, middle, body, final, total, covering / count)


@dataclass(frozen=True)
class ChannelTiling:
    """Channels of a layer cut into tiles; m is the axis of output channels, n that of input channels.

    For channel-wise layers n is a single tile, and the ifmap is cut like the output channels.

    Attributes:
        outputs: groups computed at a time: of ``pe_rows``, or of ``depthwise_lanes``.
        inputs: groups of ``pe_cols``, or one.
        out_words, in_words: bus words of the channels of one pixel; ``in_words`` runs along n for CONV, else along m.
        weight_words: bus words of a weight tile, for each (class of m, class of n).
        needs: words a bank that a full tile takes of ifmap (for one input position), weight and ofmap buffer
            (for one group of output pixels).
    """

    outputs: Split
    inputs: Split
    out_words: Split
    in_words: Split
    weight_words: tuple[tuple[Array, Array], tuple[Array, Array]]
    needs: tuple[Array, Array, Array]

    @classmethod
    def of(cls, layer: Layer, engine: Engine, tile_out: Array, tile_in: Array) -> "ChannelTiling":
        """The tiling for tile sizes [candidates, A]."""
        m = Split.of(layer.out_channels, tile_out)
        taps = layer.kernel_height * layer.kernel_width
        cell = engine.rows * engine.cols
        if layer.operation == Operation.CONV:
            n = Split.of(layer.in_channels, tile_in)
            outputs, inputs = m.groups(engine.rows), n.groups(engine.cols)
            line = taps * cell / engine.word
            weight_words = (
                (outputs.full * inputs.full * line, outputs.full * inputs.last * line),
                (outputs.last * inputs.full * line, outputs.last * inputs.last * line),
            )
            needs = (inputs.full, taps * outputs.full * inputs.full, outputs.full)
            return cls(outputs, inputs, m.groups(engine.word), n.groups(engine.word), weight_words, needs)
        ones = np.ones_like(m.count)
        outputs, words = m.groups(engine.lanes), m.groups(engine.word)
        if layer.operation == Operation.DEPTHWISE:
            weight_bytes = [taps * outputs.full * engine.lanes, taps * outputs.last * engine.lanes]
        elif layer.operation == Operation.SCALE:
            weight_bytes = [m.full, m.last]
        else:
            weight_bytes = [0 * ones, 0 * ones]
        full, last = (np.ceil(size / engine.word) for size in weight_bytes)
        needs = (np.ceil(m.full / engine.cols), np.ceil(weight_bytes[0] / cell), np.ceil(m.full / engine.rows))
        return cls(outputs, Split(ones, ones, ones), words, words, ((full, full), (last, last)), needs)


@dataclass(frozen=True)
class PixelTiling:
    """Output pixels of a layer cut into tiles.

    Along a row, quantities are means over the tiles of that row; along columns of tiles they come in classes.

    Attributes:
        rows, cols: the tiles.
        trips: pipeline trips a tile for one group of output and one of input channels.
        halo_rows, halo_cols: input rows and columns read.
        outputs: output pixels of a tile.
        needs: input positions a bank, and groups of output pixels, of a full tile.
    """

    rows: Split
    cols: Split
    trips: Split
    halo_rows: Halo
    halo_cols: Halo
    outputs: Split
    needs: tuple[Array, Array]

    @classmethod
    def of(cls, layer: Layer, engine: Engine, tile_height: Array, tile_width: Array) -> "PixelTiling":
        """The tiling for tile sizes [candidates, A]."""
        rows, cols = Split.of(layer.out_height, tile_height), Split.of(layer.out_width, tile_width)
        groups = cols.groups(engine.pixels)
        taps = layer.kernel_height * layer.kernel_width
        trips = taps * groups.total / cols.count
        width = layer.out_width / cols.count
        in_rows = (rows.full - 1) * layer.stride + layer.kernel_height
        in_cols = (cols.full - 1) * layer.stride + layer.kernel_width
        col_slots = layer.stride * np.ceil(np.ceil(in_cols / layer.stride) / engine.pixels)
        return cls(
            rows,
            cols,
            Split(rows.count, rows.full * trips, rows.last * trips),
            Halo.of(rows, layer.in_height, layer.kernel_height, layer.stride, layer.padding),
            Halo.of(cols, layer.in_width, layer.kernel_width, layer.stride, layer.padding),
            Split(rows.count, rows.full * width, rows.last * width),
            (in_rows * col_slots, rows.full * groups.full),
        )

    def in_sequence(self) -> "PixelTiling":
        """The same tiles as one sequence instead of rows of tiles; the mean of all but the last counts as full."""
        count, across = self.count, self.cols.count
        others = np.maximum(count - 1, 1)

        def mean(split: Split) -> Split:
            return Split(
                count, np.where(count > 1, (split.total * across - split.last) / others, split.last), split.last
            )

        halo = self.halo_rows
        between = halo.total * across - halo.first - halo.last
        middle = np.where(count > 2, between / np.maximum(count - 2, 1), halo.last)
        halo_rows = replace(halo, middle=middle)
        return replace(
            self, rows=mean(self.rows), trips=mean(self.trips), outputs=mean(self.outputs), halo_rows=halo_rows
        )

    @property
    def count(self) -> Array:
        """Tiles in all."""
        return self.rows.count * self.cols.count

    @property
    def area(self) -> Array:
        """Input pixels read by all tiles together."""
        return self.halo_rows.total * self.halo_cols.total


def take(tiling: Any, index: Array) -> Any:
    """The rows ``index`` of every array of a tiling."""

    def taken(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return value if len(value) == 1 else value[index]
        if isinstance(value, tuple):
            return tuple(taken(part) for part in value)
        return take(value, index)

    return replace(tiling, **{field.name: taken(getattr(tiling, field.name)) for field in fields(tiling)})


@dataclass(frozen=True)
class Traffic:
    """Exact totals of a layer: bus words moved, and trips of the compute pipeline."""

    trips: Array
    ifmap_words: Array
    weight_words: Array
    ofmap_words: Array
    residual_words: Array

    @classmethod
    def of(cls, layer: Layer, inside: Inside, channels: ChannelTiling, pixels: PixelTiling) -> "Traffic":
        """Totals over all tiles; a tile is loaded when it differs from the one before."""
        m, n = channels.outputs.count, channels.inputs.count
        trips = channels.outputs.total * channels.inputs.total * pixels.trips.total * pixels.cols.count
        ifmap_words = channels.in_words.total * pixels.area
        if layer.operation == Operation.CONV and inside in (Inside.INPUTS, Inside.PIXELS):
            ifmap_words = ifmap_words * m
        (full_full, full_last), (last_full, last_last) = channels.weight_words
        weight_words = (m - 1) * ((n - 1) * full_full + full_last) + (n - 1) * last_full + last_last
        if inside in (Inside.INPUTS, Inside.CHANNELS):
            weight_words = weight_words * pixels.count
        ofmap_words = channels.out_words.total * (layer.out_height * layer.out_width)
        return cls(trips, ifmap_words, weight_words, ofmap_words, ofmap_words * float(layer.residual))

    @property
    def words(self) -> Array:
        """All words that pass the DDR, without the setup."""
        return self.ifmap_words + self.weight_words + self.ofmap_words + self.residual_words
