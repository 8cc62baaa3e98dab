"""A training of a second, how it is stopped, and how two of them are compared."""

import os
from pathlib import Path
from unittest import mock

from codesign.supernet.training import shrinking
from codesign.supernet.training.schedule import Augmentation, Phase, Schedule

SHORT = Schedule(
    name="short",
    phases=(
        Phase(name="full", length=3, learning_rate=1e-3),
        Phase(name="kernel", length=2, learning_rate=1e-3, subnets_per_step=2, elastic=("kernel",)),
        Phase(name="depth", length=2, learning_rate=1e-3, subnets_per_step=2, elastic=("kernel", "depth")),
        Phase(name="width", length=3, learning_rate=1e-3, subnets_per_step=2, elastic=("kernel", "depth", "expand")),
    ),
    batch_size=16,
    weight_decay=0.01,
    label_smoothing=0.1,
    distillation=1.0,
    augmentation=Augmentation(shift=0.1, degrees=5, scale=0.1),
    smallest_share=0.3,
    largest_share=0.3,
)


class StoppedError(Exception):
    """Raised after a step, to stop there."""


def train_in_small_steps(*arguments, **keywords):
    """Train, and write a checkpoint after every step."""
    with mock.patch.object(shrinking, "CHECKPOINT_SECONDS", (0.0, 0.0)):
        return shrinking.train(*arguments, **keywords)


def environment():
    """That of a process which imports this module."""
    folders = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, folders))}


def assert_same(checkpoint, other):
    assert checkpoint.losses == other.losses
    assert checkpoint.digest == other.digest
    assert checkpoint.finished
