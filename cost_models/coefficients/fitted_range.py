"""The range that coefficients were fitted on, and a warning where they are used beyond it."""

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import TypeAlias

from cost_models.workload import Layer
from hw_templates.conv_engine.accelerator import PARAMETERS, Accelerator
from hw_templates.foundation.errors import ExtrapolationWarning, InvalidValueError

FittedRange: TypeAlias = dict[str, tuple[float | str, ...]]
"""Least and greatest value of each number, and all values of each name, by dotted parameter: ``layer.stride``.

Parameters that no run states, such as the accelerator of a foreign engine, are absent.
"""

# Clocks that boards read back are off by rounding.
_SLACK = 1e-3
_SIZES = tuple(entry.name for entry in fields(Layer) if entry.name not in ("operation", "residual"))


def range_of(layers: Sequence[Layer], accelerators: Sequence[Accelerator]) -> FittedRange:
    """Return the range of layers and of accelerators that run at their own clock."""
    # The kernel of a pool is its whole feature map.
    kernels = [layer for layer in layers if not layer.operation.averages]
    found: FittedRange = {}
    for name in _SIZES:
        found |= span(f"layer.{name}", (getattr(layer, name) for layer in (kernels if "kernel" in name else layers)))
    found |= range_of_space({name: [getattr(each, name) for each in accelerators] for name in PARAMETERS})
    operations = tuple(sorted({str(layer.operation) for layer in layers}))
    return found | ({"layer.operation": operations} if operations else {})


def range_of_space(choices: Mapping[str, Sequence[int]]) -> FittedRange:
    """Return the range of accelerators whose parameters, by name, have these values."""
    found: FittedRange = {}
    for name, values in choices.items():
        found |= span(f"accelerator.{name}", values)
    return found | span("clock_mhz", choices["clock_mhz"])


def span(name: str, values: Iterable[float]) -> FittedRange:
    """Return the range of one number; nothing where it has no values."""
    found = list(values)
    return {name: (float(min(found)), float(max(found)))} if found else {}


def check_range(name: str, fitted: FittedRange) -> None:
    """Check that every entry of a range is a pair of numbers or consists of text.

    Raises:
        InvalidValueError: an entry is neither.
    """
    for parameter, values in fitted.items():
        texts = [isinstance(value, str) for value in values]
        if not all(texts) and (any(texts) or len(values) != 2):
            raise InvalidValueError(f"{name}.{parameter}", values, "two numbers, or text")


def outside(fitted: FittedRange, used: FittedRange) -> list[str]:
    """Return a clause for each parameter in which ``used`` leaves ``fitted``."""
    clauses = []
    for name, values in used.items():
        known = fitted.get(name, values)
        unknown = sorted({value for value in values if isinstance(value, str)} - set(known))
        limits = [value for value in known if not isinstance(value, str)]
        least, most = min(limits, default=-math.inf) * (1 - _SLACK), max(limits, default=math.inf) * (1 + _SLACK)
        beyond = [value for value in values if not isinstance(value, str) and not least <= value <= most]
        if unknown:
            clauses.append(f"{name} {unknown[0]} is not among {', '.join(map(str, known))}")
        elif beyond:
            clauses.append(f"{name} {beyond[-1]:g} is outside of {limits[0]:g} to {limits[1]:g}")
    return clauses


def warn_outside(name: str, fitted: FittedRange, used: FittedRange) -> None:
    """Warn, in one line, of every parameter in which coefficients are used outside of what they were fitted on."""
    clauses = outside(fitted, used)
    if clauses:
        warnings.warn(f"coefficients {name}, as fitted: {'; '.join(clauses)}", ExtrapolationWarning, stacklevel=3)
