"""Supernets on disk: one file that holds the weights and everything needed to go on training."""

import dataclasses
import hashlib
import io
import json
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from codesign.supernet.network.build import build_supernet
from codesign.supernet.network.supernet import Supernet
from codesign.supernet.spaces.space import Space
from codesign.supernet.training.schedule import Schedule
from hw_templates.foundation.atomic_file import write_bytes_atomically
from hw_templates.foundation.errors import InvalidValueError, StorageError
from hw_templates.foundation.json_records import parse_json, reading
from hw_templates.foundation.regular_file import open_regular

T = TypeVar("T")

FORMAT = 2
_ADVICE = "not a whole checkpoint (damaged, cut off or no checkpoint): delete it, train anew"
_MOST_BYTES = 64 << 30
_FIELDS = {"format", "space", "schedule", "seed", "step", "losses", "weights", "teacher", "optimiser", "scaler"}


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A supernet at one step of its training.

    Every random draw of a step follows from ``seed`` and the step's number, so these two are the random state.

    Attributes:
        space, schedule, seed: what is being trained, and how.
        step: steps done.
        losses: loss of each of them.
        weights: the supernet's state.
        teacher: the full net's state after the first phase; empty before, and after the last step.
        optimiser: its state; empty before the first and after the last step.
        scaler: state of the gradients' scale in float16; empty elsewhere.
    """

    space: Space
    schedule: Schedule
    seed: int
    step: int
    losses: tuple[float, ...]
    weights: Mapping[str, Tensor]
    teacher: Mapping[str, Tensor]
    optimiser: Mapping[str, Any]
    scaler: Mapping[str, Any] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether the schedule has come to its end."""
        return self.step == self.schedule.steps

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits that name these weights of this space."""
        content = hashlib.sha256(_space_text(self.space).encode())
        for name, tensor in sorted(self.weights.items()):
            content.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
        return content.hexdigest()[:16]

    def supernet(self) -> Supernet:
        """Return a supernet with these weights, which later training does not touch."""
        supernet = build_supernet(self.space)
        supernet.load_state_dict(dict(self.weights))
        return supernet


def _space_text(space: Space) -> str:
    return json.dumps(dataclasses.asdict(space), sort_keys=True)


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Replace the file at once, or leave it as it is.

    Raises:
        StorageError: the folder cannot be written or the disk is full.
    """
    content = {
        "format": FORMAT,
        "space": _space_text(checkpoint.space),
        "schedule": json.dumps(checkpoint.schedule.as_dict()),
        "seed": checkpoint.seed,
        "step": checkpoint.step,
        "losses": torch.tensor(checkpoint.losses, dtype=torch.float64),
        "weights": dict(checkpoint.weights),
        "teacher": dict(checkpoint.teacher),
        "optimiser": dict(checkpoint.optimiser),
        "scaler": dict(checkpoint.scaler),
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_bytes_atomically(path, buffer.getvalue())


def read_checkpoint(path: Path, space: Space) -> Checkpoint:
    """Return the checkpoint of that file.

    Raises:
        StorageError: there is no such file, it is damaged, or it is of another format or another space.
    """
    if not path.exists():
        raise StorageError(f"{path}: no such checkpoint; train a supernet first")
    with reading(path, _ADVICE):
        content = _read_content(path)
        version = _field(content, "format", int)
        if version != FORMAT:
            raise StorageError(f"{path}: checkpoint format {version}, this version reads {FORMAT}; train anew")
        if content.keys() != _FIELDS:
            held = ", ".join(sorted(ascii(name)[:40] for name in content))
            raise InvalidValueError("checkpoint", held, f"the fields {', '.join(sorted(_FIELDS))}")
        _check_space(path, _field(content, "space", str), space)
        return _parse(content, space)


def _read_content(path: Path) -> dict[str, object]:
    """Return the file's dictionary, every byte of it checked against the archive's checksums."""
    with open_regular(path, _MOST_BYTES) as file:
        with zipfile.ZipFile(file) as archive:
            if (wrong := archive.testzip()) is not None:
                raise InvalidValueError("checkpoint", wrong[:40], "of the checksum that it was written with")
        file.seek(0)
        with warnings.catch_warnings():
            # torch warns of the damage that is reported here.
            warnings.simplefilter("ignore")
            content = torch.load(file, map_location="cpu", weights_only=True)
    if not isinstance(content, dict) or "format" not in content:
        raise InvalidValueError("checkpoint", type(content).__name__, "a dictionary with a format")
    return content


def _field(content: Mapping[str, Any], name: str, kind: type[T]) -> T:
    value = content[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise InvalidValueError(f"checkpoint.{name}", type(value).__name__, f"of type {kind.__name__}")
    return value


def _check_space(path: Path, text: str, space: Space) -> None:
    if text == _space_text(space):
        return
    name = parse_json(text, dict[str, object], "checkpoint.space").get("name")
    if not isinstance(name, str) or not name.isprintable():
        raise InvalidValueError("checkpoint.space.name", type(name).__name__, "that of a space")
    other = f"space {name}" if name != space.name else f"another definition of space {name}"
    raise StorageError(f"{path}: a checkpoint of {other}, wanted {space.name}; choose another file or folder")


def _parse(content: Mapping[str, Any], space: Space) -> Checkpoint:
    schedule = parse_json(_field(content, "schedule", str), Schedule, "checkpoint.schedule")
    step, losses = _field(content, "step", int), _field(content, "losses", Tensor)
    if not 0 <= step <= schedule.steps:
        raise InvalidValueError("checkpoint.step", step, f"in 0..{schedule.steps}")
    # An expanded tensor states far more numbers than the file holds.
    if tuple(losses.shape) != (step,) or not losses.is_contiguous():
        raise InvalidValueError("checkpoint.losses", tuple(losses.shape), f"of shape ({step},), one a step")
    checkpoint = Checkpoint(
        space=space,
        schedule=schedule,
        seed=_field(content, "seed", int),
        step=step,
        losses=tuple(map(float, losses.tolist())),
        weights=_field(content, "weights", Mapping),  # type: ignore[type-abstract]
        teacher=_field(content, "teacher", Mapping),  # type: ignore[type-abstract]
        optimiser=_field(content, "optimiser", Mapping),  # type: ignore[type-abstract]
        scaler=_field(content, "scaler", Mapping),  # type: ignore[type-abstract]
    )
    supernet = build_supernet(space)
    for name, state in (("weights", checkpoint.weights), ("teacher", checkpoint.teacher)):
        if state or name == "weights":
            supernet.load_state_dict(dict(state))
            _check_numbers(name, state)
    return checkpoint


def _check_numbers(name: str, state: Mapping[str, Tensor]) -> None:
    for key, tensor in state.items():
        if tensor.dtype != torch.float32 or tensor.layout != torch.strided:
            raise InvalidValueError(f"checkpoint.{name}.{key}", str(tensor.dtype), "plain numbers of torch.float32")
        if not bool(torch.isfinite(tensor).all()):
            raise InvalidValueError(f"checkpoint.{name}.{key}", "what is no finite number", "of finite numbers")
