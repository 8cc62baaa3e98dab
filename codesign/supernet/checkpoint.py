"""Supernets on disk: one file that holds the weights and everything needed to go on training."""

import dataclasses
import hashlib
import io
import json
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from codesign.supernet.elastic_network import Supernet
from codesign.supernet.network import build_supernet
from codesign.supernet.schedule import Schedule
from codesign.supernet.space import Space
from hw_templates.atomic_file import write_bytes_atomically
from hw_templates.errors import InvalidValueError, StorageError

FORMAT = 2
_FIELDS = {"format", "space", "schedule", "seed", "step", "losses", "weights", "teacher", "optimiser", "scaler"}


@dataclass(frozen=True)
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
        """A supernet with these weights, which later training does not touch."""
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


def _damaged(path: Path) -> StorageError:
    return StorageError(f"{path}: not a whole checkpoint (damaged, cut off or no checkpoint); delete it, train anew")


def _read_content(path: Path) -> dict[str, Any]:
    """The file's dictionary, every byte of it checked against the archive's checksums."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                raise _damaged(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise StorageError(f"{path}: no such checkpoint; train a supernet first") from error
    except PermissionError as error:
        raise StorageError(f"{path}: cannot be read; change its permissions") from error
    except (zipfile.BadZipFile, pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise _damaged(path) from error
    if not isinstance(content, dict) or "format" not in content:
        raise _damaged(path)
    return content


def read_checkpoint(path: Path, space: Space) -> Checkpoint:
    """The checkpoint of that file.

    Raises:
        StorageError: there is no such file, it is damaged, or it is of another format or another space.
    """
    content = _read_content(path)
    if content["format"] != FORMAT:
        raise StorageError(f"{path}: checkpoint format {content['format']}, this version reads {FORMAT}; train anew")
    if content.keys() != _FIELDS:
        raise _damaged(path)
    try:
        name = json.loads(content["space"])["name"]
        checkpoint = _parse(content, space)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, InvalidValueError) as error:
        raise _damaged(path) from error
    if content["space"] != _space_text(space):
        other = f"space {name}" if name != space.name else f"another definition of space {name}"
        raise StorageError(f"{path}: a checkpoint of {other}, wanted {space.name}; choose another file or folder")
    if len(checkpoint.losses) != checkpoint.step or not 0 <= checkpoint.step <= checkpoint.schedule.steps:
        raise _damaged(path)
    try:
        checkpoint.supernet()
    except (KeyError, TypeError, RuntimeError, AttributeError) as error:
        raise _damaged(path) from error
    return checkpoint


def _parse(content: Mapping[str, Any], space: Space) -> Checkpoint:
    return Checkpoint(
        space=space,
        schedule=Schedule.from_dict(json.loads(content["schedule"])),
        seed=int(content["seed"]),
        step=int(content["step"]),
        losses=tuple(content["losses"].tolist()),
        weights=content["weights"],
        teacher=content["teacher"],
        optimiser=content["optimiser"],
        scaler=content["scaler"],
    )
