"""Progressive shrinking: trains all subnets of a space at once, and can be stopped at any moment."""

import copy
import dataclasses
import math
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils import get_total_norm

from codesign.supernet.data.batches import Batch, Batches, Group
from codesign.supernet.data.data_set import DataSet, Split
from codesign.supernet.network.sorting import sort_channels, sort_widths
from codesign.supernet.network.supernet import Supernet
from codesign.supernet.spaces.space import Space, Subnet
from codesign.supernet.training.checkpoint import Checkpoint, State, read_checkpoint, write_checkpoint
from codesign.supernet.training.processes import ALONE, Processes, one_thread
from codesign.supernet.training.schedule import Phase, Schedule
from hw_templates.foundation.errors import InvalidValueError, StorageError
from hw_templates.foundation.json_records import reading

CHECKPOINT_SECONDS = (5.0, 300.0)
"""The least and the most between two checkpoints."""
_WRITING_SHARE = 0.02


@dataclass(frozen=True)
class TrainingProgress:
    """The outcome of one step.

    Attributes:
        step: steps done, this one included.
        steps: of the whole schedule.
        phase: name of the step's phase.
        loss: mean over the step's subnets and images.
    """

    step: int
    steps: int
    phase: str
    loss: float


class _Training:
    """The moving parts of a training run: networks and optimiser of the current phase."""

    def __init__(self, start: Checkpoint, processes: Processes, groups: int) -> None:
        device = processes.device
        self.start, self.processes, self.groups = start, processes, groups
        self.space, self.schedule = start.space, start.schedule
        self.losses = list(start.losses)
        self.supernet = self._network(start.weights)
        self.teacher = self._network(start.teacher) if start.teacher else None
        # Beside float32: it doubles the speed of GPUs, and nothing here's on CPUs.
        dtype = torch.float16 if device.type == "cuda" and not torch.cuda.is_bf16_supported() else torch.bfloat16
        self.precision = torch.autocast(device.type, dtype, enabled=device.type == "cuda")
        # Gradients of float16 vanish unless scaled up; without it, the scaler does nothing.
        self.scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)
        self.optimiser = self._new_optimiser()
        with reading("the checkpoint's optimiser", "delete the checkpoint, train anew"):
            if start.scaler:
                self.scaler.load_state_dict(dict(start.scaler))
            if start.optimiser:
                self.optimiser.load_state_dict(dict(start.optimiser))

    def _network(self, weights: State) -> Supernet:
        network = dataclasses.replace(self.start, weights=weights).supernet()
        return network.to(self.processes.device, memory_format=self.processes.layout)  # type: ignore[call-overload, no-any-return]

    def _new_optimiser(self) -> torch.optim.Optimizer:
        parameters = list(self.supernet.parameters())
        groups = [
            {"params": [p for p in parameters if p.ndim == 4], "weight_decay": self.schedule.weight_decay},
            {"params": [p for p in parameters if p.ndim != 4], "weight_decay": 0.0},
        ]
        if self.schedule.optimiser == "sgd":
            # Fused, it fails where a weight has its first gradient later than others (torch 2.13).
            return torch.optim.SGD(groups, momentum=0.9, nesterov=True, foreach=True)
        return torch.optim.AdamW(groups, fused=True)

    @property
    def finished(self) -> bool:
        """Say whether the last step is done."""
        return len(self.losses) == self.schedule.steps

    def checkpoint(self) -> Checkpoint:
        """Return the state between two steps; shares its tensors with this run."""
        going_on = not self.finished
        return dataclasses.replace(
            self.start,
            step=len(self.losses),
            losses=tuple(self.losses),
            weights=self.supernet.state_dict(),
            teacher=self.teacher.state_dict() if self.teacher is not None and going_on else {},
            optimiser=self.optimiser.state_dict() if going_on else {},
            scaler=self.scaler.state_dict() if going_on else {},
        )

    def _enter(self, index: int) -> None:
        """Prepare a phase at its first step."""
        if index:
            before, phase = self.schedule.phases[index - 1 : index + 1]
            if index == 1 and not before.elastic and self.schedule.teacher == "first phase":
                self.teacher = copy.deepcopy(self.supernet)
            for kind, sort in (("expand", sort_channels), ("width", sort_widths)):
                settled = dict(before.open_choices).get(kind) if kind in before.elastic else 1
                if kind in phase.elastic and settled is not None:
                    sort(self.supernet, settled)
        self.optimiser = self._new_optimiser()

    def advance(self, batch: Batch) -> TrainingProgress:
        """Do one step."""
        index, step_in_phase = self.schedule.locate(len(self.losses))
        if step_in_phase == 0:
            self._enter(index)
        phase = self.schedule.phases[index]
        for group in self.optimiser.param_groups:
            group["lr"] = phase.learning_rate_at(step_in_phase)
        self.optimiser.zero_grad()
        loss = self._accumulate(batch.groups, self._subnets(phase, batch))
        found = {"loss": loss}
        if not self.scaler.is_enabled():
            found["gradient"] = float(get_total_norm(self._gradients()))
        for name, value in found.items():
            if not math.isfinite(value):
                place = f"step {len(self.losses) + 1} (phase {phase.name}, batch seed {batch.seed})"
                raise InvalidValueError(f"training.{name}", value, f"finite at {place}; lower the learning rate")
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.losses.append(loss)
        return TrainingProgress(len(self.losses), self.schedule.steps, phase.name, loss)

    def _subnets(self, phase: Phase, batch: Batch) -> list[Subnet]:
        """Return the subnets that a step trains, of its resolution: random ones, some replaced by the phase's ends."""
        space, schedule, freedom = self.space, self.schedule, (phase.elastic, dict(phase.open_choices))
        rows = space.sample_genes(batch.rng, phase.subnets_per_step, *freedom)
        largest, smallest = space.encode(space.largest()), space.lowest_genes(*freedom)
        draw = batch.rng.random()
        if schedule.sandwich and len(rows) > 1:
            rows[:2] = largest, smallest
        elif draw < schedule.smallest_share:
            rows[0] = smallest
        elif draw < schedule.smallest_share + schedule.largest_share:
            rows[0] = largest
        return [dataclasses.replace(space.decode(row), resolution=batch.resolution) for row in rows]

    def _gradients(self) -> list[Tensor]:
        return [parameter.grad for parameter in self.supernet.parameters() if parameter.grad is not None]

    def _accumulate(self, groups: list[Group], subnets: list[Subnet]) -> float:
        """Add up the gradients of the subnets over all groups and processes; returns their mean loss."""
        losses = (self._accumulate_group(images, labels, subnets) for images, labels in groups)
        total = sum(losses, start=torch.zeros((), device=self.processes.device))
        self.processes.sum([*self._gradients(), total])
        return total.item() / len(subnets)

    def _accumulate_group(self, images: Tensor, labels: Tensor, subnets: list[Subnet]) -> Tensor:
        """Add up the subnets' gradients of one of the groups; returns the sum of their losses' shares."""
        answer = None
        if self.teacher is not None:
            full = dataclasses.replace(self.space.largest(), resolution=images.shape[-1])
            with torch.no_grad(), self.precision:
                answer = self.teacher(images, full).float().softmax(dim=1)
        total = torch.zeros((), device=images.device)
        for subnet in subnets:
            with self.precision:
                logits = self.supernet(images, subnet)
            logits = logits.float()
            loss = functional.cross_entropy(logits, labels, label_smoothing=self.schedule.label_smoothing)
            if answer is not None:
                loss = loss + self.schedule.distillation * functional.cross_entropy(logits, answer)
            elif self.schedule.teacher == "same step" and len(subnets) > 1:
                answer = logits.detach().softmax(dim=1)
            loss = loss / self.groups
            self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return total


