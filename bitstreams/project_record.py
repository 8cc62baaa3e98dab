"""``project.json``: what an emitted project says of itself."""

import math
from dataclasses import dataclass
from typing import Any

from cost_models.mapping import Mapping
from hw_templates.accelerator import Accelerator
from hw_templates.errors import InvalidValueError

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
class ProjectRecord:
    """What ``project.json`` holds.

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
        origin: where the subnet comes from.
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
    origin: dict[str, Any]

    def __post_init__(self) -> None:
        if self.format != PROJECT_FORMAT:
            raise InvalidValueError("project.format", self.format, f"{PROJECT_FORMAT}, which this version reads")
