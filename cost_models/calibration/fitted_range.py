"""What measurements span, and a warning when coefficients that were fitted on them are used beyond it."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from cost_models.measurements.measurement import Measurement
from cost_models.workload import Layer, Operation
from hw_templates.conv_engine.accelerator import PARAMETERS, Accelerator
from hw_templates.foundation.errors import ExtrapolationWarning
from hw_templates.foundation.json_records import check_record

# Clocks that boards read back are off by rounding.
_SLACK = 1e-3
_SIZES = tuple(entry.name for entry in fields(Layer) if entry.name not in ("operation", "residual"))


@dataclass(frozen=True)
class FittedRange:
    """Least and greatest value of each number, and the values of what is no number, by name with its dots.

    Nothing is said of what a run does not tell, such as the accelerator of a foreign engine.
    """

    numbers: dict[str, tuple[float, float]]
    choices: dict[str, tuple[str, ...]]

    @classmethod
    def of(cls, runs: Sequence[Measurement]) -> "FittedRange":
        """Return the range that measured runs span."""
        layers = [ran.layer for run in runs for ran in run.layers]
        accelerators = [run.accelerator for run in runs if run.accelerator is not None]
        found = cls.of_layers(layers, accelerators)
        numbers = found.numbers | _span("clock_mhz", (run.clock_mhz for run in runs))
        numbers |= _span("batch", (run.batch for run in runs))
        for name in sorted({name for run in runs for name in run.settings}):
            numbers |= _span(f"settings.{name}", (run.settings[name] for run in runs if name in run.settings))
        return cls(numbers, {**found.choices, "board": tuple(sorted({run.board for run in runs}))})

    @classmethod
    def of_layers(cls, layers: Sequence[Layer], accelerators: Sequence[Accelerator]) -> "FittedRange":
        """Return the range of layers and of accelerators, which run at their own clock."""
        numbers: dict[str, tuple[float, float]] = {}
        for name in _SIZES:
            # A pool's kernel is its whole map.
            chosen = [layer for layer in layers if "kernel" not in name or layer.operation != Operation.POOL]
            numbers |= _span(f"layer.{name}", (getattr(layer, name) for layer in chosen))
        columns = {name: [getattr(accelerator, name) for accelerator in accelerators] for name in PARAMETERS}
        operations = tuple(sorted({str(layer.operation) for layer in layers}))
        return cls(numbers | cls.of_space(columns).numbers, {"layer.operation": operations} if operations else {})

    @classmethod
    def of_space(cls, choices: Mapping[str, Sequence[int]]) -> "FittedRange":
        """Return the range of accelerators whose parameters, by name, have these values."""
        numbers: dict[str, tuple[float, float]] = {}
        for name, values in choices.items():
            numbers |= _span(f"accelerator.{name}", values)
        return cls(numbers | _span("clock_mhz", choices["clock_mhz"]), {})

    def as_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {**{name: list(span) for name, span in self.numbers.items()}, **self._lists()}

    def _lists(self) -> dict[str, Any]:
        return {name: list(values) for name, values in self.choices.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "FittedRange":
        """Build the range that a parsed file holds: pairs of numbers, and lists of text.

        Raises:
            InvalidValueError: an entry is neither.
        """
        numbers, choices = {}, {}
        for name, entry in check_record(values, dict[str, list[float | str]], "fitted_on").items():
            if all(isinstance(value, str) for value in entry):
                choices[name] = check_record(entry, tuple[str, ...], f"fitted_on.{name}")
            else:
                numbers[name] = check_record(entry, tuple[float, float], f"fitted_on.{name}")
        return cls(numbers, choices)

    def outside(self, used: "FittedRange") -> list[str]:
        """One clause for each name in which ``used`` leaves this range."""
        clauses = []
        for name, (low, high) in used.numbers.items():
            if name in self.numbers:
                least, most = self.numbers[name]
                beyond = [value for value in (low, high) if not least * (1 - _SLACK) <= value <= most * (1 + _SLACK)]
                if beyond:
                    clauses.append(f"{name} {beyond[-1]:g} is outside of {least:g} to {most:g}")
        for name, values in used.choices.items():
            unknown = sorted(set(values) - set(self.choices.get(name, values)))
            if unknown:
                clauses.append(f"{name} {unknown[0]} is not among {', '.join(self.choices[name])}")
        return clauses


def _span(name: str, values: Iterable[float]) -> dict[str, tuple[float, float]]:
    found = list(values)
    return {name: (float(min(found)), float(max(found)))} if found else {}


def warn_outside(name: str, fitted: FittedRange, used: FittedRange) -> None:
    """Warn, in one line, of every parameter in which coefficients are used outside of what they were fitted on."""
    clauses = fitted.outside(used)
    if clauses:
        warnings.warn(f"coefficients {name}, as fitted: {'; '.join(clauses)}", ExtrapolationWarning, stacklevel=3)
