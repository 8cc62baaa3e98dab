"""Supernets of any family: built, recalibrated, counted."""

import torch
from torch import Tensor

from codesign.supernet.layers.elastic import BatchNormStatistics, SharedStatistics, StatisticsRecorder
from codesign.supernet.network.supernet import Supernet
from codesign.supernet.spaces.space import Space, Subnet
from hw_templates.foundation.errors import InvalidValueError

# Pixels and least images of a part of a batch. The maps of larger parts leave a core's caches, and each takes fresh
# pages of memory; with fewer images the overhead of a call counts.
_PART_PIXELS = 2**16
_PART_IMAGES = 32


def build_supernet(space: Space, seed: int = 0) -> Supernet:
    """Return a supernet of the space, its weights drawn from the seed.

    Raises:
        InvalidValueError: no network is known for spaces of this kind.
    """
    supernet = Supernet(space)
    supernet.initialise(seed)
    return supernet


@torch.inference_mode()
def evaluate(
    supernet: Supernet, subnet: Subnet, images: Tensor, statistics: BatchNormStatistics | SharedStatistics
) -> Tensor:
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
    return recorder.statistics()


def count_parameters(supernet: Supernet, subnet: Subnet) -> int:
    """Weights, biases, batch-norm scales and offsets that the subnet uses (kernel transformations applied).

    Raises:
        InvalidValueError: the subnet is not of the space.
    """
    count = 0
    for part in supernet.parts(subnet).values():
        vectors = (part.bias is not None) + 2 * (part.norm is not None)
        count += part.weight.numel() + vectors * len(part.weight)
    return count
