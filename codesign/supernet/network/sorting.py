"""Puts the most important channels first, before the width becomes elastic."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from codesign.supernet.lowering.workloads import lower, segments_of
from codesign.supernet.network.supernet import Supernet
from codesign.supernet.spaces.space import Space, kind_of
from cost_models.workload import IMAGE, Operation


@dataclass(frozen=True)
class _Channels:
    """Channels that must keep one order: those of a convolution's output, and of all that is added to it or gates it.

    Attributes:
        name: the node whose convolution makes them first.
        writers: nodes with weights whose outputs are these channels.
        readers: nodes whose convolutions read them.
    """

    name: str
    writers: tuple[str, ...]
    readers: tuple[str, ...]

    @property
    def block(self) -> str | None:
        """The block that they do not leave, or the stem; None for channels between blocks."""
        places = {name.rpartition(".")[0] for name in (*self.writers, *self.readers)}
        return places.pop() if len(places) == 1 else None


def _channels(supernet: Supernet) -> Iterator[_Channels]:
    """Yield the channels of the full net that something reads, in the order in which they are made."""
    nodes = {node.name: node for node in lower(supernet.space, supernet.space.largest())}
    made_by = {IMAGE: IMAGE}
    for node in nodes.values():
        if node.layer.operation == Operation.CONV:
            made_by[node.name] = made_by[node.residual] if node.residual else node.name
        else:
            made_by[node.name] = made_by[node.ifmap]
            if node.gate:
                made_by[node.gate] = made_by[node.ifmap]
    dense = [name for name in supernet.layers if nodes[name].layer.operation == Operation.CONV]
    for maker in dict.fromkeys(made_by.values()):
        writers = tuple(name for name in supernet.layers if made_by[name] == maker)
        readers = tuple(name for name in dense if made_by[nodes[name].ifmap] == maker)
        if writers and readers:
            yield _Channels(maker, writers, readers)


def _bounds(space: Space, channels: _Channels, kind: str, settled: int) -> tuple[int, ...]:
    """Return how many of the channels the ``settled`` largest choices of a kind have, without the largest of them."""
    largest = space.largest().values()
    for segment in segments_of(space):
        if channels.name in (node.name for node in segment.nodes(largest, IMAGE)):
            for name in segment.names:
                variants = [segment.nodes(largest | {name: choice}, IMAGE) for choice in space.choices[name]]
                counts = [node.layer.out_channels for nodes in variants for node in nodes if node.name == channels.name]
                if kind_of(name) == kind and len(set(counts)) > 1:
                    return tuple(counts[-settled:-1])
    return ()


def _sort(supernet: Supernet, channels: _Channels, bounds: tuple[int, ...] = ()) -> None:
    """Order channels by the falling sum of the absolute weights that read them; each stays on its side of ``bounds``.

    What a gate of theirs reads does not count.
    """
    readers = [supernet.layers[name].convolution.weight for name in channels.readers]
    judges = [w for name, w in zip(channels.readers, readers, strict=True) if not name.endswith(".squeeze")]
    importance = torch.stack([weight.abs().sum((0, 2, 3)) for weight in judges]).sum(0)
    orders = [torch.sort(part, descending=True, stable=True).indices for part in torch.tensor_split(importance, bounds)]
    order = torch.cat([start + part for start, part in zip((0, *bounds), orders, strict=True)])
    for name in channels.writers:
        shared = supernet.layers[name]
        bias = getattr(shared.convolution, "bias", None)
        written: list[Tensor | None] = [shared.convolution.weight, bias]
        written += [] if shared.norm is None else [shared.norm.weight, shared.norm.bias]
        for parameter in written:
            if parameter is not None:
                parameter.copy_(parameter[order])
    for weight in readers:
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
    # Backwards, as the order of what is read changes how sums are rounded.
    for channels in reversed(tuple(_channels(supernet))):
        if channels.block in space.block_names:
            squeezed = channels.name.endswith(".squeeze")
            if not squeezed:
                _sort(supernet, channels, _bounds(space, channels, "expand", settled))
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
        for channels in _channels(supernet):
            if channels.block not in space.block_names:
                _sort(supernet, channels, _bounds(space, channels, "width", settled))
