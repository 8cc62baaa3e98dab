"""The files of a run folder: one frozen dataclass for each; :func:`codesign.run.folder.read_json` decodes them."""

from dataclasses import dataclass
from enum import StrEnum

from bitstreams.board.power import Energy
from codesign.search.pareto import ReferencePoint, check_front
from cost_models.measurements.measurement import Percentiles
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.conv_engine.isa import LayerTrips
from hw_templates.foundation.arrays import FloatArray
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.foundation.json_records import Record
from hw_templates.project.record import Prediction


@dataclass(frozen=True)
class FrontsRecord(Record):
    """``fronts.json``: Pareto fronts of the joint search and of the baselines.

    Attributes:
        study: name of the joint search's study.
        reference: corner of the box in which hypervolumes are measured.
        hypervolumes: method to the share of the box that its front dominates.
        fronts: method to its front [n, 3]: accuracy (0..1), latency_ms and energy_mj.
    """

    study: str
    reference: ReferencePoint
    hypervolumes: dict[str, float]
    fronts: dict[str, FloatArray]

    def __post_init__(self) -> None:
        if not self.fronts or self.fronts.keys() != self.hypervolumes.keys():
            raise InvalidValueError("fronts.hypervolumes", list(self.hypervolumes), f"of {list(self.fronts)}")
        for rows in self.fronts.values():
            check_front(rows)


@dataclass(frozen=True)
class ComparedRecord(Record):
    """``front.json``: the pairs among which the winner of a study was chosen, with the accuracies compared."""

    study: str
    front: FloatArray

    def __post_init__(self) -> None:
        check_front(self.front)


@dataclass(frozen=True)
class BaselineRecord(ComparedRecord):
    """``baselines/NAME.json``: the front that a baseline found, and for which study at how many pairs."""

    pairs: int


@dataclass(frozen=True)
class PredictedCost:
    """Predicted cost of one image."""

    latency_ms: float
    energy_mj: float


@dataclass(frozen=True, kw_only=True)
class WinnerRecord(Record):
    """``winner.json``: the winning pair of a search as it was last shown.

    Attributes:
        study: name of the study.
        rule: rule by which the pair was chosen.
        space: name of the space of subnets.
        subnet: the subnet as plain values, which the space parses.
        board: name of the board.
        accelerator: parameters of the accelerator.
        accuracy: accuracy (0..1) by which the pair was chosen.
        accuracy_source: ``measured``, ``predictor`` or ``official``.
        predicted: predicted cost.
        resources: amount that the accelerator needs of each resource.
    """

    study: str
    rule: str
    space: str
    subnet: dict[str, object]
    board: str
    accelerator: dict[str, int | float | str]
    accuracy: float
    accuracy_source: str
    predicted: PredictedCost
    resources: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class DeployRecord(Record):
    """``deploy.json``: what a board or its twin did.

    Where a deployment failed, ``error`` says why, and what was not reached is None. Format 2 has no share of a start.

    Attributes:
        complete: whether the deployment reached its end.
        error: what went wrong.
        source: what a twin's results come from, as :class:`bitstreams.board.timing.Timing` says, or how the board was
            reached.
        where: address of the board.
        board: name of the board.
        bitstream, hardware_sha256: digests of the bitstream and of the sources of the engine in it.
        measured_at: time, ISO 8601.
        clock_mhz: clock of the logic as read back.
        images: test images that ran.
        right: those of them whose class was right.
        accuracy: accuracy (0..1) on these images.
        latency_ms: latency of the engine alone.
        inference_ms: latency from writing an image to having read the logits; None on a twin.
        cycles: cycles that a twin simulated; None on a board.
        cycle_shares: shares of the cycles spent computing and waiting.
        energy: measured energy of an image; None where none was measured.
        predicted: predicted cost.
    """

    FORMAT = 2

    complete: bool
    error: str | None = None
    right: int | None = None
    source: str
    where: str | None = None
    board: str
    bitstream: str
    hardware_sha256: str
    measured_at: str
    clock_mhz: float
    images: int | None = None
    accuracy: float | None = None
    latency_ms: Percentiles | None = None
    inference_ms: Percentiles | None = None
    cycles: int | None = None
    cycle_shares: dict[str, float] | None = None
    energy: Energy | None = None
    predicted: Prediction


