"""How a layer is cut into tiles: one mapping, whether it is legal, and the mappings that the mapper considers."""

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from cost_models.workload import Layer, Operation
from hw_templates.accelerator import Accelerator, ifmap_cols, ifmap_depth, ofmap_depth, weight_depth
from hw_templates.errors import InvalidValueError, MappingError
from hw_templates.json_records import check_fields

EXHAUSTIVE_EXTENT = 6


class LoopOrder(StrEnum):
    """How the loops over tiles are nested, which settles what stays in the buffers.

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
    """What a tile needs of one buffer of an accelerator: words of each bank, beside the words it has."""

    buffer: str
    words: int
    depth: int
    bytes_per_word: int

    @property
    def least_kib(self) -> int:
        """Smallest buffer, in whole KiB, that holds the tile."""
        return math.ceil(self.words * self.bytes_per_word / 1024)


@dataclass(frozen=True)
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
        """Say whether the mapping is legal.

        Raises:
            InvalidValueError: a tile size breaks a rule of shape.
            MappingError: a tile does not fit a buffer; names the buffer and the least size that would do.
        """
        out_unit, in_unit = channel_units(layer, accelerator)
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
        if layer.operation != Operation.CONV and self.tile_in_channels != self.tile_out_channels:
            raise InvalidValueError("mapping.tile_in_channels", self.tile_in_channels, "equal to tile_out_channels")
        if layer.operation != Operation.CONV and self.loop_order == LoopOrder.INPUTS_OUTER:
            raise InvalidValueError("mapping.loop_order", self.loop_order, f"another for {layer.operation}")
        for need in self.needs(layer, accelerator):
            if need.words > need.depth:
                raise MappingError(
                    f"{need.buffer}_kib: the tile of {layer} needs {need.words} words a bank, it has {need.depth}; "
                    f"{need.least_kib} KiB would do"
                )

    def needs(self, layer: Layer, accelerator: Accelerator) -> tuple[BufferNeed, BufferNeed, BufferNeed]:
        """What a full tile, and the sums that stay, need of the ifmap, weight and ofmap buffers."""
        rows, cols, pixels = accelerator.pe_rows, accelerator.pe_cols, accelerator.pe_pixels
        out_channels = min(self.tile_out_channels, layer.out_channels)
        in_channels = min(self.tile_in_channels, layer.in_channels)
        out_groups, in_groups = math.ceil(out_channels / rows), math.ceil(in_channels / cols)
        line = ifmap_cols(accelerator)
        taps = layer.kernel_height * layer.kernel_width
        if layer.operation == Operation.CONV:
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
                "ifmap", math.ceil(in_channels / line) * in_rows * col_slots, ifmap_depth(accelerator), pixels * line
            ),
            BufferNeed("weight", weight_words, weight_depth(accelerator), rows * cols),
            BufferNeed("ofmap", ofmap_words, ofmap_depth(accelerator), 4 * rows * pixels),
        )


def channelwise_weight_bytes(layer: Layer, channels: int, accelerator: Accelerator) -> int:
    """Bytes of weights that a tile of ``channels`` of a channel-wise layer loads: none for pools, SCALE its gate."""
    if layer.operation.is_pool:
        return 0
    if layer.operation == Operation.SCALE:
        return channels
    lanes = accelerator.depthwise_lanes
    weights = layer.kernel_height * layer.kernel_width * math.ceil(channels / lanes) * lanes
    return math.ceil(weights * layer.weight_bits / 8)


def channel_units(layer: Layer, accelerator: Accelerator) -> tuple[int, int]:
    """What the output and input channels of a tile must be multiples of."""
    if layer.operation == Operation.CONV:
        return accelerator.pe_rows, accelerator.pe_cols
    unit = math.lcm(accelerator.pe_rows, accelerator.pe_cols)
    return unit, unit


@lru_cache(maxsize=4096)
def split_sizes(extent: int) -> tuple[int, ...]:
    """Tile sizes tried for an axis of ``extent`` units, different and descending; the first covers the axis.

    Up to ``EXHAUSTIVE_EXTENT`` these are all sizes. Beyond, they are the balanced splits into 1, 2, 3, 4, 6, 8, 12,
    16, 24, ... tiles and the split into single units.
    """
    if extent <= EXHAUSTIVE_EXTENT:
        return tuple(range(extent, 0, -1))
    counts = [1] + [factor << power for power in range(extent.bit_length()) for factor in (2, 3)]
    sizes = {math.ceil(extent / count) for count in counts if count < extent} | {1}
    return tuple(sorted(sizes, reverse=True))


@lru_cache(maxsize=4096)
def channel_tiles(channels: int, unit: int) -> tuple[int, ...]:
    """Tile sizes tried along channels that come in groups of ``unit``."""
    return tuple(unit * size for size in split_sizes(math.ceil(channels / unit)))


@lru_cache(maxsize=4096)
def col_tiles(width: int, pixels: int) -> tuple[int, ...]:
    """Tile sizes tried along a row of ``width`` outputs of which ``pixels`` are computed at a time.

    Long rows are cut at whole groups of ``pixels``: a narrower tile would take as many cycles.
    """
    if width <= EXHAUSTIVE_EXTENT:
        return split_sizes(width)
    return tuple(dict.fromkeys(min(width, tile) for tile in channel_tiles(width, pixels)))


def enumerate_mappings(layer: Layer, accelerator: Accelerator) -> list[Mapping]:
    """Every mapping that the mapper considers and that fits the buffers, as plain values.

    It defines the search set of :func:`cost_models.estimate.price_layers`, which prices the same set as arrays. Loop
    orders that load and store the same tiles in each step are considered once.
    """
    out_unit, in_unit = channel_units(layer, accelerator)
    dense = layer.operation == Operation.CONV
    mappings = []
    for tile_out in channel_tiles(layer.out_channels, out_unit):
        for tile_in in channel_tiles(layer.in_channels, in_unit) if dense else (tile_out,):
            for tile_height in split_sizes(layer.out_height):
                for tile_width in col_tiles(layer.out_width, accelerator.pe_pixels):
                    orders = [LoopOrder.PIXELS_OUTER]
                    single_in = not dense or tile_in >= layer.in_channels
                    single_pixel_tile = tile_height == layer.out_height and tile_width == layer.out_width
                    if single_in and tile_out < layer.out_channels and not single_pixel_tile:
                        orders.append(LoopOrder.CHANNELS_OUTER)
                    if dense and tile_out < layer.out_channels:
                        orders.append(LoopOrder.INPUTS_OUTER)
                    for order in orders:
                        mapping = Mapping(tile_out, tile_in, tile_height, tile_width, order)
                        if all(need.words <= need.depth for need in mapping.needs(layer, accelerator)):
                            mappings.append(mapping)
    return mappings


def no_mapping_error(name: str, layer: Layer, accelerator: Accelerator) -> MappingError:
    """The error for a layer of which not even the smallest tile fits; says which buffers would have to grow."""
    out_unit, in_unit = channel_units(layer, accelerator)
    smallest = Mapping(out_unit, in_unit, 1, 1, LoopOrder.PIXELS_OUTER)
    short = [need for need in smallest.needs(layer, accelerator) if need.words > need.depth]
    wanted = ", ".join(
        f"{need.buffer}_kib at least {need.least_kib} (has {getattr(accelerator, f'{need.buffer}_kib')})"
        for need in short
    )
    return MappingError(f"layer {name}: no tile fits the accelerator; it needs {wanted}")
