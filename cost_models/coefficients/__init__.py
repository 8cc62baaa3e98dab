"""Fitted values with their provenance: the numbers that the cost model takes from measurements, or from a prior."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from cost_models.coefficients.fitted_range import FittedRange, check_range, range_of, warn_outside
from cost_models.workload import Layer
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.atomic_file import write_text_atomically
from hw_templates.foundation.errors import InvalidValueError, UnknownNameError
from hw_templates.foundation.json_records import check_fields, read_json

COEFFICIENTS = "coefficients.json"
_FOLDER = Path(__file__).parent


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
            for name, value in asdict(getattr(self, group)).items():
                if not 0 <= value < math.inf:
                    raise InvalidValueError(f"coefficients.{group}.{name}", value, "a number, zero or more")
        if self.measurements < 0:
            raise InvalidValueError("coefficients.measurements", self.measurements, "zero or more")
        if self.left_out_error is not None and not 0 <= self.left_out_error < math.inf:
            raise InvalidValueError("coefficients.left_out_error", self.left_out_error, "zero or more, or null")
        if self.latency_factor is not None and not 1 <= self.latency_factor < math.inf:
            raise InvalidValueError("coefficients.latency_factor", self.latency_factor, "1 or more, or null")
        if not 0 < (share := self.latency.ddr_efficiency) <= 1:
            raise InvalidValueError("coefficients.latency.ddr_efficiency", share, "above 0 and at most 1")
        check_range("coefficients.fitted_on", self.fitted_on or {})

    def latency_interval(self, latency_ms: float) -> tuple[float, float] | None:
        """Return the bounds that hold a predicted latency nine times in ten; None for a prior."""
        factor = self.latency_factor
        return None if factor is None else (latency_ms / factor, latency_ms * factor)

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that tell sets of other values apart."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    def check_use(self, board: str, layers: Sequence[Layer] = (), accelerators: Sequence[Accelerator] = ()) -> None:
        """Check that the set is for a board, and warn of layers and accelerators beyond what it was fitted on.

        Raises:
            InvalidValueError: it was fitted on another board.
        """
        if self.board not in (None, board):
            raise InvalidValueError("coefficients.board", self.board, f"{board}, the board that is priced")
        self.warn_outside(range_of(layers, accelerators))

    def warn_outside(self, used: FittedRange) -> None:
        """Warn, in one line, where ``used`` leaves the range that the set was fitted on."""
        warn_outside(self.name, self.fitted_on or {}, used)


def coefficient_names() -> tuple[str, ...]:
    """Return the names of the sets that come with the package, sorted."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.json")))


def load_coefficients(name: str = "prior") -> Coefficients:
    """Load a set of coefficients.

    Args:
        name: of a set that comes with the package, or the folder of a fit to the project's own engine.

    Raises:
        UnknownNameError: there is no such set.
        StorageError: its file cannot be read or breaks a rule.
    """
    if name in coefficient_names():
        return _packaged(name)
    path = Path(name) / COEFFICIENTS
    if not path.is_file():
        names = coefficient_names()
        expected = f"one of {', '.join(names)}, or a folder that holds {COEFFICIENTS}, as a fit to own runs leaves"
        raise UnknownNameError("coefficients", name, names, expected)
    return read_json(path, Coefficients, "`codesign calibrate fit` makes one")


@cache
def _packaged(name: str) -> Coefficients:
    return read_json(_FOLDER / f"{name}.json", Coefficients, "install the package again")


def write_coefficients(folder: Path, coefficients: Coefficients) -> None:
    """Write a set into a folder, so that :func:`load_coefficients` finds it by the folder's name.

    Raises:
        StorageError: it cannot be written.
    """
    write_text_atomically(folder / COEFFICIENTS, json.dumps(asdict(coefficients), indent=2) + "\n")
