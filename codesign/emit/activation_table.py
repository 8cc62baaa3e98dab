"""The activations as functions and as the engine's 256-entry tables."""

from typing import Any, assert_never

import numpy as np
import numpy.typing as npt

from cost_models.workload import Activation

Floats = npt.NDArray[np.floating[Any]]

SHARED_SCALE = (Activation.IDENTITY, Activation.RELU, Activation.RELU6)
"""Activations that are the identity between their bends, so one scale serves before and after them."""


def activate(activation: Activation, values: Floats) -> Floats:
    """The activation of each value; h-swish and h-sigmoid as in MobileNetV3 (Howard et al. 2019, section 5.2)."""
    match activation:
        case Activation.IDENTITY:
            return values
        case Activation.RELU:
            return values.clip(0)
        case Activation.RELU6:
            return values.clip(0, 6)
        case Activation.HSIGMOID:
            gate: Floats = (values + 3).clip(0, 6) / 6
            return gate
        case Activation.HSWISH:
            return values * activate(Activation.HSIGMOID, values)
        case _:
            assert_never(activation)


def to_grid(values: Floats, scale: float | Floats, bits: int = 8) -> Floats:
    """The multiples of ``scale`` (broadcast) that are nearest to the values, as whole floats; halves go up.

    They are the integers of so many bits: int8 by default.
    """
    nearest: Floats = np.floor(values / scale + 0.5)
    return nearest.clip(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def activation_table(
    activation: Activation, scale_before: float, scale_after: float, bits: int = 8
) -> npt.NDArray[np.int8]:
    """The int8 [256] table whose entry q + 128 is the activation of q * scale_before in units of scale_after.

    Results have so many bits.
    """
    before = np.arange(-128, 128, dtype=np.float64)
    if activation == Activation.IDENTITY and scale_before == scale_after:
        return to_grid(before, 1.0, bits).astype(np.int8)
    return to_grid(activate(activation, before * scale_before), scale_after, bits).astype(np.int8)
