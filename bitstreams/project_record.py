"""``project.json``: what an emitted project says of itself."""

import math
from dataclasses import dataclass
from typing import Any

from cost_models.mapping.mapping import Mapping
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.foundation.json_records import check_fields

PROJECT_FORMAT = 1
RECORD = "project.json"


@dataclass(frozen=True)
class Prediction:
    """Cost of one image as the cost model predicts it.

    Attributes:
        latency_ms: of one image, with one start of the engine.
        start_ms: share of the start in it.
        energy_mj: of one image.
    """

    latency_ms: float
    start_ms: float
    energy_mj: float

    def __post_init__(self) -> None:
        for name, least in (("latency_ms", "above zero"), ("start_ms", "zero or more"), ("energy_mj", "above zero")):
            value = getattr(self, name)
            if not math.isfinite(value) or value < 0 or (value == 0 and name != "start_ms"):
                raise InvalidValueError(f"predicted.{name}", value, f"a finite number, {least}")


@dataclass(frozen=True)
class ProjectLayer:
    """One layer: its name, how it is mapped, and the cycles of the compute loop that the cost model states."""

    name: str
    mapping: Mapping
    compute_cycles: int


@dataclass(frozen=True)
class ProjectAccuracy:
    """Accuracy (0..1) of the subnet on test images, which nothing before has seen."""

    float32: float
    int8: float


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a project's network comes from.

    Attributes:
        study: that it won.
        space: of subnets.
        checkpoint: digest of the supernet.
        subnet: the subnet as :meth:`codesign.supernet.spaces.space.Subnet.as_dict` has it.
        rule: by which it was chosen.
        validation_accuracy: in 0..1.
        test_accuracy: likewise.
    """

    study: str
    space: str
    checkpoint: str
    subnet: dict[str, Any]
    rule: str
    validation_accuracy: float
    test_accuracy: ProjectAccuracy


@dataclass(frozen=True, kw_only=True)
class ProjectRecord:
    """The content of ``project.json``.

    Attributes:
        format: of the project.
        board, part: that it is for.
        accelerator: what the engine is.
        hardware_sha256: of the sources.
        program_sha256: of the program and its images.
        images: test images with golden vectors.
        input_scale, output_scale: of one step of the quantised input and output.
        predicted: cost.
        layers: in the order that they run.
        origin: where the subnet comes from; None where it was not searched for.
    """

    format: int
    board: str
    part: str
    accelerator: Accelerator
    hardware_sha256: str
    program_sha256: str
    images: int
    input_scale: float
    output_scale: float
    predicted: Prediction
    layers: tuple[ProjectLayer, ...]
    origin: Origin | None = None

    def __post_init__(self) -> None:
        check_fields(self, "project")
        if self.images < 1:
            raise InvalidValueError("project.images", self.images, "at least 1")
        if self.format != PROJECT_FORMAT:
            raise InvalidValueError("project.format", self.format, f"{PROJECT_FORMAT}, which this version reads")
