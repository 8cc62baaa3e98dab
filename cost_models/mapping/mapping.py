"""How a layer is cut into tiles: one mapping, whether it is legal, and all mappings that are."""

import math
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from cost_models.engine.layer import EngineLayer, engine_layer
from cost_models.mapping.engine_limits import EXTENT_MAX, check_engine_runs
from cost_models.workload import Layer
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.errors import InvalidValueError, MappingError
from hw_templates.foundation.json_records import check_fields
from hw_templates.operations import Operation


class LoopOrder(StrEnum):
    """Nesting of the loops over tiles, which settles what stays in the buffers.

    PIXELS_OUTER: pixels, output channels, input channels. Sums stay while the input channels go by (output-stationary);
        where these are one tile, the ifmap stays while the output channels do (input-stationary).
    CHANNELS_OUTER: output channels, pixels, input channels. Where input channels are one tile, the weights stay while
        the pixels go by (weight-stationary).
    INPUTS_OUTER: pixels, input channels, output channels, of dense layers. The ifmap stays while the output channels go
        by (input-stationary), cut or not, as the sums of all of them stay; they are stored together.
    """

    PIXELS_OUTER = "pixels_outer"
    CHANNELS_OUTER = "channels_outer"
    INPUTS_OUTER = "inputs_outer"


@dataclass(frozen=True)
class BufferNeed:
    """The words that a tile needs in each bank of a buffer of an accelerator, and the words that the bank has."""

    buffer: str
    words: int
    depth: int
    bytes_per_word: int

    @property
    def least_kib(self) -> int:
        """Smallest buffer, in whole KiB, that holds the tile."""
        return math.ceil(self.words * self.bytes_per_word / 1024)


@dataclass(frozen=True, kw_only=True)
class Mapping:
    """Tile sizes and loop order of one layer; the last tile along an axis is whatever is left.

    Attributes:
        tile_out_channels: output channels of a tile, a multiple of ``pe_rows``.
        tile_in_channels: input channels of a tile, a multiple of ``pe_cols``. For channel-wise layers it equals
            ``tile_out_channels`` and both are a multiple of ``pe_rows`` and of ``pe_cols``.
        tile_height, tile_width: output pixels.
        loop_order: how the loops over them are nested.

    Raises:
        InvalidValueError: a field is of another type.
    """

    tile_out_channels: int
    tile_in_channels: int
    tile_height: int
    tile_width: int
    loop_order: LoopOrder

    def __post_init__(self) -> None:
        check_fields(self, "mapping")

    def check(self, layer: Layer, accelerator: Accelerator) -> None:
        """Check that the mapping of a layer is legal on an accelerator.

        Raises:
            UnsupportedLayerError: the engine cannot run the layer.
            InvalidValueError: a tile size breaks a rule of shape.
            MappingError: a second tile begins in the padding, or a tile does not fit a buffer; says what would do.
        """
        check_engine_runs(layer)
        out_unit, in_unit = channel_units(layer.operation, accelerator)
        sizes = (
            ("tile_out_channels", self.tile_out_channels, out_unit, EXTENT_MAX),
            ("tile_in_channels", self.tile_in_channels, in_unit, EXTENT_MAX),
            ("tile_height", self.tile_height, 1, layer.out_height),
            ("tile_width", self.tile_width, 1, layer.out_width),
        )
        for name, size, unit, most in sizes:
            if size < 1 or size % unit or size > most:
                raise InvalidValueError(f"mapping.{name}", size, f"a positive multiple of {unit}, at most {most}")
        for name, size, _, extent in sizes[2:]:
            if size < (least := least_size(layer, extent)):
                raise MappingError(
                    f"mapping.{name}: must be at least {least}, got {size}, or a second tile begins in the padding"
                )
        if not layer.operation.is_dense and self.tile_in_channels != self.tile_out_channels:
            raise InvalidValueError("mapping.tile_in_channels", self.tile_in_channels, "equal to tile_out_channels")
        if not layer.operation.is_dense and self.loop_order == LoopOrder.INPUTS_OUTER:
            raise InvalidValueError("mapping.loop_order", self.loop_order, f"another for {layer.operation}")
        for need in self.needs(layer, accelerator):
            if need.words > need.depth:
                raise MappingError(
                    f"{need.buffer}_kib: the tile of {layer} needs {need.words} words a bank, it has {need.depth}; "
                    f"{need.least_kib} KiB would do"
                )

    def fits(self, layer: Layer, accelerator: Accelerator) -> bool:
        """Return whether each tile fits its buffer."""
        return all(need.words <= need.depth for need in self.needs(layer, accelerator))

    def needs(self, layer: Layer, accelerator: Accelerator) -> tuple[BufferNeed, ...]:
        """Return the needs of a full tile, and of the sums that stay, in each buffer."""
        return buffer_needs(engine_layer(layer), self, accelerator)


