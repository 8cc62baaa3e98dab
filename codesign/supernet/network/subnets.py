"""Subnets in their supernet: evaluated, recalibrated, folded, and taken out to be trained further alone."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from codesign.supernet.layers.elastic import BatchNormStatistics, StatisticsRecorder
from codesign.supernet.network.supernet import Supernet
from codesign.supernet.spaces.space import Subnet
from hw_templates.foundation.arrays import Float32Array
from hw_templates.foundation.errors import InvalidValueError

# Pixels and least images of a part of a batch. The maps of larger parts leave a core's caches, and each takes fresh
# pages of memory; with fewer images the overhead of a call counts.
_PART_PIXELS = 2**16
_PART_IMAGES = 32


@torch.inference_mode()
def evaluate(supernet: Supernet, subnet: Subnet, images: Tensor, statistics: BatchNormStatistics) -> Tensor:
    """Return logits [n, classes] of images [n, C, resolution, resolution]; on a CPU in parts of the batch, for speed.

    Raises:
        InvalidValueError: the subnet is not of the space, or the images or statistics do not fit it.
    """
    part = len(images)
    if images.device.type == "cpu":
        part = max(_PART_IMAGES, _PART_PIXELS // subnet.resolution**2)
    return torch.cat([supernet(images_of_part, subnet, statistics) for images_of_part in torch.split(images, part)])


@torch.no_grad()
def recalibrate(supernet: Supernet, subnet: Subnet, images: Tensor) -> BatchNormStatistics:
    """Return batch-norm statistics of one subnet on images [n, C, resolution, resolution].

    Shared weights are trained in many subnets, so that each has statistics of its own; they are computed anew for
    every subnet that is evaluated.

    Raises:
        InvalidValueError: the subnet is not of the space, or the images have another shape or are fewer than two.
    """
    if len(images) < 2:
        raise InvalidValueError("images", len(images), "two or more, to have a variance")
    recorder = StatisticsRecorder()
    supernet(images, subnet, recorder)
    return BatchNormStatistics(recorder.mean, recorder.variance)


@torch.no_grad()
def fold(supernet: Supernet, subnet: Subnet, images: Tensor) -> dict[str, tuple[Float32Array, Float32Array]]:
    """Return weight and bias, float32, of every node of the subnet's workload that has them, by the node's name.

    Batch-norm statistics are recalibrated on ``images`` [n, C, resolution, resolution] and folded into the convolution
    before them: w g, b - m g with g = scale / sqrt(variance + epsilon). A weight is [M, N, k, k] ([C, 1, k, k] for a
    depthwise convolution, [M, N, 1, 1] for the classifier), a bias [M].

    Raises:
        InvalidValueError: the subnet is not of the space, or the images have another shape.
    """
    statistics, folded = recalibrate(supernet, subnet, images), {}
    for name, part in supernet.parts(subnet).items():
        weight, bias = part.weight, part.bias
        if part.norm is not None:
            scale, offset = part.norm
            gain = scale / torch.sqrt(statistics.variance[name] + supernet.space.batch_norm_epsilon)
            weight, bias = weight * gain[:, None, None, None], offset - statistics.mean[name] * gain
        elif bias is None:
            bias = torch.zeros(len(weight))
        folded[name] = np.ascontiguousarray(weight.numpy()), np.ascontiguousarray(bias.numpy())
    return folded


@torch.no_grad()
def specialised_weights(supernet: Supernet, subnet: Subnet) -> Mapping[str, Tensor]:
    """Return the state of a supernet of ``space.only(subnet)`` that computes what the subnet does in its supernet.

    Raises:
        InvalidValueError: the subnet is not of the space.
    """
    alone = Supernet(supernet.space.only(subnet))
    taken = supernet.weighted(subnet)
    for (node, shared), (own_node, own) in zip(taken, alone.weighted(alone.space.largest()), strict=True):
        for target, tensor in zip(own.stored(own_node).tensors, shared.stored(node).tensors, strict=True):
            target.copy_(tensor)
    return alone.state_dict()
