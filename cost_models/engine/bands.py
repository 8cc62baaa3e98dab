"""Bands of a layer's rows: each is a smaller layer, which the engine runs as a step of its own."""

from dataclasses import replace

from cost_models.engine.layer import EngineLayer
from cost_models.engine.tiles import TiledLayer
from cost_models.mapping.placement import RowRange


def rows_read(layer: EngineLayer, rows: RowRange) -> RowRange:
    """Return the rows of the input map under the windows of some output rows, clipped to the map."""
    begin, end = _unclipped(layer, rows)
    first = max(begin, 0)
    return first, max(first, min(end, layer.in_height))


def band_of(tiled: TiledLayer, rows: RowRange) -> TiledLayer:
    """Return the layer that makes some output rows of a layer alone, in the same tiles.

    It reads only the rows of the map that these need, and has only the padding that their windows reach. The rows must
    be within the map, at least one.
    """
    layer = tiled.layer
    if rows == (0, layer.out_height):
        return tiled
    begin, end = _unclipped(layer, rows)
    first, behind = rows_read(layer, rows)
    band = replace(
        layer,
        in_height=behind - first,
        padding=(first - begin, layer.padding[1], end - behind, layer.padding[3]),
    )
    mapping = replace(tiled.mapping, tile_height=min(tiled.mapping.tile_height, rows[1] - rows[0]))
    return replace(tiled, layer=band, mapping=mapping)


def _unclipped(layer: EngineLayer, rows: RowRange) -> RowRange:
    """Return the rows under the windows of some output rows, also those in the padding."""
    begin = rows[0] * layer.stride[0] - layer.padding[0]
    end = (rows[1] - 1) * layer.stride[0] - layer.padding[0] + (layer.kernel[0] - 1) * layer.dilation[0] + 1
    return begin, end
