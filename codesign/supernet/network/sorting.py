"""Puts the most important channels first, before the width becomes elastic."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from codesign.supernet.layers.elastic import ElasticBatchNorm, ElasticConvolution
from codesign.supernet.network.elastic_network import Supernet
from codesign.supernet.network.mobile import ElasticBlock
from codesign.supernet.network.resnet import ElasticBottleneck, NormalisedConvolution, ResNetSupernet


def _descending(readers: list[nn.Parameter], bounds: tuple[int, ...] = ()) -> Tensor:
    """Order of the channels that all ``readers`` [M, N, k, k] read, by falling sum of their absolute weights.

    Channels stay on their side of each of the ascending ``bounds``.
    """
    importance = torch.stack([reader.abs().sum((0, 2, 3)) for reader in readers]).sum(0)
    orders = [torch.sort(part, descending=True, stable=True).indices for part in torch.tensor_split(importance, bounds)]
    return torch.cat([start + order for start, order in zip((0, *bounds), orders, strict=True)])


def _reorder(order: Tensor, outputs: list[nn.Parameter | None], inputs: list[nn.Parameter]) -> None:
    """Reorder the first axis of ``outputs`` and the second axis of ``inputs``, in place."""
    for parameter in outputs:
        if parameter is not None:
            parameter.copy_(parameter[order])
    for parameter in inputs:
        parameter.copy_(parameter[:, order])


def _of(convolution: ElasticConvolution, norm: ElasticBatchNorm) -> list[nn.Parameter | None]:
    return [convolution.weight, norm.weight, norm.bias]


def _sort_mobile(block: ElasticBlock, bounds: tuple[int, ...]) -> None:
    gate = block.squeeze_excite
    norm = block.depthwise_norm
    outputs: list[nn.Parameter | None] = [block.depthwise.weight, norm.weight, norm.bias]
    inputs = [block.project.weight]
    if gate is not None:
        squeezed: list[nn.Parameter | None] = [gate.squeeze.weight, gate.squeeze.bias]
        _reorder(_descending([gate.excite.weight]), squeezed, [gate.excite.weight])
        outputs += [gate.excite.weight, gate.excite.bias]
        inputs.append(gate.squeeze.weight)
    outputs += _of(block.expand, block.expand_norm)
    _reorder(_descending([block.project.weight], bounds), outputs, inputs)


def _sort_between(
    writers: list[NormalisedConvolution], readers: list[ElasticConvolution], bounds: tuple[int, ...]
) -> None:
    outputs = [parameter for writer in writers for parameter in _of(writer.convolution, writer.norm)]
    inputs = [reader.weight for reader in readers]
    _reorder(_descending(inputs, bounds), outputs, inputs)


def _sort_bottleneck(block: ElasticBottleneck, bounds: tuple[int, ...]) -> None:
    _sort_between([block.convolve], [block.project.convolution], bounds)
    _sort_between([block.reduce], [block.convolve.convolution], bounds)


def _streams(
    supernet: ResNetSupernet,
) -> Iterator[tuple[list[NormalisedConvolution], list[ElasticConvolution], tuple[int, ...]]]:
    """(what writes them, what reads them, how many there may be) of the channels of the stem and of each stage.

    Those of a stage pass all of its blocks, whose outputs are added to them.
    """
    space, choices, residual = supernet.space, supernet.space.choices, supernet.stem_residual
    added = [] if residual is None else [residual]
    widths = tuple(map(space.stem_mid_channels, choices["stem.mid_width"]))
    yield [supernet.stem_first, *added], [layer.convolution for layer in (*added, supernet.stem_last)], widths
    writers, readers = [supernet.stem_last], []
    widths = tuple(map(space.stem_channels, choices["stem.width"]))
    for block in supernet.blocks:
        assert isinstance(block, ElasticBottleneck)
        readers.append(block.reduce.convolution)
        if block.shortcut is not None:
            yield writers, [*readers, block.shortcut.convolution], widths
            writers, readers = [block.shortcut], []
            stage = block.position.stage
            widths = tuple(space.stage_channels(stage, width) for width in choices[f"stage{stage + 1}.width"])
        writers.append(block.project)
    yield writers, [*readers, supernet.classifier], widths


@torch.no_grad()
def sort_channels(supernet: Supernet, settled: int = 1) -> None:
    """Order the inner channels of every block, and its squeezed ones, by falling importance, in place.

    The importance of a channel is the sum of the absolute weights that read it (section 3.3 of Cai et al. 2020,
    "Once-for-All"), so that a narrower subnet, which has the first channels, loses the least. The full net computes
    what it did before, and so do subnets of the ``settled`` largest expansions: channels that one of them has and the
    next has not change places only among themselves.
    """
    for module in supernet.modules():
        if isinstance(module, ElasticBlock) and module.expanding:
            _sort_mobile(module, tuple(module.inner_channels[-settled:-1]))
        elif isinstance(module, ElasticBottleneck):
            _sort_bottleneck(module, tuple(module.inner_channels[-settled:-1]))


@torch.no_grad()
def sort_widths(supernet: Supernet, settled: int = 1) -> None:
    """Order the channels between the blocks of a bottleneck network by falling importance, in place.

    As :func:`sort_channels` does within blocks; here ``settled`` is of the largest widths. Networks of other families
    are left alone: their widths between blocks are not elastic. The ``ofa`` package names such a step in its training
    (``re_organize_outer_weights``) but has none, so the readers that count here are those of section 3.3 by analogy:
    every convolution that reads a channel, the shortcuts' and the classifier included.
    """
    if isinstance(supernet, ResNetSupernet):
        for writers, readers, widths in _streams(supernet):
            _sort_between(writers, readers, widths[-settled:-1])
