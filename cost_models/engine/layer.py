"""A layer as the engine runs it, more general than those of supernets, so that imported ones fit too."""

import math
from dataclasses import dataclass

from cost_models.workload import Layer
from hw_templates.operations import Operation


@dataclass(frozen=True, kw_only=True)
class EngineLayer:
    """One layer's shape.

    Attributes:
        operation: what it computes.
        in_channels, in_height, in_width: the map that it reads; with ``repeat`` as it is after repeating.
        out_channels: channels of its result.
        kernel, stride, dilation: (rows, columns).
        padding: rows above, columns left, rows below, columns right.
        pad_value: what lies outside the map.
        repeat: whether the map in memory has half the rows and columns, each of which is read twice.
        weight_bits: 8 or 4.
        residual: 0 without, 1 where a map is added before the activation table, 2 behind it.
    """

    operation: Operation
    in_channels: int
    in_height: int
    in_width: int
    out_channels: int
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    pad_value: int = 0
    repeat: bool = False
    weight_bits: int = 8
    residual: int = 0

    @property
    def out_height(self) -> int:
        """Rows of the result."""
        return self.out_size(0)

    @property
    def out_width(self) -> int:
        """Columns of the result."""
        return self.out_size(1)

    def in_size(self, axis: int) -> int:
        """Return the rows (axis 0) or columns (axis 1) of the map that is read."""
        return (self.in_height, self.in_width)[axis]

    def out_size(self, axis: int) -> int:
        """Return the rows (axis 0) or columns (axis 1) of the result."""
        size = self.in_size(axis) + self.padding[axis] + self.padding[axis + 2]
        return (size - (self.kernel[axis] - 1) * self.dilation[axis] - 1) // self.stride[axis] + 1

    @property
    def border_classes(self) -> tuple[int, int]:
        """Classes of rows and of columns that an average pool of a workload has parameters for; 0 for other layers.

        The last windows may lie half outside the map: then half as many values are averaged.
        """
        if not self.operation.averages:
            return 0, 0
        hang = (
            (self.out_size(axis) - 1) * self.stride[axis] + self.kernel[axis] > self.in_size(axis) for axis in (0, 1)
        )
        rows, cols = (1 + (hangs and self.out_size(axis) > 1) for axis, hangs in enumerate(hang))
        return rows, cols

    @property
    def taps(self) -> int:
        """Values under the kernel."""
        return math.prod(self.kernel)


def engine_layer(layer: Layer, residual: int = 0) -> EngineLayer:
    """Return a workload's layer as the engine runs it; ``residual`` as in :class:`EngineLayer`."""
    selects = layer.operation.selects
    # A pool of a whole map makes one pixel: its stride is never used.
    stride = 1 if (layer.out_height, layer.out_width) == (1, 1) and layer.operation.averages else layer.stride
    # The last windows of an average may hang over the map, as if it were padded there.
    reach = [(size - 1) * layer.stride for size in (layer.out_height, layer.out_width)]
    below = max(layer.padding, reach[0] + layer.kernel_height - layer.in_height - layer.padding)
    right = max(layer.padding, reach[1] + layer.kernel_width - layer.in_width - layer.padding)
    return EngineLayer(
        operation=layer.operation,
        in_channels=layer.in_channels,
        in_height=layer.in_height,
        in_width=layer.in_width,
        out_channels=layer.out_channels,
        kernel=(layer.kernel_height, layer.kernel_width),
        stride=(stride, stride),
        padding=(layer.padding, layer.padding, below, right),
        pad_value=-128 if selects else 0,
        weight_bits=layer.weight_bits,
        residual=residual,
    )
