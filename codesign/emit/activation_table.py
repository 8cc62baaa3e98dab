"""Activations as functions and as the engine's 256-entry tables."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from cost_models.workload import Activation
from hw_templates.foundation.arrays import Int8Array

Floats = npt.NDArray[np.floating[Any]]

SHARED_SCALE = (Activation.IDENTITY, Activation.RELU, Activation.RELU6)
"""Activations that are the identity between their bends, so one scale serves before and after them."""


_FUNCTIONS: dict[Activation, Callable[[Floats], Floats]] = {
    Activation.IDENTITY: lambda values: values,
    Activation.RELU: lambda values: values.clip(0),
    Activation.RELU6: lambda values: values.clip(0, 6),
    Activation.HSIGMOID: lambda values: (values + 3).clip(0, 6) / 6,
    Activation.HSWISH: lambda values: values * ((values + 3).clip(0, 6) / 6),
}


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
