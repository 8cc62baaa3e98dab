"""Puts the most important channels first, before the width becomes elastic."""

import torch
from torch import Tensor

from codesign.supernet.network import ElasticBlock, Supernet


def _descending(importance: Tensor) -> Tensor:
    return torch.sort(importance, descending=True, stable=True).indices


def _sort_block(block: ElasticBlock) -> None:
    squeeze_excite = block.squeeze_excite
    if squeeze_excite is not None:
        order = _descending(squeeze_excite.excite.weight.abs().sum((0, 2, 3)))
        squeeze_excite.squeeze.weight.copy_(squeeze_excite.squeeze.weight[order])
        if squeeze_excite.squeeze.bias is not None:
            squeeze_excite.squeeze.bias.copy_(squeeze_excite.squeeze.bias[order])
        squeeze_excite.excite.weight.copy_(squeeze_excite.excite.weight[:, order])
    order = _descending(block.project.weight.abs().sum((0, 2, 3)))
    by_output = [block.expand.weight, block.depthwise.weight]
    for norm in (block.expand_norm, block.depthwise_norm):
        by_output += [norm.weight, norm.bias]
    by_input = [block.project.weight]
    if squeeze_excite is not None:
        by_input.append(squeeze_excite.squeeze.weight)
        by_output.append(squeeze_excite.excite.weight)
        if squeeze_excite.excite.bias is not None:
            by_output.append(squeeze_excite.excite.bias)
    for parameter in by_output:
        parameter.copy_(parameter[order])
    for parameter in by_input:
        parameter.copy_(parameter[:, order])


@torch.no_grad()
def sort_channels(supernet: Supernet) -> None:
    """Order the expanded channels of every block, and its squeezed ones, by falling importance, in place.

    The importance of a channel is the sum of the absolute weights that read it (section 3.3 of Cai et al. 2020,
    "Once-for-All"), so that a narrower subnet, which has the first channels, loses the least. The full net computes
    what it did before.
    """
    for block in supernet.blocks:
        if isinstance(block, ElasticBlock):
            _sort_block(block)
