"""Puts the most important channels first, before the width becomes elastic."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from codesign.supernet.lowering.workloads import nodes_of
from codesign.supernet.network.supernet import Supernet
from codesign.supernet.spaces.space import Space, kind_of
from cost_models.workload import IMAGE, Node, Operation


@dataclass(frozen=True)
class _Channels:
    """Channels that must keep one order: those of a convolution's output, and of all that is added to it or gates it.

    Attributes:
        name: the node whose convolution makes them first.
        writers: nodes with weights whose outputs are these channels.
        readers: nodes whose convolutions read them.
    """

    name: str
    writers: list[Node]
    readers: list[Node]

    @property
    def block(self) -> str | None:
        """The block that they do not leave, or the stem; None for channels between blocks."""
        places = {node.name.rpartition(".")[0] for node in self.writers + self.readers}
        return places.pop() if len(places) == 1 else None


def _channels(supernet: Supernet) -> Iterator[_Channels]:
    """Yield the channels of the full net that something reads, in the order in which they are made."""
    nodes = {node.name: node for node in nodes_of(supernet.space, supernet.space.largest())}
    made_by = {IMAGE: IMAGE}
    for node in nodes.values():
        if node.layer.operation == Operation.CONV:
            made_by[node.name] = made_by[node.residual] if node.residual else node.name
        else:
            made_by[node.name] = made_by[node.ifmap]
            if node.gate:
                made_by[node.gate] = made_by[node.ifmap]
    weighted = [nodes[name] for name in supernet.layers]
    dense = [node for node in weighted if node.layer.operation == Operation.CONV]
    for maker in dict.fromkeys(made_by.values()):
        writers = [node for node in weighted if made_by[node.name] == maker]
        readers = [node for node in dense if made_by[node.ifmap] == maker]
        if writers and readers:
            yield _Channels(maker, writers, readers)


def _bounds(space: Space, kind: str, settled: int) -> dict[str, tuple[int, ...]]:
    """Return how many channels the ``settled`` largest choices of a kind have, without the largest of them.

    They are given for each node of the full net whose channels such a choice decides, by its name.
    """
    largest, bounds = space.largest().values(), {}
    for segment in space.segments:
        for name in (name for name in segment.names if kind_of(name) == kind):
            variants = (segment.make(largest | {name: choice}, IMAGE) for choice in space.choices[name])
            for nodes in zip(*variants, strict=True):
                counts = [node.layer.out_channels for node in nodes]
                if len(set(counts)) > 1:
                    bounds[nodes[0].name] = tuple(counts[-settled:-1])
    return bounds


def _sort(supernet: Supernet, channels: _Channels, bounds: tuple[int, ...] = ()) -> None:
    """Order channels by the falling sum of the absolute weights that read them; each stays on its side of ``bounds``.

    What a gate of theirs reads does not count.
    """
    readers = {node.name: supernet.layers[node.name].convolution.weight for node in channels.readers}
    judges = [weight for name, weight in readers.items() if not name.endswith(".squeeze")]
    importance = torch.stack([weight.abs().sum((0, 2, 3)) for weight in judges]).sum(0)
    orders = [torch.sort(part, descending=True, stable=True).indices for part in torch.tensor_split(importance, bounds)]
    order = torch.cat([start + part for start, part in zip((0, *bounds), orders, strict=True)])
    for node in channels.writers:
        for tensor in supernet.layers[node.name].stored(node).tensors:
            tensor.copy_(tensor[order])
    for weight in readers.values():
        weight.copy_(weight[:, order])


@torch.no_grad()
def sort_channels(supernet: Supernet, settled: int = 1) -> None:
    """Order the inner channels of every block, and its squeezed ones, by falling importance, in place.

    The importance of a channel is the sum of the absolute weights that read it (section 3.3 of Cai et al. 2020,
    "Once-for-All"), so that a narrower subnet, which has the first channels, loses the least. The full net computes
    what it did before, and so do subnets of the ``settled`` largest expansions: channels that one of them has and the
    next has not change places only among themselves.
    """
    space = supernet.space
    bounds = _bounds(space, "expand", settled)
    # Backwards, as the order of what is read changes how sums are rounded.
    for channels in reversed(tuple(_channels(supernet))):
        if channels.block in space.block_names:
            squeezed = channels.name.endswith(".squeeze")
            if not squeezed:
                _sort(supernet, channels, bounds.get(channels.name, ()))
            elif f"{channels.block}.expand" in supernet.layers:
                _sort(supernet, channels)


@torch.no_grad()
def sort_widths(supernet: Supernet, settled: int = 1) -> None:
    """Order the channels between the blocks, and those of the stem, by falling importance, in place.

    As :func:`sort_channels` does within blocks; here ``settled`` is of the largest widths. Networks of families whose
    widths between blocks are not elastic are left alone. The ``ofa`` package names such a step in its training
    (``re_organize_outer_weights``) but has none, so the readers that count here are those of section 3.3 by analogy:
    every convolution that reads a channel, the shortcuts' and the classifier included.
    """
    space = supernet.space
    if any(kind_of(name) == "width" for name in space.choices):
        bounds = _bounds(space, "width", settled)
        for channels in _channels(supernet):
            if channels.block not in space.block_names:
                _sort(supernet, channels, bounds.get(channels.name, ()))
