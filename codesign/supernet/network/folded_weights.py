"""The weights of one subnet, batch norms folded into the convolutions, as the layers of its workload take them."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codesign.supernet.layers.elastic import BatchNormStatistics
from codesign.supernet.network.build import recalibrate
from codesign.supernet.network.supernet import Part, Supernet
from codesign.supernet.spaces.space import Subnet

Float32Array = NDArray[np.float32]
FoldedLayer = tuple[Float32Array, Float32Array]


def _fold(name: str, part: Part, statistics: BatchNormStatistics) -> FoldedLayer:
    """Fold a batch norm into the convolution before it: w g, b - m g with g = scale / sqrt(variance + epsilon)."""
    weight, norm, channels = part.weight, part.norm, len(part.weight)
    if norm is None:
        bias = torch.zeros(channels) if part.bias is None else part.bias
    else:
        gain = norm.weight[:channels] / torch.sqrt(statistics.variance[name] + norm.epsilon)
        weight, bias = weight * gain[:, None, None, None], norm.bias[:channels] - statistics.mean[name] * gain
    return np.ascontiguousarray(weight.numpy()), np.ascontiguousarray(bias.numpy())


@torch.no_grad()
def fold(supernet: Supernet, subnet: Subnet, images: Tensor) -> dict[str, FoldedLayer]:
    """Return weight and bias, float32, of every node of the subnet's workload that has them, by the node's name.

    Batch-norm statistics are recalibrated on ``images`` [n, C, resolution, resolution] and folded. A weight is
    [M, N, k, k] ([C, 1, k, k] for a depthwise convolution, [M, N, 1, 1] for the classifier), a bias [M].

    Raises:
        InvalidValueError: the subnet is not of the space, or the images have another shape.
    """
    statistics = recalibrate(supernet, subnet, images)
    return {name: _fold(name, part, statistics) for name, part in supernet.parts(subnet).items()}