def buffer_needs(layer: EngineLayer, mapping: Mapping, accelerator: Accelerator) -> tuple[BufferNeed, ...]:
    """Return the needs of a full tile, and of the sums that stay, in the ifmap, weight and ofmap buffers.

    The map that is added needs no more than its results: its buffer holds a word for each sum that the ofmap buffer
    holds.
    """
    rows, cols, pixels = accelerator.pe_rows, accelerator.pe_cols, accelerator.pe_pixels
    out_channels = min(mapping.tile_out_channels, layer.out_channels)
    in_channels = min(mapping.tile_in_channels, layer.in_channels)
    in_rows, in_cols = (
        (tile - 1) * layer.stride[axis] + (layer.kernel[axis] - 1) * layer.dilation[axis] + 1
        for axis, tile in enumerate((mapping.tile_height, mapping.tile_width))
    )
    # Columns lie in the phases of the stride, each of them in slots of as many columns as there are banks.
    line_words = layer.stride[1] * math.ceil(math.ceil(in_cols / layer.stride[1]) / pixels)
    lines = 0 if layer.operation.is_weightless else weight_lines(layer, out_channels, in_channels, accelerator)
    kept = layer.out_channels if mapping.loop_order == LoopOrder.INPUTS_OUTER else out_channels
    sums = math.ceil(kept / rows) * mapping.tile_height * math.ceil(mapping.tile_width / pixels)
    ifmap_words = math.ceil(in_channels / cols) * in_rows * line_words
    return (
        BufferNeed("ifmap", ifmap_words, accelerator.ifmap_depth, pixels * cols),
        BufferNeed("weight", math.ceil(lines * layer.weight_bits / 8), accelerator.weight_depth, rows * cols),
        BufferNeed("ofmap", sums, accelerator.ofmap_depth, 4 * rows * pixels),
    )


def weight_lines(layer: EngineLayer, out_channels: int, in_channels: int, accelerator: Accelerator) -> int:
    """Return the lines of ``pe_rows`` x ``pe_cols`` weights, of 8 bits each, of a tile of a layer that has weights."""
    if layer.operation.is_dense:
        groups = math.ceil(out_channels / accelerator.pe_rows) * math.ceil(in_channels / accelerator.pe_cols)
        return groups * layer.taps
    return math.ceil(math.ceil(out_channels / accelerator.lanes) * layer.taps / accelerator.channelwise_steps)


def channel_units(operation: Operation, accelerator: Accelerator) -> tuple[int, int]:
    """Return the units that the output and input channels of a tile must be multiples of."""
    if operation.is_dense:
        return accelerator.pe_rows, accelerator.pe_cols
    unit = math.lcm(accelerator.pe_rows, accelerator.pe_cols)
    return unit, unit


def even_sizes(extent: int) -> tuple[int, ...]:
    """Return the least size of the parts for each number of them that cuts ``extent`` units; descending."""
    return tuple(sorted({math.ceil(extent / count) for count in range(1, extent + 1)}, reverse=True))


