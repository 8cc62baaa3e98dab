"""``project.json``: the record of an emitted project."""

from dataclasses import dataclass
from typing import Any

from hw_templates.board import BoardRecord
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.json_records import Positive, PositiveInt, Record, check_fields

PROJECT_FILE = "project.json"


@dataclass(frozen=True)
class Prediction:
    """Cost of one image as the cost model predicts it.

    Attributes:
        latency_ms: latency with one start of the engine.
        energy_mj: energy.
    """

    latency_ms: Positive
    energy_mj: Positive

    def __post_init__(self) -> None:
        check_fields(self, "predicted")


@dataclass(frozen=True)
class ProjectLayer:
    """One layer of a project.

    Attributes:
        name: name of the layer in the workload.
        mapped: the layer, its tiles and the place of its maps, as it runs: fields of a mapped layer of the cost model.
        compute_cycles: iterations of the compute loop, one a cycle.
    """

    name: str
    mapped: dict[str, Any]
    compute_cycles: int


@dataclass(frozen=True)
class ProjectAccuracy:
    """Accuracies (0..1) of the subnet on the test images, which are used for nothing else."""

    float32: float
    int8: float


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The search that a project's network was chosen from.

    Attributes:
        study: name of the study.
        space: name of the space of subnets.
        checkpoint: digest of the supernet.
        subnet: the subnet as plain values, which the space parses.
        rule: rule by which the pair was chosen.
        validation_accuracy: accuracy (0..1) on the validation part.
        test_accuracy: accuracies on the test part.
    """

    study: str
    space: str
    checkpoint: str
    subnet: dict[str, object]
    rule: str
    validation_accuracy: float
    test_accuracy: ProjectAccuracy


@dataclass(frozen=True, kw_only=True)
class ProjectRecord(Record):
    """The content of ``project.json``; format 1 was of projects that held version 1 of the engine.

    Attributes:
        board: the target board.
        part: device of the target board.
        accelerator: parameters of the engine.
        hardware_sha256: digest of the sources.
        program_sha256: digest of the program, of the test images and of their results.
        implementation: implementation of the engine that the pair was searched for, and that is built.
        images: number of test images with golden vectors.
        input_scale, output_scale: value of one step of the quantised input and output.
        predicted: predicted cost.
        layers: layers in the order in which they run.
        origin: search that the subnet was chosen from; None where there was none.
    """

    FORMAT = 2

    board: BoardRecord
    part: str
    accelerator: Accelerator
    hardware_sha256: str
    program_sha256: str
    implementation: Implementation
    images: PositiveInt
    input_scale: float
    output_scale: float
    predicted: Prediction
    layers: tuple[ProjectLayer, ...]
    origin: Origin | None = None

    def __post_init__(self) -> None:
        check_fields(self, "project")
