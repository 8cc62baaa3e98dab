"""What every family of supernets is: shared weights, of which each subnet uses a part."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from codesign.supernet.layers.elastic import (
    ElasticBatchNorm,
    ElasticConvolution,
    ElasticDepthwise,
    Normalise,
    normalise_by_batch,
)
from codesign.supernet.spaces.space import Space, Subnet
from hw_templates.foundation.errors import InvalidValueError


@dataclass(frozen=True)
class Part:
    """What a subnet uses of one convolution of its supernet.

    Attributes:
        weight: [M, N, k, k]; [C, 1, k, k] of a depthwise convolution; [M, N, 1, 1] of the classifier.
        bias: [M], or None.
        norm: the batch norm after it, of which the first M channels count, or None.
    """

    weight: Tensor
    bias: Tensor | None
    norm: ElasticBatchNorm | None


class Supernet(nn.Module, ABC):
    """The shared weights of a space.

    Which subnet runs is an argument of the call, as is what its batch norms normalise by: nothing is switched.
    """

    space: Space
    classifier: ElasticConvolution

    @abstractmethod
    def forward(self, images: Tensor, subnet: Subnet, normalise: Normalise = normalise_by_batch) -> Tensor:
        """Logits [n, classes] of images [n, C, resolution, resolution] in the subnet.

        Args:
            images: normalised float images of the subnet's resolution.
            subnet: one of the space.
            normalise: by the batch (for training), or the subnet's :class:`BatchNormStatistics`.

        Raises:
            InvalidValueError: the subnet is not of the space, or the images have another shape.
        """

    @abstractmethod
    def parts(self, subnet: Subnet) -> dict[str, Part]:
        """What the subnet uses of every convolution, by the name of its node in the subnet's workload.

        Raises:
            InvalidValueError: the subnet is not of the space.
        """

    def check_images(self, images: Tensor, subnet: Subnet) -> None:
        """Say whether the subnet can be called with the images.

        Raises:
            InvalidValueError: the subnet is not of the space, or the images have another shape.
        """
        self.space.check(subnet)
        shape = (self.space.image_channels, subnet.resolution, subnet.resolution)
        if images.ndim != 4 or tuple(images.shape[1:]) != shape:
            raise InvalidValueError("images", tuple(images.shape), f"of shape (n, {', '.join(map(str, shape))})")

    def initialise(self, seed: int) -> None:
        """Draw normal weights whose variance keeps that of the features (He et al. 2015, fan out); biases of zero."""
        generator = torch.Generator().manual_seed(seed)
        for module in self.modules():
            if isinstance(module, ElasticConvolution | ElasticDepthwise):
                out_channels, _, height, width = module.weight.shape
                fan_out = height * width * (1 if isinstance(module, ElasticDepthwise) else out_channels)
                nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out), generator=generator)
                if isinstance(module, ElasticConvolution) and module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.classifier.weight, std=0.01, generator=generator)
