"""Multiplication by a real factor in integers, as the engine does it."""

from typing import Any

import numpy as np
import numpy.typing as npt

from hw_templates.foundation.arrays import Int8Array, Int32Array, IntArray
from hw_templates.foundation.errors import InvalidValueError

MULTIPLIER_BITS = 16
SHIFT_MAX = 47


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
    bad = ~((wanted >= 0) & np.isfinite(wanted))
    if bad.any():
        raise InvalidValueError(field, float(wanted[bad].flat[0]), "a rescaling factor of at least 0")
    mantissa, exponent = np.frexp(np.minimum(wanted, (2**MULTIPLIER_BITS - 1) / 2))
    multiplier = np.floor(mantissa * 2**MULTIPLIER_BITS + 0.5).astype(np.int32)
    carried = multiplier == 2**MULTIPLIER_BITS
    multiplier = np.where(carried, multiplier // 2, multiplier)
    shift = MULTIPLIER_BITS - exponent - carried
    vanishing = (multiplier == 0) | (shift > SHIFT_MAX)
    return np.where(vanishing, 0, multiplier).astype(np.int32), np.where(vanishing, 1, shift).astype(np.int32)


def rescale(value: Int32Array, multiplier: Any, shift: Any) -> IntArray:
    """Return (value * multiplier + 2^(shift-1)) >> shift: value * multiplier / 2^shift, halves rounded up.

    ``multiplier`` and ``shift`` are integers or int32 arrays that broadcast against ``value``.
    """
    wide_shift = np.asarray(shift, dtype=np.int64)
    product = value.astype(np.int64) * np.asarray(multiplier, dtype=np.int64)
    return (product + (np.int64(1) << (wide_shift - 1))) >> wide_shift


def saturate(value: IntArray) -> Int8Array:
    """Return the nearest int8 values."""
    return np.clip(value, -128, 127).astype(np.int8)
