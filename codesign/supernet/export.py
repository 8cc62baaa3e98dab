"""The weights of one subnet, batch norms folded into the convolutions, as the layers of its workload take them."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codesign.supernet.elastic import BATCH_NORM_EPSILON, BatchNormStatistics, ElasticBatchNorm, ElasticConvolution
from codesign.supernet.network import ElasticBlock, Supernet, recalibrate
from codesign.supernet.space import Block, Subnet, squeezed_channels

Float32Array = NDArray[np.float32]
FoldedLayer = tuple[Float32Array, Float32Array]


def _arrays(weight: Tensor, bias: Tensor) -> FoldedLayer:
    return np.ascontiguousarray(weight.numpy()), np.ascontiguousarray(bias.numpy())


def _fold(name: str, weight: Tensor, norm: ElasticBatchNorm, statistics: BatchNormStatistics) -> FoldedLayer:
    """A convolution and the batch norm after it as one: w * g, b - m * g with g = scale / sqrt(variance + epsilon)."""
    channels = len(weight)
    gain = norm.weight[:channels] / torch.sqrt(statistics.variance[name] + BATCH_NORM_EPSILON)
    bias = norm.bias[:channels] - statistics.mean[name] * gain
    return _arrays(weight * gain[:, None, None, None], bias)


def _plain(convolution: ElasticConvolution, in_channels: int, out_channels: int) -> FoldedLayer:
    weight, bias = convolution.part(in_channels, out_channels)
    return _arrays(weight, torch.zeros(out_channels) if bias is None else bias)


def _fold_block(module: ElasticBlock, block: Block, statistics: BatchNormStatistics) -> dict[str, FoldedLayer]:
    position = module.position
    name, channels = position.name, position.expanded_channels(block.expand)
    expand, _ = module.expand.part(position.in_channels, channels)
    depthwise = module.depthwise.part(channels, block.kernel)
    project, _ = module.project.part(channels, position.out_channels)
    layers = {
        f"{name}.expand": _fold(f"{name}.expand", expand, module.expand_norm, statistics),
        f"{name}.depthwise": _fold(f"{name}.depthwise", depthwise, module.depthwise_norm, statistics),
    }
    if module.squeeze_excite is not None:
        squeezed = squeezed_channels(channels)
        layers[f"{name}.squeeze"] = _plain(module.squeeze_excite.squeeze, channels, squeezed)
        layers[f"{name}.excite"] = _plain(module.squeeze_excite.excite, squeezed, channels)
    layers[f"{name}.project"] = _fold(f"{name}.project", project, module.project_norm, statistics)
    return layers


@torch.no_grad()
def fold(supernet: Supernet, subnet: Subnet, images: Tensor) -> dict[str, FoldedLayer]:
    """Weight and bias, float32, of every node of the subnet's workload that has them, by the node's name.

    Batch-norm statistics are recalibrated on ``images`` [n, C, resolution, resolution] and folded. A weight is
    [M, N, k, k] ([C, 1, k, k] for a depthwise convolution, [M, N, 1, 1] for the classifier), a bias [M].

    Raises:
        InvalidValueError: the subnet is not of the space, or the images have another shape.
    """
    space = supernet.space
    statistics = recalibrate(supernet, subnet, images)
    layers = {"stem": _fold("stem", supernet.stem.weight, supernet.stem_norm, statistics)}
    for position, module in zip(space.positions, supernet.blocks, strict=True):
        blocks = subnet.stages[position.stage]
        if isinstance(module, ElasticBlock) and position.block < len(blocks):
            layers |= _fold_block(module, blocks[position.block], statistics)
    layers["final"] = _fold("final", supernet.final.weight, supernet.final_norm, statistics)
    layers["classifier"] = _plain(supernet.classifier, space.final_width, space.num_classes)
    return layers
