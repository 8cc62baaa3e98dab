"""The numbers that a cost model takes from measurements, or from a prior where there are none."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from cost_models.calibration.fitted_range import FittedRange, warn_outside
from cost_models.workload import Layer
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.atomic_file import write_text_atomically
from hw_templates.foundation.errors import InvalidValueError, UnknownNameError
from hw_templates.foundation.json_records import check_fields, check_record, parse_json, reading

COEFFICIENTS = "coefficients.json"


@dataclass(frozen=True, kw_only=True)
class LatencyCoefficients:
    """Timing of the engine and its memory ports.

    Attributes:
        pipeline_depth_cycles: fill of the compute pipeline, once a step.
        access_latency_cycles: from a tile's first address to its first word, once for each tile moved.
        burst_overhead_cycles: gap before each burst.
        slot_overhead_cycles: starting and joining the three stages, once a slot.
        layer_overhead_cycles: decoding a descriptor, once a layer.
        start_cycles: from the start bit to the first descriptor and from the last store to done, once a network.
        ddr_efficiency: share of the board's planned bandwidth that the ports reach together.
    """

    pipeline_depth_cycles: float
    access_latency_cycles: float
    burst_overhead_cycles: float
    slot_overhead_cycles: float
    layer_overhead_cycles: float
    start_cycles: float
    ddr_efficiency: float


@dataclass(frozen=True)
class EnergyCoefficients:
    """Dynamic energy of one multiply-accumulate, and of a byte read or written on chip and in DDR."""

    mac_pj: float
    buffer_pj_per_byte: float
    ddr_pj_per_byte: float


@dataclass(frozen=True, kw_only=True)
class LogicCoefficients:
    """LUTs and FFs of a design: constant parts, and of each memory port, bit of a port, product of the PE array, sum,
    requantising lane and memory bank. ``lut_per_packed_product`` holds where a DSP slice yields two products."""

    lut_base: float
    lut_per_port: float
    lut_per_port_bit: float
    lut_per_product: float
    lut_per_packed_product: float
    lut_per_sum: float
    lut_per_requantiser: float
    lut_per_bank: float
    ff_base: float
    ff_per_port: float
    ff_per_port_bit: float
    ff_per_product: float
    ff_per_sum: float
    ff_per_requantiser: float
    ff_per_bank: float


@dataclass(frozen=True, kw_only=True)
class Coefficients:
    """One set of coefficients with where it comes from.

    Attributes:
        name: as given to :func:`load_coefficients`.
        what: one sentence.
        source: literature or measurement behind the values.
        date: when they were made.
        board: the board they were fitted on, or None.
        tool_versions: tool to version behind the measured designs.
        measurements: how many runs they were fitted on; 0 for a prior.
        latency, energy, logic: the values.
        left_out_error: mean absolute error on runs left out of the fit, as a share; None for a prior.
        latency_factor: a left-out run took at most so many times longer or shorter than predicted, nine times in ten;
            None for a prior.
        fitted_on: what the runs span; None for a prior.
    """

    name: str
    what: str
    source: str
    date: str
    board: str | None
    tool_versions: dict[str, str]
    measurements: int
    latency: LatencyCoefficients
    energy: EnergyCoefficients
    logic: LogicCoefficients
    left_out_error: float | None = None
    latency_factor: float | None = None
    fitted_on: FittedRange | None = None

    def __post_init__(self) -> None:
        check_fields(self, "coefficients")
        for group in ("latency", "energy", "logic"):
            values = getattr(self, group)
            for field in fields(values):
                value = getattr(values, field.name)
                if not 0 <= value < float("inf"):
                    raise InvalidValueError(f"coefficients.{group}.{field.name}", value, "a number, zero or more")
        if self.measurements < 0:
            raise InvalidValueError("coefficients.measurements", self.measurements, "zero or more")
        if self.left_out_error is not None and not 0 <= self.left_out_error < float("inf"):
            raise InvalidValueError("coefficients.left_out_error", self.left_out_error, "zero or more, or null")
        if self.latency_factor is not None and not 1 <= self.latency_factor < float("inf"):
            raise InvalidValueError("coefficients.latency_factor", self.latency_factor, "1 or more, or null")
        if not 0 < self.latency.ddr_efficiency <= 1:
            raise InvalidValueError(
                "coefficients.latency.ddr_efficiency", self.latency.ddr_efficiency, "above 0 and at most 1"
            )

    def as_dict(self) -> dict[str, Any]:
        """The set as a file holds it."""
        fitted_on = None if self.fitted_on is None else self.fitted_on.as_dict()
        return {**asdict(self), "fitted_on": fitted_on}

    def latency_interval(self, latency_ms: float) -> tuple[float, float] | None:
        """What a predicted latency may be, nine times in ten; None for a prior, which was compared with nothing."""
        factor = self.latency_factor
        return None if factor is None else (latency_ms / factor, latency_ms * factor)

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that tell sets of other values apart."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()[:16]

    def check_use(self, board: str, layers: Sequence[Layer] = (), accelerators: Sequence[Accelerator] = ()) -> None:
        """Say whether the set is for a board, and warn of layers and accelerators beyond what it was fitted on.

        Raises:
            InvalidValueError: it was fitted on another board.
        """
        if self.board not in (None, board):
            raise InvalidValueError("coefficients.board", self.board, f"{board}, the board that is priced")
        self.warn_outside(FittedRange.of_layers(layers, accelerators))

    def warn_outside(self, used: FittedRange) -> None:
        """Warn, in one line, of what the set is used for beyond what it was fitted on."""
        if self.fitted_on is not None:
            warn_outside(self.name, self.fitted_on, used)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Coefficients":
        """Build the set that a parsed file holds.

        Raises:
            InvalidValueError: a field is unknown, missing, of another type or out of range.
        """
        stored = check_record(values, dict[str, Any], "coefficients")
        fitted_on = stored.get("fitted_on")
        coefficients = check_record({**stored, "fitted_on": None}, cls, "coefficients")
        return coefficients if fitted_on is None else replace(coefficients, fitted_on=FittedRange.from_dict(fitted_on))


def coefficient_names() -> tuple[str, ...]:
    """Names of the sets that come with the package, sorted."""
    folder = files("cost_models") / "coefficients"
    return tuple(sorted(entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json")))


def load_coefficients(name: str = "prior") -> Coefficients:
    """The set of that name: one that comes with the package, or the folder of a fit to the project's own engine.

    Raises:
        InvalidValueError: no such set, or it breaks a rule.
        StorageError: its file cannot be read.
    """
    if name in coefficient_names():
        return _packaged(name)
    path = Path(name) / COEFFICIENTS
    if not path.is_file():
        names = coefficient_names()
        expected = f"one of {', '.join(names)}, or a folder that holds {COEFFICIENTS}, as a fit to own runs leaves"
        raise UnknownNameError("coefficients", name, names, expected)
    with reading(path):
        return Coefficients.from_dict(parse_json(path.read_bytes(), dict[str, Any], "coefficients"))


@cache
def _packaged(name: str) -> Coefficients:
    content = (files("cost_models") / "coefficients" / f"{name}.json").read_bytes()
    return Coefficients.from_dict(parse_json(content, dict[str, Any], "coefficients"))


def write_coefficients(folder: Path, coefficients: Coefficients) -> None:
    """Write the set into a folder, so that :func:`load_coefficients` finds it by the folder's name.

    Raises:
        StorageError: it cannot be written.
    """
    write_text_atomically(folder / COEFFICIENTS, json.dumps(coefficients.as_dict(), indent=2) + "\n")
