"""A network in integers, as a value, and its fixed-point arithmetic as the engine does it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cost_models.workload import Node, Workload
from hw_templates.foundation.arrays import Float32Array, Int8Array, Int32Array, IntArray
from hw_templates.foundation.errors import InvalidValueError

MULTIPLIER_BITS = 16
SHIFT_MAX = 47


@dataclass(frozen=True, eq=False, kw_only=True)
class QuantisedLayer:
    """One layer in integers, as :mod:`codesign.emit.integer_reference` computes it.

    Attributes:
        node: the layer in its place.
        weight: int8 in -127..127, or -7..7 where the layer's have 4 bits; [M, C, k, k] for a convolution, [C, 1, k, k]
            for a depthwise one, otherwise None.
        bias: int32 [M], in units of one step of the products.
        multiplier: int32 [M], 0 or in 2^15..2^16-1.
        shift: int32 [M], 1..47.
        table: int8 [256], the activation of q at index q + 128.
        residual_multiplier: of the map that is added; 0 where none is.
        residual_shift: of the map that is added; 1 where none is.
    """

    node: Node
    weight: Int8Array | None
    bias: Int32Array
    multiplier: Int32Array
    shift: Int32Array
    table: Int8Array
    residual_multiplier: int
    residual_shift: int


@dataclass(frozen=True, eq=False)
class QuantisedNetwork:
    """A network in integers.

    Attributes:
        layers: in the order they run.
        input_scale: real value of one step of the input image.
        output_scale: real value of one step of the result.
    """

    layers: tuple[QuantisedLayer, ...]
    input_scale: float
    output_scale: float

    @property
    def workload(self) -> Workload:
        """The network that is priced."""
        return Workload(tuple(layer.node for layer in self.layers))


def multiplier_and_shift(factor: npt.ArrayLike, field: str) -> tuple[Int32Array, Int32Array]:
    """Return the multiplier and rounding shift with factor = multiplier / 2^shift, relative error at most 2^-16.

    The multiplier lies in [2^15, 2^16) and the shift in 1..47. A factor below 2^-32 becomes multiplier 0 and shift 1:
    it takes every 32-bit value to less than a half, which rounds to 0. A factor above 32767.5 becomes that: either
    takes every value but 0 far out of int8.

    Args:
        factor: real numbers of any shape, not negative.
        field: what the factors belong to, for the error's message.

    Raises:
        InvalidValueError: a factor is negative or not finite.
    """
    wanted = np.asarray(factor, dtype=np.float64)
    bad = wanted[~((wanted >= 0) & np.isfinite(wanted))]
    if bad.size:
        raise InvalidValueError(field, float(bad[0]), "a rescaling factor of at least 0")
    mantissa, exponent = np.frexp(np.minimum(wanted, (2**MULTIPLIER_BITS - 1) / 2))
    multiplier = np.floor(mantissa * 2**MULTIPLIER_BITS + 0.5).astype(np.int32)
    carry = multiplier >> MULTIPLIER_BITS
    shift = MULTIPLIER_BITS - exponent - carry
    vanishing = (multiplier == 0) | (shift > SHIFT_MAX)
    return np.where(vanishing, 0, multiplier >> carry).astype(np.int32), np.where(vanishing, 1, shift).astype(np.int32)


def rescale(value: Int32Array, multiplier: Any, shift: Any) -> IntArray:
    """Return (value * multiplier + 2^(shift-1)) >> shift: value * multiplier / 2^shift, halves rounded up.

    ``multiplier`` and ``shift`` are integers or int32 arrays that broadcast against ``value``.
    """
    # One floor after another is the floor of both, so that a half can be added between two shifts.
    return ((value.astype(np.int64) * multiplier >> (shift - 1)) + 1) >> 1


def saturate(value: IntArray) -> Int8Array:
    """Return the nearest int8 values."""
    return np.clip(value, -128, 127).astype(np.int8)


def check_images(field: str, workload: Workload, images: Float32Array | Int8Array) -> None:
    """Refuse, with InvalidValueError, images that are not finite [n >= 1, C, H, W] of the workload's input."""
    wanted = workload.nodes[0].layer.in_shape
    if images.ndim != 4 or images.shape[1:] != wanted or len(images) == 0:
        raise InvalidValueError(f"{field}.shape", images.shape, f"(n, {', '.join(map(str, wanted))}) with n at least 1")
    check_finite(field, images)


def check_finite(field: str, values: npt.NDArray[Any]) -> None:
    """Refuse, with InvalidValueError, values of which one is not finite."""
    bad = values[~np.isfinite(values)]
    if bad.size:
        raise InvalidValueError(field, float(bad[0]), "finite")
