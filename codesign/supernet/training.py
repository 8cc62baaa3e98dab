"""Progressive shrinking: trains all subnets of a space at once, and can be stopped at any moment."""

import copy
import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from codesign.supernet.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from codesign.supernet.data import DataSet, Split, augment
from codesign.supernet.elastic_network import Supernet
from codesign.supernet.network import build_supernet
from codesign.supernet.schedule import Phase, Schedule
from codesign.supernet.sorting import sort_channels
from codesign.supernet.space import Space, Subnet
from codesign.supernet.threads import one_thread
from hw_templates.errors import InvalidValueError, StorageError

CHECKPOINT_SECONDS = 5.0


@dataclass(frozen=True)
class TrainingProgress:
    """What one step did.

    Attributes:
        step: steps done, this one included.
        steps: of the whole schedule.
        phase: name of the step's phase.
        loss: mean over the step's subnets.
    """

    step: int
    steps: int
    phase: str
    loss: float


def _subnets(space: Space, schedule: Schedule, phase: Phase, resolution: int, rng: np.random.Generator) -> list[Subnet]:
    """What a step trains, all of its resolution: random subnets, in place of the first at times one of the extremes."""
    rows = space.sample_genes(rng, phase.subnets_per_step, phase.elastic)
    largest = space.encode(space.largest())
    draw = rng.random()
    if draw < schedule.smallest_share:
        elastic = [name.rpartition(".")[2] in phase.elastic for name, _ in space.genes]
        rows[0] = np.where(elastic, 0, largest)
    elif draw < schedule.smallest_share + schedule.largest_share:
        rows[0] = largest
    return [dataclasses.replace(space.decode(row), resolution=resolution) for row in rows]


