"""Exact totals of a layer: the words that its ports move, and the iterations of its array.

They are products of what the tiles of channels take and of totals over all tiles of pixels.
"""

from typing import NamedTuple

from cost_models.closed_form.compiled import compiled
from cost_models.closed_form.engine_records import EngineRecord
from cost_models.closed_form.latency import has_pixels_inside
from cost_models.closed_form.layer_records import LayerRecord
from cost_models.closed_form.slots import Tiling, weight_words, whole_tiles
from cost_models.closed_form.tiling import BODY, INPUTS_OUTER, LAST, Cols, Inputs, Outputs, Rows, sum_of


class Traffic(NamedTuple):
    """Words that the ports move, each its own, and iterations of the compute pipeline.

    Where a map is in the map memory, its words are lines of that memory, and do not pass the DDR.

    Attributes:
        steps: number of tiles computed.
        ifmap_loads, weight_loads, stores: number of tiles in which each port is busy.
        ifmap_bursts, store_bursts: bursts that the loads of the ifmap and the stores take in memory.
    """

    iterations: float
    ifmap_words: float
    weight_words: float
    ofmap_words: float
    residual_words: float
    steps: float
    ifmap_loads: float
    weight_loads: float
    stores: float
    ifmap_bursts: float
    store_bursts: float


class PixelTotals(NamedTuple):
    """Sums over all tiles of output pixels of a layer.

    Attributes:
        runs: of the layer.
        tiles: how many there are.
        area: input pixels that they read.
        in_bursts: bursts that read them where a tile has all channels.
        groups: groups of ``pe_pixels`` output pixels.
        outputs: output pixels.
        out_bursts: bursts that store them where a tile has all channels.
    """

    runs: float
    tiles: float
    area: float
    in_bursts: float
    groups: float
    outputs: float
    out_bursts: float


class ChannelSums(NamedTuple):
    """Sums over all tiles of channels of a layer.

    Attributes:
        iterations: of the compute pipeline for one group of pixels.
        in_words: words of one input pixel.
        weight_words: of all weights.
        out_words: of one output pixel.
    """

    iterations: float
    in_words: float
    weight_words: float
    out_words: float


class ChannelTraffic(NamedTuple):
    """The traffic of tiles of channels in a loop order.

    Attributes:
        sums: over all tiles.
        ifmap_passes: how often the ifmap is loaded.
        steps, ifmap_loads, stores: for one tile of pixels.
        weight_loads: tiles of weights.
        stays: whether weights are loaded once a run, not once for each tile of pixels.
        whole_in, whole_out: see :class:`Tiling`.
    """

    sums: ChannelSums
    ifmap_passes: float
    steps: float
    ifmap_loads: float
    weight_loads: float
    stores: float
    stays: bool
    whole_in: bool
    whole_out: bool


@compiled
def pixel_totals(layer: LayerRecord, rows: Rows, cols: Cols) -> PixelTotals:
    """Return the totals of one run."""
    height = sum_of(rows.tiles, rows.sizes)
    covering = (cols.tiles - 1) * cols.halo.covering[BODY] + cols.halo.covering[LAST]
    return PixelTotals(
        runs=1.0,
        tiles=rows.tiles * cols.tiles,
        area=rows.halo.total * cols.halo.total,
        in_bursts=rows.tiles * covering + rows.halo.total * (cols.tiles - covering),
        groups=height * sum_of(cols.tiles, cols.groups),
        outputs=height * layer.out_width,
        out_bursts=rows.tiles if cols.tiles == 1 else height * cols.tiles,
    )


@compiled
def channel_sums(layer: LayerRecord, engine: EngineRecord, outputs: Outputs, inputs: Inputs) -> ChannelSums:
    """Return the sums over these tiles; no other cut has less than a single tile."""
    in_words = sum_of(inputs.tiles, inputs.words) if layer.dense else sum_of(outputs.tiles, outputs.inputs)
    out_groups = sum_of(outputs.tiles, outputs.groups)
    in_groups = sum_of(inputs.tiles, inputs.groups)
    return ChannelSums(
        iterations=out_groups * in_groups * layer.kernel_height * layer.kernel_width,
        in_words=in_words,
        weight_words=_all_weight_words(engine, outputs, inputs),
        out_words=sum_of(outputs.tiles, outputs.words),
    )


@compiled
def channel_traffic(
    layer: LayerRecord, sums: ChannelSums, outputs: float, inputs: float, order: int, stays: bool, reloads: bool
) -> ChannelTraffic:
    """Return the traffic of ``outputs`` tiles of output channels and ``inputs`` tiles of input channels.

    ``stays`` says whether weights stay while the pixels go by, and ``reloads`` whether the ifmap is then loaded for
    each tile of output channels.
    """
    again = layer.dense and (reloads or (inputs > 1 and order != INPUTS_OUTER))
    whole_in, whole_out = whole_tiles(layer, outputs, inputs, order)
    ifmap_passes, steps = outputs if again else 1.0, outputs * inputs
    return ChannelTraffic(
        sums=sums,
        ifmap_passes=ifmap_passes,
        steps=steps,
        ifmap_loads=(inputs if layer.dense else outputs) * ifmap_passes,
        weight_loads=0.0 if layer.weightless else steps,
        stores=1.0 if whole_out else outputs,
        stays=stays,
        whole_in=whole_in,
        whole_out=whole_out,
    )


@compiled
def _all_weight_words(engine: EngineRecord, outputs: Outputs, inputs: Inputs) -> float:
    m, n = outputs.tiles, inputs.tiles
    words = weight_words(engine, outputs, inputs, LAST, LAST)
    if m > 1:
        words += (m - 1) * weight_words(engine, outputs, inputs, BODY, LAST)
    if n > 1:
        words += (n - 1) * weight_words(engine, outputs, inputs, LAST, BODY)
        words += (m - 1) * (n - 1) * weight_words(engine, outputs, inputs, BODY, BODY)
    return words


@compiled
def moved_by(layer: LayerRecord, channels: ChannelTraffic, pixels: PixelTotals) -> Traffic:
    """Return the totals of tiles of these channels over all these tiles of pixels."""
    sums, weight_passes = channels.sums, pixels.runs if channels.stays else pixels.tiles
    ofmap_words = sums.out_words * pixels.outputs
    return Traffic(
        iterations=sums.iterations * pixels.groups,
        ifmap_words=sums.in_words * pixels.area * channels.ifmap_passes,
        weight_words=sums.weight_words * weight_passes,
        ofmap_words=ofmap_words,
        residual_words=ofmap_words if layer.residual else 0.0,
        steps=channels.steps * pixels.tiles,
        ifmap_loads=channels.ifmap_loads * pixels.tiles,
        weight_loads=channels.weight_loads * weight_passes,
        stores=channels.stores * pixels.tiles,
        ifmap_bursts=channels.ifmap_loads * (pixels.in_bursts if channels.whole_in else pixels.area),
        store_bursts=pixels.out_bursts if channels.whole_out else channels.stores * pixels.outputs,
    )


@compiled
def traffic_of(tiling: Tiling) -> Traffic:
    """Return the totals of one run of a layer."""
    layer, outputs, inputs, stays = tiling.layer, tiling.outputs, tiling.inputs, has_pixels_inside(tiling)
    sums = channel_sums(layer, tiling.engine, outputs, inputs)
    channels = channel_traffic(layer, sums, outputs.tiles, inputs.tiles, tiling.order, stays, stays)
    return moved_by(layer, channels, pixel_totals(layer, tiling.rows, tiling.cols))
