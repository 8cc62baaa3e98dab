"""The numbers that a cost model takes from measurements, or from a prior where there are none."""

import json
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Any

from hw_templates.errors import InvalidValueError


@dataclass(frozen=True)
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


@dataclass(frozen=True)
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


@dataclass(frozen=True)
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

    def __post_init__(self) -> None:
        for group in ("latency", "energy", "logic"):
            values = getattr(self, group)
            for field in fields(values):
                value = getattr(values, field.name)
                if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
                    raise InvalidValueError(f"coefficients.{group}.{field.name}", value, "a number, zero or more")
        if not 0 < self.latency.ddr_efficiency <= 1:
            raise InvalidValueError(
                "coefficients.latency.ddr_efficiency", self.latency.ddr_efficiency, "above 0 and at most 1"
            )

    def as_dict(self) -> dict[str, Any]:
        """The set as a file holds it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Coefficients":
        """Coefficients of a parsed file; unknown or missing fields are errors."""
        groups = {"latency": LatencyCoefficients, "energy": EnergyCoefficients, "logic": LogicCoefficients}
        _check_fields("coefficients", cls, values)
        for name, group in groups.items():
            _check_fields(f"coefficients.{name}", group, values[name])
        return cls(**{**values, **{name: group(**values[name]) for name, group in groups.items()}})


def _check_fields(prefix: str, record: type, values: dict[str, Any]) -> None:
    expected = {field.name for field in fields(record)}
    for name in sorted(expected ^ set(values)):
        raise InvalidValueError(f"{prefix}.{name}", values.get(name), "a known field" if name in values else "given")


def coefficient_names() -> tuple[str, ...]:
    """Names of the sets that come with the package, sorted."""
    folder = files("cost_models") / "coefficients"
    return tuple(sorted(entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json")))


@cache
def load_coefficients(name: str = "prior") -> Coefficients:
    """The set of that name.

    Raises:
        InvalidValueError: no such set, or its file breaks a rule.
    """
    if name not in coefficient_names():
        raise InvalidValueError("coefficients", name, f"one of {', '.join(coefficient_names())}")
    text = (files("cost_models") / "coefficients" / f"{name}.json").read_text()
    return Coefficients.from_dict(json.loads(text))
