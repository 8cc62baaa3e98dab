"""Which runs to measure on which board and accelerator, as a file."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cost_models.mapping.mapped_layer import MappedLayer
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.atomic_file import write_text_atomically
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.foundation.json_records import check_fields, check_record, parse_json, reading

FORMAT = 3


@dataclass(frozen=True)
class RunPlan:
    """Runs to measure, each a few layers that one start runs; see :mod:`codesign.emit.random_program`.

    Attributes:
        board: its name.
        accelerator: the engine on it.
        runs: in the order in which they were chosen.
        deviations: what is left open before and after each (:class:`cost_models.calibration.planning.Plan`).

    Raises:
        CodesignError: a run is empty, stands twice, or cannot run on the accelerator.
    """

    board: str
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
    """Write a plan.

    Raises:
        StorageError: the file cannot be written.
    """
    record = {
        "plan": FORMAT,
        "board": plan.board,
        "accelerator": plan.accelerator.as_dict(),
        "deviations": list(plan.deviations),
    }
    head = ",\n".join(f" {json.dumps(name)}: {json.dumps(value)}" for name, value in record.items())
    runs = ",\n".join(f"  {json.dumps([asdict(ran) for ran in layers])}" for layers in plan.runs)
    write_text_atomically(path, f'{{\n{head},\n "runs": [\n{runs}\n ]\n}}\n')


def read_plan(path: Path) -> RunPlan:
    """The plan in a file.

    Raises:
        StorageError: it cannot be read or is none.
    """
    with reading(path, "`codesign calibrate plan` makes one"):
        record = parse_json(path.read_bytes(), dict[str, Any], "plan")
        if record.get("plan") != FORMAT:
            raise InvalidValueError("plan", record.get("plan"), f"{FORMAT}, the format that is known; plan again")
        return check_record({name: value for name, value in record.items() if name != "plan"}, RunPlan, "plan")
