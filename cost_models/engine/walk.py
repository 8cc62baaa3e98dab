"""The tiles of a layer in the order in which the engine walks over them: one slot each, and what it fetches in it."""

from dataclasses import dataclass

import numpy as np

from cost_models.engine.tiles import TiledLayer
from cost_models.mapping.mapping import LoopOrder
from hw_templates.foundation.arrays import BoolArray, IntArray


@dataclass(frozen=True, kw_only=True, eq=False)
class TileWalk:
    """Slot by slot, arrays [slots]; source: ``rtl/tile_walk.v``.

    Attributes:
        outputs, inputs, rows, cols: index of the slot's tile along each axis.
        fetches_ifmap, fetches_weights: whether the tile's part of the map, or its weights, are not in the buffer yet.
        finishes: whether results are stored behind it.
    """

    outputs: IntArray
    inputs: IntArray
    rows: IntArray
    cols: IntArray
    fetches_ifmap: BoolArray
    fetches_weights: BoolArray
    finishes: BoolArray


def walk_tiles(tiled: TiledLayer) -> TileWalk:
    """Return the tiles of a layer in its loop order."""
    sizes = {
        "outputs": len(tiled.out_tiles),
        "inputs": len(tiled.in_tiles),
        "rows": tiled.rows.tiles,
        "cols": tiled.cols.tiles,
    }
    nest = {
        LoopOrder.PIXELS_OUTER: ("rows", "cols", "outputs", "inputs"),
        LoopOrder.CHANNELS_OUTER: ("outputs", "rows", "cols", "inputs"),
        LoopOrder.INPUTS_OUTER: ("rows", "cols", "inputs", "outputs"),
    }[tiled.mapping.loop_order]
    grid = np.indices([sizes[axis] for axis in nest]).reshape(4, -1)
    at = dict(zip(nest, grid.astype(np.int64), strict=True))

    def moved(axis: str) -> BoolArray:
        """Say where the axis' tile is another one than in the slot before."""
        other: BoolArray = np.diff(at[axis], prepend=-1) != 0
        return other

    pixels, inputs = moved("rows") | moved("cols"), moved("inputs")
    # A channel-wise layer reads the channels that it makes.
    ifmap = pixels | inputs | (moved("outputs") if not tiled.dense else False)
    weights = moved("outputs") | inputs
    last_input = at["inputs"] == sizes["inputs"] - 1
    last_output = at["outputs"] == sizes["outputs"] - 1
    finishes = last_input & (last_output | (not tiled.keeps_sums))
    return TileWalk(**at, fetches_ifmap=ifmap, fetches_weights=weights, finishes=finishes)
