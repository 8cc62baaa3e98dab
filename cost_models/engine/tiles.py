"""A layer cut into tiles for one engine: sizes of tiles, groups that are computed together, words of the buffers."""

import math
from dataclasses import dataclass

from cost_models.engine.layer import EngineLayer
from cost_models.mapping.mapping import LoopOrder, Mapping, buffer_needs, weight_lines
from hw_templates.conv_engine import isa
from hw_templates.conv_engine.engine_shape import EngineShape


@dataclass(frozen=True, kw_only=True)
class Axis:
    """Tiles along rows or columns."""

    size: int
    tile: int
    stride: int
    dilation: int
    kernel: int
    padding: int

    @property
    def tiles(self) -> int:
        """Number of tiles."""
        return math.ceil(self.size / self.tile)

    @property
    def last(self) -> int:
        """Outputs of the last tile."""
        return self.size - (self.tiles - 1) * self.tile

    def extent(self, outputs: int) -> int:
        """Return the inputs that ``outputs`` outputs read."""
        return (outputs - 1) * self.stride + (self.kernel - 1) * self.dilation + 1


@dataclass(frozen=True, kw_only=True)
class TiledLayer:
    """A layer cut into tiles for one engine: everything that its descriptor and its weights follow from."""

    layer: EngineLayer
    mapping: Mapping
    shape: EngineShape

    @property
    def dense(self) -> bool:
        """Say whether results are summed over all input channels."""
        return self.layer.operation.is_dense

    @property
    def rows(self) -> Axis:
        """Tiles along rows."""
        return self._axis(0, self.layer.out_height, self.mapping.tile_height)

    @property
    def cols(self) -> Axis:
        """Tiles along columns."""
        return self._axis(1, self.layer.out_width, self.mapping.tile_width)

    def _axis(self, index: int, size: int, tile: int) -> Axis:
        layer = self.layer
        return Axis(
            size=size,
            tile=tile,
            stride=layer.stride[index],
            dilation=layer.dilation[index],
            kernel=layer.kernel[index],
            padding=layer.padding[index],
        )

    @property
    def out_tiles(self) -> list[int]:
        """Output channels of each tile."""
        return parts(self.layer.out_channels, self.mapping.tile_out_channels)

    @property
    def in_tiles(self) -> list[int]:
        """Input channels of each tile; those of a channel-wise layer are one, as they follow its output channels."""
        return parts(self.layer.in_channels, self.mapping.tile_in_channels if self.dense else self.layer.in_channels)

    @property
    def keeps_sums(self) -> bool:
        """Say whether the sums of all output channels stay, and are stored together."""
        return self.mapping.loop_order is LoopOrder.INPUTS_OUTER

    @property
    def out_words(self) -> int:
        """Memory words of the channels of a pixel that the layer makes."""
        return math.ceil(self.layer.out_channels / self.shape.accelerator.axi_bytes)

    @property
    def slots(self) -> int:
        """Words of an ifmap bank that one phase of a row takes."""
        full = self.cols.extent(self.mapping.tile_width)
        return math.ceil(math.ceil(full / self.cols.stride) / self.shape.accelerator.pe_pixels)

    @property
    def line_words(self) -> int:
        """Words of an ifmap bank that a row takes."""
        return self.cols.stride * self.slots

    def groups_of(self, out_channels: int) -> int:
        """Return the groups of output channels that are computed one after the other."""
        return math.ceil(out_channels / (self.shape.accelerator.pe_rows if self.dense else self.shape.lanes))

    def weight_bytes(self, out_channels: int, in_channels: int) -> int:
        """Return the bytes of a tile's weights, whole beats of the weight port."""
        if self.layer.operation.is_weightless:
            return 0
        if self.layer.operation.reads_gate:
            return round_up(out_channels, self.shape.accelerator.weight_port_bytes)
        line = self.shape.accelerator.pe_rows * self.shape.accelerator.pe_cols
        lines = weight_lines(self.layer, out_channels, in_channels, self.shape.accelerator)
        if self.layer.weight_bits == 4:
            return math.ceil(lines / 2) * line
        if self.dense:
            return lines * line
        return round_up(
            self.groups_of(out_channels) * self.layer.taps * self.shape.lanes, self.shape.accelerator.weight_port_bytes
        )

    def weight_beats(self, out_channels: int, in_channels: int) -> int:
        """Return the beats of the weight port that a tile's weights take."""
        return self.weight_bytes(out_channels, in_channels) // self.shape.accelerator.weight_port_bytes

    def parameter_lines(self, edges: int) -> int:
        """Return the lines of all parameters; ``edges`` is the descriptor's field.

        A line holds the channels that are post-processed together, or a border class of an average pool, of which
        those of a row take a power of two.
        """
        if self.layer.operation.averages:
            return ((edges & 15) + (edges >> 4 & 15) + 1) << (edges >> 16)
        return math.ceil(self.layer.out_channels / self.shape.accelerator.post_lanes)

    def parameter_beats(self, edges: int) -> int:
        """Return the beats of the weight port that all parameters take; ``edges`` is the descriptor's field."""
        accelerator = self.shape.accelerator
        line_bytes = accelerator.post_lanes * isa.PARAMETERS.itemsize
        return self.parameter_lines(edges) * line_bytes // accelerator.weight_port_bytes

    def needs(self) -> tuple[tuple[str, int, int], ...]:
        """Return (buffer, words of a bank that a full tile needs, words that a half has) of each buffer."""
        needs = buffer_needs(self.layer, self.mapping, self.shape.accelerator)
        return tuple((need.buffer, need.words, need.depth) for need in needs)

    def fetch_order(self) -> list[tuple[int, int]]:
        """Return (tile of output channels, tile of input channels) as their weights lie in memory."""
        outs, ins = range(len(self.out_tiles)), range(len(self.in_tiles))
        if self.keeps_sums:
            return [(out, each) for each in ins for out in outs]
        return [(out, each) for out in outs for each in ins]


def parts(size: int, part: int) -> list[int]:
    """Return the sizes of the parts of ``size`` of which all but the last are ``part``."""
    return [min(part, size - first) for first in range(0, size, part)]


def round_up(size: int, multiple: int) -> int:
    """Return the least multiple that is at least ``size``."""
    return -(-size // multiple) * multiple