def begin_with(weights: State, space: Space, data: DataSet, schedule: Schedule, path: Path, seed: int = 0) -> None:
    """Let the training of those arguments start from ``weights``, a supernet's state, where it has not begun yet.

    Raises:
        StorageError: the checkpoint cannot be written.
    """
    if not path.exists():
        schedule = schedule.in_steps(len(data.labels[Split.TRAIN]))
        write_checkpoint(path, Checkpoint(space=space, schedule=schedule, seed=seed, weights=weights))


def _start(path: Path, space: Space, schedule: Schedule, seed: int) -> Checkpoint:
    """Return the checkpoint to go on from."""
    if not path.exists():
        return Checkpoint(space=space, schedule=schedule, seed=seed, weights=Supernet(space, seed).state_dict())
    start = read_checkpoint(path, space)
    if (start.schedule, start.seed) != (schedule, seed):
        was = f"schedule {start.schedule.name} and seed {start.seed}"
        raise StorageError(
            f"{path}: trained by {was}, wanted {schedule.name} and {seed}; ask for the same or choose another file"
        )
    return start


@one_thread()
def train(
    space: Space,
    data: DataSet,
    schedule: Schedule,
    path: Path,
    *,
    seed: int = 0,
    processes: Processes = ALONE,
    on_step: Callable[[TrainingProgress], None] = lambda _: None,
) -> Checkpoint:
    """Train a supernet by progressive shrinking, going on from the file at ``path`` when there is one.

    The file is replaced every 5 s, or as rarely as keeps writing it below 2 % of the time, but at least every 5
    minutes, and at the end. A run that was stopped and started again comes to exactly the weights and losses of one
    that was not, on the same machine. Several processes call this together with the same arguments. Weights are random
    at first, unless :func:`begin_with` has set others.

    Args:
        space: what to train.
        data: images of the space's channels and classes.
        schedule: phases and rates; epochs are those of ``data``.
        path: the checkpoint.
        seed: of weights and draws.
        processes: this one and those that train with it.
        on_step: called after every step.

    Returns:
        The finished checkpoint.

    Raises:
        StorageError: the file is damaged, of another space, schedule or seed, or cannot be written.
        InvalidValueError: the loss or the gradient is no longer finite (the file holds the last sound state), the data
            do not fit the space, or there are more processes than groups of images.
    """
    check_data(space, data)
    images = len(data.labels[Split.TRAIN])
    schedule = schedule.in_steps(images)
    groups = schedule.groups(images)
    if processes.count > groups:
        raise InvalidValueError("processes", processes.count, f"at most {groups}, the groups of images in a step")
    start = _start(path, space, schedule, seed)
    training = _Training(start, processes, groups)
    (least, most), saved = CHECKPOINT_SECONDS, time.monotonic()
    interval = least
    stream = Batches(data=data, schedule=schedule, resolutions=space.resolutions, seed=seed, processes=processes)
    with closing(stream.since(start.step)) as batches:
        for batch in batches:
            on_step(training.advance(batch))
            now = time.monotonic()
            if now - saved >= interval or training.finished:
                if processes.first:
                    write_checkpoint(path, training.checkpoint())
                saved = time.monotonic()
                interval = min(max(least, (saved - now) / _WRITING_SHARE), most)
    processes.wait()
    return read_checkpoint(path, space)


def check_data(space: Space, data: DataSet) -> None:
    """Say whether the space can be trained on the data.

    Raises:
        InvalidValueError: their channels or classes differ.
    """
    for name, found, wanted in (
        ("channels", len(data.mean), space.image_channels),
        ("classes", data.classes, space.num_classes),
    ):
        if found != wanted:
            raise InvalidValueError(f"{data.name}.{name}", found, f"{wanted} as in space {space.name}")
