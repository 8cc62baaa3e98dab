"""All legal mappings of a layer one by one, of which the mapper must find the best."""

import itertools
import math

from cost_models.mapping.mapping import LoopOrder, Mapping, channel_units, has_own_order
from cost_models.workload import Layer
from hw_templates.conv_engine.accelerator import Accelerator


def enumerate_mappings(layer: Layer, accelerator: Accelerator) -> list[Mapping]:
    """Every legal mapping: all tile sizes along all axes.

    Sizes beyond the end of an axis, and loop orders that load and store the same tiles in each step, are considered
    once.
    """
    out_unit, in_unit = channel_units(layer.operation, accelerator)
    out_tiles = range(out_unit, layer.out_channels + out_unit, out_unit)
    if layer.operation.is_dense:
        in_tiles = range(in_unit, layer.in_channels + in_unit, in_unit)
        channels = list(itertools.product(out_tiles, in_tiles))
    else:
        channels = [(tile, tile) for tile in out_tiles]
    mappings: list[Mapping] = []
    # No second tile begins in the padding.
    least = math.ceil(layer.padding / layer.stride)
    heights, widths = (range(max(1, min(least, extent)), extent + 1) for extent in (layer.out_height, layer.out_width))
    for (tile_out, tile_in), height in itertools.product(channels, heights):
        for width in widths:
            tiles = [
                Mapping(
                    tile_out_channels=tile_out,
                    tile_in_channels=tile_in,
                    tile_height=height,
                    tile_width=width,
                    loop_order=order,
                )
                for order in LoopOrder
            ]
            if not tiles[0].fits(layer, accelerator):
                break  # nor does any other order, or any that is wider
            mappings += [tile for tile in tiles if has_own_order(tile, layer) and tile.fits(layer, accelerator)]
    return mappings
