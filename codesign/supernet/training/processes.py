"""The processes that train together, and what each computes on and with how many threads."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Processes:
    """This process among those that train one supernet together.

    Attributes:
        rank: of this one, from 0; the first writes what is to be kept.
        count: how many there are.
        device: what this one computes on.
    """

    rank: int = 0
    count: int = 1
    device: torch.device = CPU

    @property
    def first(self) -> bool:
        """Say whether this is the one that writes and tells."""
        return self.rank == 0

    @property
    def layout(self) -> torch.memory_format:
        """Return the layout of images and weights in the device's memory: GPUs are faster where channels are last."""
        return torch.preserve_format if self.device.type == "cpu" else torch.channels_last

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors, of the same shapes in every process, by their sums over the processes.

        They travel as one vector, in one exchange.
        """
        if self.count == 1:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        distributed.all_reduce(flat)
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def wait(self) -> None:
        """Return once every process has come here."""
        if self.count > 1:
            distributed.barrier()


ALONE = Processes()


def best_device() -> torch.device:
    """Return the device of a process that trains alone: a GPU where there is one."""
    return torch.device("cuda") if torch.cuda.is_available() else CPU


@contextmanager
def joined_processes() -> Iterator[Processes]:
    """The processes that ``torchrun`` started, this one alone without it; each has a GPU where there are any."""
    count, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    device = best_device()
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
        torch.cuda.set_device(device)
    if count == 1:
        yield Processes(device=device)
        return
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Processes(rank, count, device)
    finally:
        distributed.destroy_process_group()


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread meanwhile; also a decorator.

    The layers of small networks are too short to share: threads wait for each other longer than they compute, and
    many times longer when something else runs too. And sums no longer depend on the number of cores.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
