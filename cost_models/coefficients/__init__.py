"""Fitted values with their provenance: the numbers that the cost model takes from measurements, or from a prior."""

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec

from cost_models.coefficients.fitted_range import FittedRange, check_range, range_of, warn_outside
from cost_models.workload import Layer
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.errors import InvalidValueError, UnknownNameError
from hw_templates.foundation.json_records import Record, ZeroOrMore, check_fields, read_json, write_record

Share = Annotated[float, msgspec.Meta(gt=0, le=1, description="above 0 and at most 1")]
COEFFICIENTS = "coefficients.json"
FOLDER = Path(__file__).parent


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

    pipeline_depth_cycles: ZeroOrMore
    access_latency_cycles: ZeroOrMore
    burst_overhead_cycles: ZeroOrMore
    slot_overhead_cycles: ZeroOrMore
    layer_overhead_cycles: ZeroOrMore
    start_cycles: ZeroOrMore
    ddr_efficiency: Share

    def __post_init__(self) -> None:
        check_fields(self, "coefficients.latency")


MEMORY_LATENCY_CYCLES = 60
"""Latency of the memory that predictions of the engine in Verilog, and simulations of it, assume."""


@dataclass(frozen=True)
class EnergyCoefficients:
    """Dynamic energy of one multiply-accumulate, and of a byte read or written on chip and in DDR."""

    mac_pj: ZeroOrMore
    buffer_pj_per_byte: ZeroOrMore
    ddr_pj_per_byte: ZeroOrMore

    def __post_init__(self) -> None:
        check_fields(self, "coefficients.energy")


@dataclass(frozen=True, kw_only=True)
class LogicCoefficients:
    """LUTs and FFs of a design: constant parts, and of each memory port, bit of a port, product of the PE array, sum,
    requantising lane and memory bank. ``lut_per_packed_product`` holds where a DSP slice yields two products."""

    lut_base: ZeroOrMore
    lut_per_port: ZeroOrMore
    lut_per_port_bit: ZeroOrMore
    lut_per_product: ZeroOrMore
    lut_per_packed_product: ZeroOrMore
    lut_per_sum: ZeroOrMore
    lut_per_requantiser: ZeroOrMore
    lut_per_bank: ZeroOrMore
    ff_base: ZeroOrMore
    ff_per_port: ZeroOrMore
    ff_per_port_bit: ZeroOrMore
    ff_per_product: ZeroOrMore
    ff_per_sum: ZeroOrMore
    ff_per_requantiser: ZeroOrMore
    ff_per_bank: ZeroOrMore

    def __post_init__(self) -> None:
        check_fields(self, "coefficients.logic")


@dataclass(frozen=True, kw_only=True)
class Coefficients(Record):
    """A set of coefficients with its provenance.

    Attributes:
        name: as given to :func:`load_coefficients`.
        what: describes the set in a sentence.
        source: literature or measurement behind the values.
        date: day on which they were made.
        board: the board they were fitted on, or None.
        tool_versions: tool to version behind the measured designs.
        measurements: how many runs they were fitted on; 0 for a prior.
        latency, energy, logic: the values.
        implementation: of the engine that they are of.
        memory_latency_cycles: from an address to its first word, and from a burst's last word to its response, of the
            memory that the engine in Verilog is simulated with.
        left_out_error: mean absolute error on runs left out of the fit, as a share; None for a prior.
        latency_factor: factor within which nine in ten left-out runs were of their prediction; None for a prior.
        fitted_on: range of the runs; None for a prior.
    """

    FORMAT: ClassVar[int] = 2

    name: str
    what: str
    source: str
    date: str
    board: str | None
    tool_versions: dict[str, str]
    measurements: Annotated[int, msgspec.Meta(ge=0, description="zero or more")]
    latency: LatencyCoefficients
    energy: EnergyCoefficients
    logic: LogicCoefficients
    implementation: Implementation = Implementation.HLS
    memory_latency_cycles: ZeroOrMore = MEMORY_LATENCY_CYCLES
    left_out_error: ZeroOrMore | None = None
    latency_factor: Annotated[float, msgspec.Meta(ge=1, le=sys.float_info.max, description="1 or more")] | None = None
    fitted_on: FittedRange | None = None

    def __post_init__(self) -> None:
        check_fields(self, "coefficients")
        check_range("coefficients.fitted_on", self.fitted_on or {})

    def latency_interval(self, latency_ms: float) -> tuple[float, float] | None:
        """Return the bounds that hold a predicted latency nine times in ten; None for a prior."""
        factor = self.latency_factor
        return None if factor is None else (latency_ms / factor, latency_ms * factor)

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that tell sets of other values of an implementation apart."""
        values = asdict(self)
        # Sets that are older than these keep their digest; neither is a price.
        del values["implementation"], values["memory_latency_cycles"]
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]

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


def file_of(kind: str, name: str, packaged: Path, file: str, origin: str = "") -> Path:
    """Return the file of a name: one that comes with the package, or ``file`` in the folder of that name.

    Args:
        kind: what the file holds, as messages call it.
        name: of the file in the folder ``packaged``, or a folder.
        packaged: folder of the package.
        file: name of the file in other folders.
        origin: says where such a file comes from, for the message.

    Raises:
        UnknownNameError: there is no such file.
    """
    names = sorted(path.stem for path in packaged.glob("*.json"))
    path = packaged / f"{name}.json" if name in names else Path(name) / file
    if not path.is_file():
        expected = f"one of {', '.join(names)}, or a folder that holds {file}{origin}"
        raise UnknownNameError(kind, name, names, expected)
    return path


def load_coefficients(name: str = "prior", implementation: Implementation = Implementation.HLS) -> Coefficients:
    """Load a set of coefficients.

    Args:
        name: of a set that comes with the package, or the folder of a fit to the project's own engine.
        implementation: of the engine that is priced; each has a prior of its own.

    Raises:
        UnknownNameError: there is no such set.
        InvalidValueError: the set is of another implementation.
        StorageError: its file cannot be read or breaks a rule.
    """
    packaged = FOLDER / implementation
    path = file_of("coefficients", name, packaged, COEFFICIENTS, ", as a fit to own runs leaves")
    if path.parent == packaged:
        return _packaged(path)
    found = read_json(path, Coefficients, "measure the engine and fit again: `codesign calibrate`")
    if found.implementation != implementation:
        expected = f"{implementation}, which is priced; name a fit to measurements of it, or none for its prior"
        raise InvalidValueError("coefficients.implementation", str(found.implementation), expected)
    return found


@cache
def _packaged(path: Path) -> Coefficients:
    return read_json(path, Coefficients, "install the package again")


def write_coefficients(folder: Path, coefficients: Coefficients) -> None:
    """Write a set into a folder, so that :func:`load_coefficients` finds it by the folder's name.

    Raises:
        StorageError: it cannot be written.
    """
    write_record(folder / COEFFICIENTS, coefficients)