@dataclass(frozen=True, kw_only=True)
class EmittedRecord(Record):
    """``emitted.json``: the pair that was emitted, and the accuracy of its project.

    Attributes:
        template: name of the template.
        winner: the pair.
        precision: arithmetic of the project.
        float32: accuracy (0..1) on the test part, in floating point.
        quantised: accuracy (0..1) on the test part, in the project's arithmetic.
        digest: digest of what the project computes.
    """

    template: str
    winner: WinnerRecord
    precision: str
    float32: float
    quantised: float
    digest: str


@dataclass(frozen=True)
class LossesRecord(Record):
    """``losses.json``: accuracy (0..1) that a template's arithmetic costs, for the supernet of a checkpoint."""

    checkpoint: str
    losses: dict[str, float]


@dataclass(frozen=True)
class LeftOutAccuracies:
    """Accuracies [n] (0..1) of subnets that a predictor was not fitted on, as measured and as predicted."""

    measured: FloatArray
    predicted: FloatArray

    def __post_init__(self) -> None:
        if not len(self.measured) or self.measured.ndim != 1 or self.measured.shape != self.predicted.shape:
            raise InvalidValueError("predictor.left_out.predicted", len(self.predicted), "one for each measured")


@dataclass(frozen=True, kw_only=True)
class PredictorRecord(Record):
    """``predictor.json``: how well the predictor ranks subnets that it was not fitted on.

    Attributes:
        samples: subnets measured.
        kendall_tau, spearman, rmse: one value a split; see :class:`PredictorQuality`.
        left_out: of the first split.
    """

    samples: int
    kendall_tau: tuple[float, ...]
    spearman: tuple[float, ...]
    rmse: tuple[float, ...]
    left_out: LeftOutAccuracies

    def __post_init__(self) -> None:
        if not self.kendall_tau:
            raise InvalidValueError("predictor.kendall_tau", (), "one value a split")


@dataclass(frozen=True, kw_only=True)
class CsimRecord(Record):
    """``csim.json``: what the simulation of a project compared and counted.

    Attributes:
        program_sha256: digest of what the project computes.
        implementation: of the engine that was simulated.
        images: images whose logits were compared with the integer reference.
        sanitized: whether it ran under sanitizers.
        same_class: share (0..1) of images with the same class.
        largest_difference: largest difference of a logit, in real numbers.
        tolerance: largest difference that the project's arithmetic allows; 0 where it must be bit-exact.
        layers: iterations and words of each layer; none where they are not counted.
        cycles: cycles of the last image as the Verilog takes them, simulated clock by clock; None where no clock is.
        cycles_per_second: cycles that were simulated in a second of processor time.
    """

    program_sha256: str
    images: int
    implementation: Implementation = Implementation.HLS
    sanitized: bool = False
    same_class: float = 1.0
    largest_difference: float = 0.0
    tolerance: float = 0.0
    layers: tuple[LayerTrips, ...] = ()
    cycles: int | None = None
    cycles_per_second: float | None = None


class Outcome(StrEnum):
    """How a check of a project ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, kw_only=True)
class CheckedRecord:
    """One check of a project.

    Attributes:
        name: what was checked.
        how: how it is checked.
        outcome: how it ended.
        text: what was found, or why it was not checked.
        figures: numbers that were found, by name with their unit.
        table: rows of text, the first of which are headings; none where there is no table.
    """

    name: str
    how: str
    outcome: Outcome
    text: str
    figures: dict[str, float]
    table: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class ChecksRecord(Record):
    """``check.json``: what was checked of a project, and what came out.

    Attributes:
        project_sha256: digest of the project's record.
        checks: those that have ended, in their order.
    """

    project_sha256: str
    checks: tuple[CheckedRecord, ...]