class _Training:
    """The moving parts of a training run: networks and optimiser of the current phase."""

    def __init__(self, start: Checkpoint, data: DataSet) -> None:
        self.space, self.schedule, self.seed, self.data = start.space, start.schedule, start.seed, data
        self.step = start.step
        self.losses = list(start.losses)
        self.supernet = start.supernet()
        self.teacher: Supernet | None = None
        if start.teacher:
            self.teacher = build_supernet(start.space)
            self.teacher.load_state_dict(dict(start.teacher))
        self.optimiser = self._new_optimiser()
        if start.optimiser:
            self.optimiser.load_state_dict(dict(start.optimiser))

    def _new_optimiser(self) -> torch.optim.Optimizer:
        parameters = list(self.supernet.parameters())
        groups = [
            {"params": [p for p in parameters if p.ndim == 4], "weight_decay": self.schedule.weight_decay},
            {"params": [p for p in parameters if p.ndim != 4], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, fused=True)

    def checkpoint(self) -> Checkpoint:
        """The state between two steps; shares its tensors with this run."""
        finished = self.step == self.schedule.steps
        return Checkpoint(
            space=self.space,
            schedule=self.schedule,
            seed=self.seed,
            step=self.step,
            losses=tuple(self.losses),
            weights=self.supernet.state_dict(),
            teacher=self.teacher.state_dict() if self.teacher is not None and not finished else {},
            optimiser={} if finished else self.optimiser.state_dict(),
        )

    def _enter(self, index: int) -> None:
        """Prepare a phase at its first step."""
        phase, before = self.schedule.phases[index], self.schedule.phases[index - 1] if index else None
        if index == 1:
            self.teacher = copy.deepcopy(self.supernet)
        if "expand" in phase.elastic and before is not None and "expand" not in before.elastic:
            sort_channels(self.supernet)
        self.optimiser = self._new_optimiser()

    def _batch(self) -> tuple[Tensor, Tensor]:
        """Training images of 0 to 1 and labels: each epoch runs through a permutation of its own."""
        images, labels = self.data.images[Split.TRAIN], self.data.labels[Split.TRAIN]
        size = min(self.schedule.batch_size, len(labels))
        epoch, batch = divmod(self.step, len(labels) // size)
        order = np.random.default_rng([self.seed, 0, epoch]).permutation(len(labels))
        chosen = torch.from_numpy(order[batch * size : (batch + 1) * size])
        return images[chosen], labels[chosen]

    def advance(self) -> TrainingProgress:
        """Do one step."""
        index, step_in_phase = self.schedule.locate(self.step)
        if step_in_phase == 0:
            self._enter(index)
        phase = self.schedule.phases[index]
        rng = np.random.default_rng([self.seed, 1, self.step])
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        resolution = int(rng.choice(self.space.resolutions))
        images, labels = self._batch()
        images = self.data.normalise(augment(images, self.schedule.augmentation, resolution, generator))
        for group in self.optimiser.param_groups:
            group["lr"] = phase.learning_rate_at(step_in_phase)
        self.optimiser.zero_grad()
        loss = self._accumulate(images, labels, _subnets(self.space, self.schedule, phase, resolution, rng))
        if not math.isfinite(loss):
            place = f"finite at step {self.step + 1} (phase {phase.name}); lower the learning rate"
            raise InvalidValueError("training.loss", loss, place)
        self.optimiser.step()
        self.step += 1
        self.losses.append(loss)
        return TrainingProgress(self.step, self.schedule.steps, phase.name, loss)

    def _accumulate(self, images: Tensor, labels: Tensor, subnets: list[Subnet]) -> float:
        """Add up the gradients of the subnets; returns their mean loss."""
        answer = None
        if self.teacher is not None:
            full = dataclasses.replace(self.space.largest(), resolution=images.shape[-1])
            with torch.no_grad():
                answer = self.teacher(images, full).softmax(dim=1)
        total = 0.0
        for subnet in subnets:
            logits = self.supernet(images, subnet)
            loss = functional.cross_entropy(logits, labels, label_smoothing=self.schedule.label_smoothing)
            if answer is not None:
                loss = loss + self.schedule.distillation * functional.cross_entropy(logits, answer)
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        return total / len(subnets)


def _start(path: Path, space: Space, schedule: Schedule, seed: int) -> Checkpoint:
    """The checkpoint to go on from."""
    if path.exists():
        start = read_checkpoint(path, space)
        if (start.schedule, start.seed) != (schedule, seed):
            was = f"schedule {start.schedule.name} and seed {start.seed}"
            raise StorageError(
                f"{path}: trained by {was}, wanted {schedule.name} and {seed}; ask for the same or choose another file"
            )
        return start
    weights = build_supernet(space, seed).state_dict()
    return Checkpoint(space, schedule, seed, 0, (), weights, {}, {})


@one_thread()
def train(
    space: Space,
    data: DataSet,
    schedule: Schedule,
    path: Path,
    *,
    seed: int = 0,
    on_step: Callable[[TrainingProgress], None] = lambda _: None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> Checkpoint:
    """Train a supernet by progressive shrinking, going on from the file at ``path`` when there is one.

    The file is replaced every ``checkpoint_seconds`` and at the end. A run that was stopped and started again comes
    to exactly the weights and losses of one that was not, on the same machine.

    Args:
        space: what to train.
        data: images of the space's channels and classes.
        schedule: phases and rates.
        path: the checkpoint.
        seed: of weights and draws.
        on_step: called after every step.
        checkpoint_seconds: time between two checkpoints.

    Returns:
        The finished checkpoint.

    Raises:
        StorageError: the file is damaged, of another space, schedule or seed, or cannot be written.
        InvalidValueError: the loss is no longer finite (the file holds the last sound state), or the data do not fit
            the space.
    """
    _check_data(space, data)
    training = _Training(_start(path, space, schedule, seed), data)
    saved = time.monotonic()
    while training.step < schedule.steps:
        on_step(training.advance())
        if time.monotonic() - saved >= checkpoint_seconds or training.step == schedule.steps:
            write_checkpoint(path, training.checkpoint())
            saved = time.monotonic()
    return read_checkpoint(path, space)


def _check_data(space: Space, data: DataSet) -> None:
    channels, classes = data.images[Split.TRAIN].shape[1], int(data.labels[Split.TRAIN].max()) + 1
    if channels != space.image_channels:
        raise InvalidValueError(f"{data.name}.channels", channels, f"{space.image_channels} as in space {space.name}")
    if classes > space.num_classes:
        raise InvalidValueError(f"{data.name}.classes", classes, f"at most the {space.num_classes} of {space.name}")
