"""How a layer is cut into tiles: one mapping, whether it is legal, and all mappings that are."""

import math
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from cost_models.mapping.engine_limits import check_engine_runs
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
            MappingError: a tile does not fit a buffer; names the buffer and the least size that would do.
        """
        check_engine_runs(layer)
        out_unit, in_unit = channel_units(layer.operation, accelerator)
        sizes = (
            ("tile_out_channels", self.tile_out_channels, out_unit, None),
            ("tile_in_channels", self.tile_in_channels, in_unit, None),
            ("tile_height", self.tile_height, 1, layer.out_height),
            ("tile_width", self.tile_width, 1, layer.out_width),
        )
        for name, size, unit, most in sizes:
            if size < 1 or size % unit or (most is not None and size > most):
                expected = f"a positive multiple of {unit}" + (f", at most {most}" if most is not None else "")
                raise InvalidValueError(f"mapping.{name}", size, expected)
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

    def needs(self, layer: Layer, accelerator: Accelerator) -> tuple[BufferNeed, BufferNeed, BufferNeed]:
        """Return the needs of a full tile, and of the sums that stay, in the ifmap, weight and ofmap buffers."""
        rows, cols, pixels = accelerator.pe_rows, accelerator.pe_cols, accelerator.pe_pixels
        out_channels = min(self.tile_out_channels, layer.out_channels)
        in_channels = min(self.tile_in_channels, layer.in_channels)
        out_groups, in_groups = math.ceil(out_channels / rows), math.ceil(in_channels / cols)
        line = accelerator.pe_cols
        taps = layer.kernel_height * layer.kernel_width
        if layer.operation.is_dense:
            weight_words = math.ceil(out_groups * in_groups * taps * layer.weight_bits / 8)
        else:
            weight_words = math.ceil(channelwise_weight_bytes(layer, out_channels, accelerator) / (rows * cols))
        in_rows = (self.tile_height - 1) * layer.stride + layer.kernel_height
        in_cols = (self.tile_width - 1) * layer.stride + layer.kernel_width
        col_slots = layer.stride * math.ceil(math.ceil(in_cols / layer.stride) / pixels)
        sums = math.ceil(layer.out_channels / rows) if self.loop_order == LoopOrder.INPUTS_OUTER else out_groups
        ofmap_words = sums * self.tile_height * math.ceil(self.tile_width / pixels)
        return (
            BufferNeed(
                "ifmap", math.ceil(in_channels / line) * in_rows * col_slots, accelerator.ifmap_depth, pixels * line
            ),
            BufferNeed("weight", weight_words, accelerator.weight_depth, rows * cols),
            BufferNeed("ofmap", ofmap_words, accelerator.ofmap_depth, 4 * rows * pixels),
        )


def channelwise_weight_bytes(layer: Layer, channels: int, accelerator: Accelerator) -> int:
    """Return the bytes of weights that ``channels`` of a channel-wise layer load: none for pools, SCALE its gate."""
    if layer.operation.is_weightless:
        return 0
    if layer.operation.reads_gate:
        return channels
    lanes = accelerator.lanes
    weights = layer.kernel_height * layer.kernel_width * math.ceil(channels / lanes) * lanes
    return math.ceil(weights * layer.weight_bits / 8)


def channel_units(operation: Operation, accelerator: Accelerator) -> tuple[int, int]:
    """Return the units that the output and input channels of a tile must be multiples of."""
    if operation.is_dense:
        return accelerator.pe_rows, accelerator.pe_cols
    unit = math.lcm(accelerator.pe_rows, accelerator.pe_cols)
    return unit, unit


def even_sizes(extent: int) -> tuple[int, ...]:
    """Return the least size of the parts for each number of them that cuts ``extent`` units; descending."""
    return tuple(sorted({math.ceil(extent / count) for count in range(1, extent + 1)}, reverse=True))


def is_considered(mapping: Mapping, layer: Layer) -> bool:
    """Return whether the mapper considers a legal mapping.

    The loop order must load or store other tiles than those before it do, and no second tile may begin in the padding,
    where the engine's Verilog cannot begin one.
    """
    return begins_in_map(mapping, layer) and _has_own_order(mapping, layer)


def begins_in_map(mapping: Mapping, layer: Layer) -> bool:
    """Return whether no second tile begins in the padding."""
    least = least_size(layer, layer.out_height), least_size(layer, layer.out_width)
    return mapping.tile_height >= least[0] and mapping.tile_width >= least[1]


def least_size(layer: Layer, extent: int) -> int:
    """Return the least rows or columns of a tile, of ``extent``, whose second one does not begin in the padding."""
    return max(1, min(extent, math.ceil(layer.padding / layer.stride)))


def _has_own_order(mapping: Mapping, layer: Layer) -> bool:
    """Return whether the loop order loads or stores other tiles than those before it do."""
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
    is_dense = layer.operation.is_dense
    smallest = (
        Mapping(tile_out_channels=out_unit, tile_in_channels=in_unit, tile_height=1, tile_width=1, loop_order=order)
        for order in LoopOrder
    )
    started = [
        tile
        for tile in smallest
        if (is_dense or tile.loop_order != LoopOrder.INPUTS_OUTER) and tile.fits(layer, accelerator)
    ]
    if not started:
        return None
    drawn = started[rng.integers(len(started))]
    axes = [
        (
            ("tile_out_channels",) if is_dense else ("tile_out_channels", "tile_in_channels"),
            layer.out_channels,
            out_unit,
        ),
        (("tile_height",), layer.out_height, 1),
        (("tile_width",), layer.out_width, 1),
    ]
    if is_dense:
        axes.append((("tile_in_channels",), layer.in_channels, in_unit))
    for axis in rng.permutation(len(axes)):
        names, extent, unit = axes[axis]
        sizes = (unit * size for size in even_sizes(math.ceil(extent / unit)))
        cut = [replace(drawn, **dict.fromkeys(names, size)) for size in sizes]
        fitting = [mapping for mapping in cut if mapping.fits(layer, accelerator)]
        drawn = fitting[rng.integers(len(fitting))]
    return drawn if _has_own_order(drawn, layer) else replace(drawn, loop_order=LoopOrder.PIXELS_OUTER)


def no_mapping_error(name: str, layer: Layer, accelerator: Accelerator) -> MappingError:
    """Return the error for a layer of which not even the smallest tile fits; it names the buffers that must grow."""
    out_unit, in_unit = channel_units(layer.operation, accelerator)
    smallest = Mapping(
        tile_out_channels=out_unit,
        tile_in_channels=in_unit,
        tile_height=least_size(layer, layer.out_height),
        tile_width=least_size(layer, layer.out_width),
        loop_order=LoopOrder.PIXELS_OUTER,
    )
    short = [need for need in smallest.needs(layer, accelerator) if need.words > need.depth]
    wanted = ", ".join(
        f"{need.buffer}_kib at least {need.least_kib} (has {getattr(accelerator, f'{need.buffer}_kib')})"
        for need in short
    )
    return MappingError(f"layer {name}: no tile fits the accelerator; it needs {wanted}")
