"""How the tiles of a layer follow each other, and what that moves."""

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from cost_models.layer_columns import LayerColumns
from cost_models.tiling import BODY, FIRST, LAST, MIDDLE, Array, ChannelTiling, PixelTile, PixelTiling


class Inside(Enum):
    """The innermost loop that has more than one tile."""

    NONE = "none"
    INPUTS = "inputs"
    CHANNELS = "channels"
    PIXELS = "pixels"


@dataclass(frozen=True)
class Visit:
    """How tiles follow each other, which settles what stays in the buffers between steps.

    Attributes:
        inside: the innermost loop with more than one tile.
        single_out: whether one tile holds all output channels.
        many_cols: whether rows of pixels are cut.
    """

    inside: Inside
    single_out: bool
    many_cols: bool


# All visits with their numbers, as :func:`visit_numbers` gives them.
VISITS = tuple(
    Visit(inside, single_out, many_cols)
    for inside, single_out in (
        (Inside.NONE, True),
        (Inside.PIXELS, True),
        (Inside.CHANNELS, False),
        (Inside.PIXELS, False),
        (Inside.INPUTS, True),
        (Inside.INPUTS, False),
    )
    for many_cols in (False, True)
)


# [visits] whether each output tile loads the ifmap again (of a dense layer), and each pixel tile the weights.
RELOADS_IFMAP = np.array([visit.inside in (Inside.INPUTS, Inside.PIXELS) for visit in VISITS])
RELOADS_WEIGHTS = np.array([visit.inside in (Inside.INPUTS, Inside.CHANNELS) for visit in VISITS])


def visit_numbers(
    many_out: Array, many_in: Array, many_rows: Array, many_cols: Array, channels_outer: Array
) -> NDArray[np.int8]:
    """Index in ``VISITS``, of which axes are cut and of the loop order; elementwise on booleans."""
    many_pixels = many_rows | many_cols
    single_in = np.where(many_out, np.where(channels_outer & many_pixels, 3, 2), many_pixels)
    return (2 * np.where(many_in, 4 + many_out, single_in) + many_cols).astype(np.int8)


@dataclass(frozen=True)
class Line:
    """Tiles of pixels that follow each other: ``count`` of them, in the classes first, middle and last.

    ``repeats`` is how many such lines a pass over all pixels has; ``is_first`` marks the one that it begins with.
    """

    repeats: Array | int
    count: Array
    tiles: tuple[PixelTile, PixelTile, PixelTile]
    is_first: bool


class PixelTiles:
    """The classes of pixel tiles of candidates that share a :class:`Visit`."""

    def __init__(
        self, tiling: PixelTiling, visit: Visit, whole_in: bool, whole_out: bool, candidates: NDArray[np.intp]
    ) -> None:
        self._tiling = tiling
        self._whole = whole_in, whole_out
        self._candidates = candidates
        self._many_cols = visit.many_cols
        self._down, self._across = (np.take(counts, candidates) for counts in tiling.counts)
        self.first = self._tile(FIRST, FIRST if visit.many_cols else LAST)

    def _tile(self, row: int, col: int) -> PixelTile:
        return self._tiling.tile(row, col, *self._whole, self._candidates)

    def outer(self) -> list[tuple[Array | int, list[tuple[Array | int, PixelTile]]]]:
        """Rows of tiles where pixels are the outer loop: how many of a class, each with (how many, tile) along it.

        Rows that may be absent come first.
        """
        cols: list[tuple[Array | int, int]] = [(self._across - 1, BODY), (1, LAST)] if self._many_cols else [(1, LAST)]
        return [
            (times, [(repeats, self._tile(row, col)) for repeats, col in cols])
            for times, row in ((self._down - 1, BODY), (1, LAST))
        ]

    def lines(self) -> list[Line]:
        """The pixels where they are the inner loop: one column of tiles, or a first, middle and last row of them."""
        classes = (FIRST, MIDDLE, LAST)
        if not self._many_cols:
            top, middle, bottom = (self._tile(row, LAST) for row in classes)
            return [Line(1, self._down, (top, middle, bottom), is_first=True)]
        repeats: tuple[Array | int, ...] = (1, np.maximum(self._down - 2, 0), (self._down > 1) * 1)
        lines = []
        for row, times in zip(classes, repeats, strict=True):
            left, middle, right = (self._tile(row, col) for col in classes)
            lines.append(Line(times, self._across, (left, middle, right), is_first=row == FIRST))
        return lines


_COUNTS = ("trips", "ifmap_words", "weight_words", "ofmap_words", "residual_words")


@dataclass(frozen=True)
class Traffic:
    """Exact totals of a layer: words that the ports move, each its own, and trips of the compute pipeline.

    Where a map is in the map memory, its words are lines of that memory, and do not pass the DDR.
    """

    trips: Array
    ifmap_words: Array
    weight_words: Array
    ofmap_words: Array
    residual_words: Array
    reads_map: bool = False
    writes_map: bool = False

    @classmethod
    def of(
        cls,
        layers: LayerColumns,
        channels: ChannelTiling,
        pixels: PixelTiling,
        ifmap_passes: Array,
        weight_passes: Array,
    ) -> "Traffic":
        """Totals over all tiles, where the whole ifmap and all weights are loaded so many times."""
        trips = channels.outputs.total * channels.inputs.total * pixels.all_trips
        ifmap_words = channels.in_words.total * pixels.area * ifmap_passes
        weight_words = channels.all_weight_words * weight_passes
        ofmap_words = channels.out_words.total * (layers.out_height * layers.out_width)
        residual_words = ofmap_words * float(layers.residual)
        maps = layers.reads_map, layers.writes_map
        return cls(trips, ifmap_words, weight_words, ofmap_words, residual_words, *maps)

    def times(self, repeats: Array | int) -> "Traffic":
        """So many times this."""
        return replace(self, **{name: getattr(self, name) * repeats for name in _COUNTS})

    def plus(self, other: "Traffic") -> "Traffic":
        """Both together."""
        return replace(self, **{name: getattr(self, name) + getattr(other, name) for name in _COUNTS})

    @property
    def map_words(self) -> Array:
        """Words of maps that pass the DDR."""
        words = self.residual_words if self.reads_map else self.residual_words + self.ifmap_words
        return words if self.writes_map else words + self.ofmap_words
