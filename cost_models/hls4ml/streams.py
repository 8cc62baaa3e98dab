"""Latency of accelerators in which every layer is hardware of its own and all run at once, as hls4ml makes them.

A layer spends ``reuse_factor`` cycles on each output pixel and begins it when the last input pixel that it needs has
arrived (a line buffer holds the rows before):

    done[o] = max(done[o - 1], arrived[last input of o]) + reuse_factor

One image through all layers, plus the time of a call (driver and DMA), is the latency. Reuse factors are rounded to
what hls4ml's ``Resource`` strategy accepts (hls4ml/backends/fpga/fpga_backend.py, get_closest_reuse_factor).
"""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hw_templates.foundation.errors import InvalidValueError


@dataclass(frozen=True, kw_only=True)
class StreamLayer:
    """A layer in hardware of its own; a dense layer reads its whole map for its one output pixel.

    Attributes:
        height, width, channels: of the input.
        outputs: output channels.
        kernel: side of the kernel; 0 for the whole map.
        stride: in both directions.
        reuse_factor: cycles an output pixel, as asked for.
    """

    height: int
    width: int
    channels: int
    outputs: int
    kernel: int
    stride: int
    reuse_factor: int

    def __post_init__(self) -> None:
        for name in ("height", "width", "channels", "outputs", "stride", "reuse_factor"):
            if getattr(self, name) < 1:
                raise InvalidValueError(f"stream_layer.{name}", getattr(self, name), "at least 1")
        if self.kernel < 0:
            raise InvalidValueError("stream_layer.kernel", self.kernel, "zero (the whole map) or more")

    @property
    def out_size(self) -> tuple[int, int]:
        """Rows and columns of the output, which padding keeps at input over stride."""
        return (1, 1) if self.kernel == 0 else (-(-self.height // self.stride), -(-self.width // self.stride))

    @property
    def cycles_per_pixel(self) -> int:
        """The nearest reuse factor that the strategy accepts."""
        taps = self.height * self.width if self.kernel == 0 else self.kernel**2
        inputs = taps * self.channels
        accepted = accepted_reuse_factors(inputs, self.outputs)
        position = bisect.bisect_left(accepted, self.reuse_factor)
        if position in (0, len(accepted)):
            return accepted[0] if position == 0 else accepted[-1]
        below, above = accepted[position - 1], accepted[position]
        return above if above - self.reuse_factor < self.reuse_factor - below else below

    def last_inputs(self) -> NDArray[np.intp]:
        """[output pixels] index of the last input pixel that each needs, rows first."""
        rows, cols = (
            _last(extent, out, self.kernel, self.stride)
            for extent, out in zip((self.height, self.width), self.out_size, strict=True)
        )
        return (rows[:, None] * self.width + cols).ravel()


def _last(extent: int, outputs: int, kernel: int, stride: int) -> NDArray[np.intp]:
    """Last input position of each output along an axis padded on both sides, more at the end."""
    if kernel == 0:
        return np.array([extent - 1])
    padding = max((outputs - 1) * stride + kernel - extent, 0)
    return np.minimum(np.arange(outputs) * stride + kernel - 1 - padding // 2, extent - 1)


@cache
def accepted_reuse_factors(inputs: int, outputs: int) -> tuple[int, ...]:
    """Ascending; of a layer that multiplies a vector of ``inputs`` with a matrix (_validate_reuse_factor there)."""
    weights = inputs * outputs
    divisors = [n for n in range(1, weights + 1) if weights % n == 0]
    return tuple(
        n for n in divisors if (n % inputs == 0 or n < inputs) and (n >= inputs or (weights // n) % outputs == 0)
    )


def stream_cycles(layers: Sequence[StreamLayer]) -> int:
    """Cycles from the first input word of an image to its last result; inputs arrive a word a cycle.

    Raises:
        InvalidValueError: no layers, or shapes that do not meet.
    """
    if not layers:
        raise InvalidValueError("stream_layers", (), "at least one layer")
    first = layers[0]
    done = first.channels * np.arange(1, first.height * first.width + 1)
    for index, layer in enumerate(layers):
        if len(done) != layer.height * layer.width:
            raise InvalidValueError(f"stream_layers[{index}].height", layer.height, f"of {len(done)} pixels")
        arrived = done[layer.last_inputs()]
        # done[o] = max over p <= o of arrived[p] + (o - p + 1) * cycles
        cycles, order = layer.cycles_per_pixel, np.arange(len(arrived))
        done = np.maximum.accumulate(arrived - order * cycles) + (order + 1) * cycles
    return int(done[-1])
