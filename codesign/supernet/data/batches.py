"""The batches that a training sees, each of which follows from the seed and the number of its step."""

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from codesign.supernet.data.data_set import DataSet, Split, draw_changes
from codesign.supernet.training.processes import Processes
from codesign.supernet.training.schedule import Schedule

Group = tuple[Tensor, Tensor]
"""Normalised images [m, C, resolution, resolution] and labels [m] that go through a network together."""


@dataclass(frozen=True)
class Batch:
    """Images, resolution and random draws of one step; only the groups differ from process to process.

    Attributes:
        seed: of the generator that the images are changed by.
        resolution: of the images.
        rng: draws the subnets.
        groups: those that this process trains on, on its device.
    """

    seed: int
    resolution: int
    rng: np.random.Generator
    groups: list[Group]


@dataclass(frozen=True, kw_only=True)
class Batches:
    """Makes the batches of a training in the steps of ``schedule``, for this one of some processes."""

    data: DataSet
    schedule: Schedule
    resolutions: tuple[int, ...]
    seed: int
    processes: Processes

    def since(self, first: int) -> Generator[Batch, None, None]:
        """Yield the batches of the steps from ``first`` on; a thread makes the next one meanwhile."""
        coming = None
        with ThreadPoolExecutor(1, "batches", initializer=torch.set_num_threads, initargs=(1,)) as maker:
            for step in range(first, self.schedule.steps):
                batch = self.make(step) if coming is None else coming.result()
                coming = maker.submit(self.make, step + 1) if step + 1 < self.schedule.steps else None
                yield batch

    def make(self, step: int) -> Batch:
        """Return the batch of a step."""
        rng = np.random.default_rng([self.seed, 1, step])
        seed, resolution = int(rng.integers(2**62)), int(rng.choice(self.resolutions))
        part, processes = self.data.images[Split.TRAIN], self.processes
        # Each epoch runs through a permutation of its own.
        count = len(part.labels)
        size = min(self.schedule.batch_size, count)
        epoch, batch = divmod(step, count // size)
        order = torch.from_numpy(np.random.default_rng([self.seed, 0, epoch]).permutation(count))
        rows = order[batch * size : (batch + 1) * size]
        changes = draw_changes(self.schedule.augmentation, size, torch.Generator().manual_seed(seed))
        groups = []
        bounds = np.linspace(0, size, self.schedule.groups(size) + 1).astype(int).tolist()
        for start, end in list(pairwise(bounds))[processes.rank :: processes.count]:
            images = self.data.normalise(part.resized(rows[start:end], resolution, changes.part(slice(start, end))))
            images = images.to(processes.device, memory_format=processes.layout)
            groups.append((images, part.labels[rows[start:end]].to(processes.device)))
        return Batch(seed, resolution, rng, groups)
