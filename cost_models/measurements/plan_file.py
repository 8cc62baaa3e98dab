"""A plan as a file: the runs to measure, on a board and an accelerator."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from cost_models.mapping.mapped_layer import MappedLayer
from hw_templates.board import BoardRecord
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.foundation.json_records import Record, check_fields, check_record, parse_json, reading, write_record


@dataclass(frozen=True)
class RunPlan(Record):
    """Runs to measure, each a few layers that one start runs; see :mod:`codesign.emit.random_program`.

    Attributes:
        board: the board to measure on.
        accelerator: the engine on it.
        runs: in the order in which they were chosen.
        deviations: uncertainty before the first and after each, as :class:`cost_models.calibration.planning.Plan` has.

    Raises:
        CodesignError: a run is empty, stands twice, or cannot run on the accelerator.
    """

    FORMAT: ClassVar[int] = 3
    FORMAT_KEYS: ClassVar[tuple[str, ...]] = ("format", "plan")

    board: BoardRecord
    accelerator: Accelerator
    runs: tuple[tuple[MappedLayer, ...], ...]
    deviations: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self, "plan")
        if not self.runs:
            raise InvalidValueError("plan.runs", (), "at least one")
        seen: set[tuple[MappedLayer, ...]] = set()
        for index, layers in enumerate(self.runs):
            if not layers or layers in seen:
                raise InvalidValueError(f"plan.runs[{index}]", "a second time" if layers else (), "one that is new")
            seen.add(layers)
            for ran in layers:
                ran.check(self.accelerator)


def write_plan(path: Path, plan: RunPlan) -> None:
    """Write a plan to a file.

    Raises:
        StorageError: the file cannot be written.
    """
    write_record(path, plan, wide=True)


def read_plan(path: Path) -> RunPlan:
    """Read the plan in a file, of this format or of format 2.

    Raises:
        StorageError: the file cannot be read or holds no plan.
    """
    with reading(path, "`codesign calibrate plan` makes one"):
        record = parse_json(path.read_bytes(), dict[str, Any], "plan")
        if record.get("plan") == 2:
            # Format 2 also named the function applied to the results of each layer.
            for layer in (layer for layers in record["runs"] for layer in layers):
                del layer["activation"]
            record["plan"] = RunPlan.FORMAT
        return check_record(record, RunPlan, "plan")
