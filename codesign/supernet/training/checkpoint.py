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
from typing import Any

import torch
from torch import Tensor

from codesign.supernet.network.supernet import Supernet
from codesign.supernet.spaces.space import Space
from codesign.supernet.training.schedule import Schedule
from hw_templates.foundation.atomic_file import write_bytes_atomically
from hw_templates.foundation.errors import InvalidValueError, StorageError
from hw_templates.foundation.json_records import check_record, parse_json, reading
from hw_templates.foundation.regular_file import open_regular

State = Mapping[str, Tensor]
"""Weights, biases and statistics of a network by name."""

FORMAT = 2
_ADVICE = "not a whole checkpoint (damaged, cut off or no checkpoint): delete it, train anew"
_MOST_BYTES = 64 << 30


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
    step: int = 0
    losses: tuple[float, ...] = ()
    weights: State
    teacher: State = field(default_factory=dict)
    optimiser: Mapping[str, Any] = field(default_factory=dict)
    scaler: Mapping[str, Any] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Say whether the schedule has come to its end."""
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
        supernet = Supernet(self.space)
        supernet.load_state_dict(dict(self.weights))
        return supernet


@dataclass(frozen=True, kw_only=True)
class _Stored:
    """Content of a file beside its format: a checkpoint whose space and schedule are JSON."""

    space: str
    schedule: str
    seed: int
    step: int
    losses: Tensor
    weights: State
    teacher: State
    optimiser: Mapping[str, Any]
    scaler: Mapping[str, Any]


def _space_text(space: Space) -> str:
    return json.dumps(dataclasses.asdict(space), sort_keys=True)


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Replace the file at once, or leave it as it is.

    Raises:
        StorageError: the folder cannot be written or the disk is full.
    """
    stored = _Stored(
        space=_space_text(checkpoint.space),
        schedule=json.dumps(dataclasses.asdict(checkpoint.schedule)),
        seed=checkpoint.seed,
        step=checkpoint.step,
        losses=torch.tensor(checkpoint.losses, dtype=torch.float64),
        weights=dict(checkpoint.weights),
        teacher=dict(checkpoint.teacher),
        optimiser=dict(checkpoint.optimiser),
        scaler=dict(checkpoint.scaler),
    )
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **vars(stored)}, buffer)
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
        version = check_record(content.pop("format"), int, "checkpoint.format")
        if version != FORMAT:
            raise StorageError(f"{path}: checkpoint format {version}, this version reads {FORMAT}; train anew")
        stored = check_record(content, _Stored, "checkpoint")
        if stored.space != _space_text(space):
            name = parse_json(stored.space, dict[str, object], "checkpoint.space").get("name")
            if not isinstance(name, str) or not name.isprintable():
                raise InvalidValueError("checkpoint.space.name", type(name).__name__, "that of a space")
            other = f"space {name}" if name != space.name else f"another definition of space {name}"
            raise StorageError(f"{path}: a checkpoint of {other}, wanted {space.name}; choose another file or folder")
        return _parse(stored, space)


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


def _parse(stored: _Stored, space: Space) -> Checkpoint:
    schedule = parse_json(stored.schedule, Schedule, "checkpoint.schedule")
    if not 0 <= stored.step <= schedule.steps:
        raise InvalidValueError("checkpoint.step", stored.step, f"in 0..{schedule.steps}")
    # An expanded tensor states far more numbers than the file holds.
    if tuple(stored.losses.shape) != (stored.step,) or not stored.losses.is_contiguous():
        shape = tuple(stored.losses.shape)
        raise InvalidValueError("checkpoint.losses", shape, f"of shape ({stored.step},), one a step")
    supernet = Supernet(space)
    for name, state in (("weights", stored.weights), ("teacher", stored.teacher)):
        if state or name == "weights":
            supernet.load_state_dict(dict(state))
        for key, tensor in state.items():
            if tensor.dtype != torch.float32 or tensor.layout != torch.strided:
                raise InvalidValueError(f"checkpoint.{name}.{key}", str(tensor.dtype), "plain numbers of torch.float32")
            if not bool(torch.isfinite(tensor).all()):
                raise InvalidValueError(f"checkpoint.{name}.{key}", "what is no finite number", "of finite numbers")
    losses = tuple(map(float, stored.losses.tolist()))
    return Checkpoint(**{**vars(stored), "space": space, "schedule": schedule, "losses": losses})