def least_size(layer: Layer, extent: int) -> int:
    """Return the least rows or columns of a tile, of ``extent``, whose second one does not begin in the padding."""
    return max(1, min(extent, math.ceil(layer.padding / layer.stride)))


def has_own_order(mapping: Mapping, layer: Layer) -> bool:
    """Return whether the loop order loads or stores other tiles than those before it do; else the mapper skips it."""
    is_dense, single_out = layer.operation.is_dense, mapping.tile_out_channels >= layer.out_channels
    if mapping.loop_order == LoopOrder.CHANNELS_OUTER:
        single_in = not is_dense or mapping.tile_in_channels >= layer.in_channels
        single_pixels = mapping.tile_height == layer.out_height and mapping.tile_width == layer.out_width
        return single_in and not single_out and not single_pixels
    return mapping.loop_order == LoopOrder.PIXELS_OUTER or (is_dense and not single_out)


def draw_mapping(layer: Layer, accelerator: Accelerator, rng: np.random.Generator) -> Mapping | None:
    """Return a random legal mapping, small tiles as often as large ones; None where none is legal.

    One axis after the other is cut, in random order, as evenly as that number of tiles allows.
    """
    out_unit, in_unit = channel_units(layer.operation, accelerator)
    is_dense, smallest = layer.operation.is_dense, smallest_mapping(layer, accelerator)
    orders = LoopOrder if is_dense else (LoopOrder.PIXELS_OUTER, LoopOrder.CHANNELS_OUTER)
    tiles = (replace(smallest, loop_order=order) for order in orders)
    started = [tile for tile in tiles if tile.fits(layer, accelerator)]
    if not started:
        return None
    drawn = started[rng.integers(len(started))]
    axes = [
        (
            ("tile_out_channels",) if is_dense else ("tile_out_channels", "tile_in_channels"),
            layer.out_channels,
            out_unit,
            EXTENT_MAX,
        ),
        (("tile_height",), layer.out_height, 1, layer.out_height),
        (("tile_width",), layer.out_width, 1, layer.out_width),
    ]
    if is_dense:
        axes.append((("tile_in_channels",), layer.in_channels, in_unit, EXTENT_MAX))
    for axis in rng.permutation(len(axes)):
        names, extent, unit, most = axes[axis]
        least = getattr(smallest, names[0])
        sizes = (unit * size for size in even_sizes(math.ceil(extent / unit)))
        cut = [replace(drawn, **dict.fromkeys(names, size)) for size in sizes if least <= size <= most]
        fitting = [mapping for mapping in cut if mapping.fits(layer, accelerator)]
        drawn = fitting[rng.integers(len(fitting))]
    return drawn if has_own_order(drawn, layer) else replace(drawn, loop_order=LoopOrder.PIXELS_OUTER)


def smallest_mapping(layer: Layer, accelerator: Accelerator) -> Mapping:
    """Return the mapping of the smallest tiles; where it does not fit the buffers, no mapping does."""
    out_unit, in_unit = channel_units(layer.operation, accelerator)
    return Mapping(
        tile_out_channels=out_unit,
        tile_in_channels=in_unit,
        tile_height=least_size(layer, layer.out_height),
        tile_width=least_size(layer, layer.out_width),
        loop_order=LoopOrder.PIXELS_OUTER,
    )


def no_mapping_error(name: str, layer: Layer, accelerator: Accelerator) -> MappingError:
    """Return the error for a layer of which not even the smallest tile fits; it names the buffers that must grow."""
    needs = smallest_mapping(layer, accelerator).needs(layer, accelerator)
    short = [need for need in needs if need.words > need.depth]
    wanted = ", ".join(
        f"{need.buffer}_kib at least {need.least_kib} (has {getattr(accelerator, f'{need.buffer}_kib')})"
        for need in short
    )
    return MappingError(f"layer {name}: no tile fits the accelerator; it needs {wanted}")
