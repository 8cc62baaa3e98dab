"""The batches that a training sees, each of which follows from the seed and the number of its step."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from codesign.supernet.data.augmentation import draw_changes
from codesign.supernet.data.data_set import DataSet, Split
from codesign.supernet.training.processes import Processes
from codesign.supernet.training.schedule import Schedule

Group = tuple[Tensor, Tensor]
"""Normalised images [m, C, resolution, resolution] and labels [m] that go through a network together."""


@dataclass(frozen=True)
class StepDraws:
    """The random draws of a step.

    Attributes:
        batch_seed: of the generator that the images are changed by.
        resolution: of the images.
        rng: draws the subnets.
    """

    batch_seed: int
    resolution: int
    rng: np.random.Generator


def draw_step(seed: int, step: int, resolutions: tuple[int, ...]) -> StepDraws:
    """Draw what is random in a step, the same in every process."""
    rng = np.random.default_rng([seed, 1, step])
    return StepDraws(int(rng.integers(2**62)), int(rng.choice(resolutions)), rng)


class Batches:
    """Makes the groups of a step that this process is to train on, one step ahead."""

    def __init__(
        self,
        data: DataSet,
        schedule: Schedule,
        resolutions: tuple[int, ...],
        seed: int,
        processes: Processes,
        maker: ThreadPoolExecutor,
    ) -> None:
        self._data, self._schedule, self._resolutions = data, schedule, resolutions
        self._seed, self._processes, self._maker = seed, processes, maker
        self._images = data.images[Split.TRAIN]
        self._next: tuple[int, Future[list[Group]]] | None = None

    @property
    def size(self) -> int:
        """Images of a step, in all processes together."""
        return min(self._schedule.batch_size, len(self._images.labels))

    def groups(self, step: int) -> list[Group]:
        """Return the groups of the step, on this process's device."""
        ahead = self._next if self._next is not None and self._next[0] == step else None
        made = self._make(step) if ahead is None else ahead[1].result()
        if step + 1 < self._schedule.steps:
            self._next = (step + 1, self._maker.submit(self._make, step + 1))
        device = self._processes.device
        if device.type == "cpu":
            return made
        return [
            (
                images.to(device, non_blocking=True, memory_format=torch.channels_last),
                labels.to(device, non_blocking=True),
            )
            for images, labels in made
        ]

    def _rows(self, step: int) -> Tensor:
        """Which images the step sees: each epoch runs through a permutation of its own."""
        count = len(self._images.labels)
        size = self.size
        epoch, batch = divmod(step, count // size)
        order = np.random.default_rng([self._seed, 0, epoch]).permutation(count)
        return torch.from_numpy(order[batch * size : (batch + 1) * size])

    def _make(self, step: int) -> list[Group]:
        rows, draws = self._rows(step), draw_step(self._seed, step, self._resolutions)
        generator = torch.Generator().manual_seed(draws.batch_seed)
        changes = draw_changes(self._schedule.augmentation, len(rows), generator)
        groups = []
        bounds = np.linspace(0, len(rows), self._schedule.groups(len(rows)) + 1).astype(int).tolist()
        for start, end in list(pairwise(bounds))[self._processes.rank :: self._processes.count]:
            part = slice(start, end)
            images = self._images.changed(rows[part], changes.part(part), draws.resolution)
            groups.append((self._data.normalise(images), self._images.labels[rows[part]]))
        return groups


@contextmanager
def open_batches(
    data: DataSet, schedule: Schedule, resolutions: tuple[int, ...], seed: int, processes: Processes
) -> Iterator[Batches]:
    """The batches of a training; a thread makes the next one meanwhile."""
    with ThreadPoolExecutor(1, "batches", initializer=torch.set_num_threads, initargs=(1,)) as maker:
        yield Batches(data, schedule, resolutions, seed, processes, maker)
