"""Puts the most important channels first, before the width becomes elastic."""

import torch
from torch import Tensor, nn

from codesign.supernet.elastic import ElasticBatchNorm, ElasticConvolution
from codesign.supernet.elastic_network import Supernet
from codesign.supernet.mobile_network import ElasticBlock
from codesign.supernet.resnet_network import ElasticBottleneck, NormalisedConvolution


def _descending(readers: Tensor, bounds: tuple[int, ...] = ()) -> Tensor:
    """Order of the channels that ``readers`` [M, N, k, k] read, by falling sum of their absolute weights.

    Channels stay on their side of each of the ascending ``bounds``.
    """
    importance = readers.abs().sum((0, 2, 3))
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
        _reorder(_descending(gate.excite.weight), squeezed, [gate.excite.weight])
        outputs += [gate.excite.weight, gate.excite.bias]
        inputs.append(gate.squeeze.weight)
    outputs += _of(block.expand, block.expand_norm)
    _reorder(_descending(block.project.weight, bounds), outputs, inputs)


def _sort_bottleneck(block: ElasticBottleneck, bounds: tuple[int, ...]) -> None:
    def outputs(layer: NormalisedConvolution) -> list[nn.Parameter | None]:
        return _of(layer.convolution, layer.norm)

    readers = block.project.convolution.weight
    _reorder(_descending(readers, bounds), outputs(block.convolve), [readers])
    readers = block.convolve.convolution.weight
    _reorder(_descending(readers, bounds), outputs(block.reduce), [readers])


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
