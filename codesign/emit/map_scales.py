"""Activations and their tables, and the scale of every feature map, chosen by running the float network on images."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.emit.convolve import Maps, layer_sums, walk
from cost_models.workload import IMAGE, Activation, Node, Workload
from hw_templates.foundation.arrays import Float32Array, FloatArray, Int8Array
from hw_templates.foundation.errors import InvalidValueError

Floats = npt.NDArray[np.floating[Any]]
Weights = dict[str, tuple[Float32Array, Float32Array]]
"""Weight and bias of each convolution by node name: [M, C, k, k] dense, [C, 1, k, k] depthwise; bias [M]."""

SHARED_SCALE = (Activation.IDENTITY, Activation.RELU, Activation.RELU6)
"""Activations that are the identity between their bends, so one scale serves before and after them."""


_FUNCTIONS: dict[Activation, Callable[[Floats], Floats]] = {
    Activation.IDENTITY: lambda values: values,
    Activation.RELU: lambda values: values.clip(0),
    Activation.RELU6: lambda values: values.clip(0, 6),
    Activation.HSIGMOID: lambda values: (values + 3).clip(0, 6) / 6,
    Activation.HSWISH: lambda values: values * ((values + 3).clip(0, 6) / 6),
}

BINS = 8191
"""Odd, so that zero, the most common value, is the middle of a bin."""
CLIPPING = 2.0 ** (-np.arange(32) / 6)
"""Fractions of the largest value that a scale may cover: from all of it down to a 36th, a sixth of an octave apart."""


@dataclass(frozen=True)
class Grid:
    """The numbers that weights and maps may be.

    Attributes:
        bits: of a number, at most 8.
        powers_of_two: whether scales are powers of two, as in fixed point, and weights have one scale a layer.
    """

    bits: int = 8
    powers_of_two: bool = False

    @property
    def steps(self) -> int:
        """The largest number."""
        return int(2 ** (self.bits - 1)) - 1

    def scales(self, reach: Floats) -> Floats:
        """Return the scales, coarsest first, with which the largest number is at least ``reach`` [n]."""
        scales: Floats = reach / self.steps
        # Which of equals comes first does not matter; a power of two below the reach would clip more than asked.
        return 2.0 ** np.ceil(np.log2(scales)) if self.powers_of_two else scales


INT8 = Grid()


@dataclass(frozen=True, eq=False)
class MapScales:
    """Scales and means of a layer's map.

    Attributes:
        before: real value of one int8 step before the activation.
        after: real value of one int8 step after it.
        channel_means: float64 [M], mean of each channel before the activation, saturated, in steps.
    """

    before: float
    after: float
    channel_means: FloatArray


def choose_map_scales(
    workload: Workload, weights: Weights, images: Float32Array, grid: Grid = INT8
) -> tuple[float, dict[str, MapScales]]:
    """Return the input scale and the scales of every node by name, for float32 images [n, C, H, W].

    A scale is the one of :data:`CLIPPING` that makes the squared error of the layer's result least, over all pixels
    of all images: clipping the few largest values buys finer steps for the others. Before an h-swish or h-sigmoid
    the error is that of the activation, so values below -3 may clip. The network's last map is not clipped, because
    clipped logits tie. An h-sigmoid's result has the scale 1/127. Where a layer adds a residual, its scale covers
    the sum. The greatest of some values has their scale, so that a max pool rounds nothing.

    Raises:
        InvalidValueError: a map leaves the range of float32.
    """
    input_scale = best_scales(Activation.IDENTITY, images, CLIPPING, grid)[1]
    scales: dict[str, MapScales] = {}
    last = workload.nodes[-1].name

    def compute(node: Node, reads: dict[str, Maps]) -> Maps:
        before = before_activation(node, weights, reads)
        if not np.isfinite(before).all():
            raise InvalidValueError(f"{node.name}: calibrated map", float(np.abs(before).max()), "finite")
        result = activated(node, before, reads)
        clipping = CLIPPING[:1] if node.name == last else CLIPPING
        step, after = best_scales(node.activation, before, clipping, grid)
        if node.layer.operation.selects:
            step = after = input_scale if node.ifmap == IMAGE else scales[node.ifmap].after
        elif node.adds_last:
            after = best_scales(Activation.IDENTITY, result, clipping, grid)[1]
        means = np.clip(before / step, -128, 127).mean(axis=(0, 2, 3), dtype=np.float64)
        scales[node.name] = MapScales(step, after, means)
        return result

    walk(workload, images, compute)
    return input_scale, scales


def best_scales(activation: Activation, before: Maps, clipping: Floats, grid: Grid = INT8) -> tuple[float, float]:
    """Return the best scales before and after an activation, of those that ``clipping`` allows."""
    largest = float(np.abs(before).max()) or 1.0  # a map of zeros is exact at any scale
    reach = largest * BINS / (BINS - 1)  # the middles of the outermost bins are the largest values
    counts, _ = np.histogram(before, bins=BINS, range=(-reach, reach))
    values = np.linspace(-largest, largest, BINS)[counts > 0]
    counts = counts[counts > 0]
    result = activate(activation, values)
    candidates = grid.scales(clipping * (float(np.abs(result).max()) or largest))
    after = float(min(candidates, key=lambda s: counts @ (to_grid(result, s, grid.bits) * s - result) ** 2))
    if activation in SHARED_SCALE:
        return after, after
    candidates = grid.scales(clipping * largest)
    step = float(min(candidates, key=lambda s: counts @ (activate(activation, to_grid(values, s) * s) - result) ** 2))
    return step, 1 / INT8.steps if activation == Activation.HSIGMOID else after


def before_activation(node: Node, weights: Weights, reads: dict[str, Maps]) -> Maps:
    """Compute the values [n, M, OH, OW] before a node's activation from the maps that it reads, by role."""
    weight, bias = weights.get(node.name, (None, np.zeros(node.layer.out_channels, np.float32)))
    sums = layer_sums(node.layer, reads["ifmap"], weight, reads.get("gate"))
    if node.layer.operation.averages:
        sums = sums / node.layer.taps
    before: Maps = sums + bias[:, None, None]
    return before + reads["residual"] if "residual" in reads and not node.adds_last else before


def activated(node: Node, values: Maps, reads: dict[str, Maps]) -> Maps:
    """Compute a node's map from the values before its activation and the maps that it reads, by role."""
    after: Maps = activate(node.activation, values)
    return after + reads["residual"] if node.adds_last else after


def activate(activation: Activation, values: Floats) -> Floats:
    """Apply an activation; h-swish and h-sigmoid as in MobileNetV3 (Howard et al. 2019, section 5.2)."""
    return _FUNCTIONS[activation](values)


def to_grid(values: Floats, scale: float | Floats, bits: int = 8) -> Floats:
    """Return the nearest multiples of ``scale`` (broadcast) as whole floats of ``bits`` bits; halves go up."""
    nearest: Floats = np.floor(values / scale + 0.5)
    return nearest.clip(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def activation_table(activation: Activation, scale_before: float, scale_after: float, bits: int = 8) -> Int8Array:
    """Return the int8 [256] table whose entry q + 128 is the activation of q * scale_before in units of scale_after.

    Entries have ``bits`` bits.
    """
    before = np.arange(-128, 128, dtype=np.float64)
    if activation == Activation.IDENTITY and scale_before == scale_after:
        return to_grid(before, 1.0, bits).astype(np.int8)
    return to_grid(activate(activation, before * scale_before), scale_after, bits).astype(np.int8)
