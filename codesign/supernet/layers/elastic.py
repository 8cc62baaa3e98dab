"""Elastic layers: each holds the weights of its largest form, and lends a part of them to smaller ones.

No layer has a state that says which part is in use: every call is told.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from cost_models.workload import Activation, Layer
from hw_templates.foundation.errors import InvalidValueError


def activate(features: Tensor, activation: Activation) -> Tensor:
    """Return the activation function, as torch has it; overwrites ``features`` where that serves."""
    match activation:
        case Activation.IDENTITY:
            return features
        case Activation.RELU:
            # Autograd keeps account of changes to views, which takes longer.
            return functional.relu(features, inplace=not features._is_view())
        case Activation.RELU6:
            return functional.relu6(features, inplace=True)
        case Activation.HSWISH:
            # Its gradient needs what went in.
            return functional.hardswish(features, inplace=not features.requires_grad)
        case Activation.HSIGMOID:
            return functional.hardsigmoid(features)


Normalise = Callable[[str, Tensor, Tensor, Tensor, float], Tensor]
"""Batch normalisation of the layer of a name: features [n, C, h, w], scale and offset [C], and what is added to the
variance, to normalised features [n, C, h, w]."""


def normalise_by_batch(
    name: str,  # noqa: ARG001
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    epsilon: float,
) -> Tensor:
    """Normalise by the statistics of the batch itself, as in training."""
    return functional.batch_norm(features, None, None, weight, bias, training=True, eps=epsilon)


@dataclass(frozen=True)
class BatchNormStatistics:
    """Mean and (biased) variance [C] of every normalised layer of one subnet; normalises by them.

    Raises:
        InvalidValueError: on use for a layer that the statistics lack or whose width is another.
    """

    mean: Mapping[str, Tensor]
    variance: Mapping[str, Tensor]

    def __call__(self, name: str, features: Tensor, weight: Tensor, bias: Tensor, epsilon: float) -> Tensor:
        """Features normalised by these statistics."""
        if name not in self.mean or len(self.mean[name]) != features.shape[1]:
            raise InvalidValueError(f"statistics.{name}", self.mean.get(name), f"of {features.shape[1]} channels")
        mean, variance = self.mean[name], self.variance[name]
        return functional.batch_norm(features, mean, variance, weight, bias, training=False, eps=epsilon)


class StatisticsRecorder:
    """Normalises by the batch and keeps the statistics that it used."""

    def __init__(self) -> None:
        self.mean: dict[str, Tensor] = {}
        self.variance: dict[str, Tensor] = {}

    def __call__(self, name: str, features: Tensor, weight: Tensor, bias: Tensor, epsilon: float) -> Tensor:
        """Features normalised by their own statistics."""
        mean, variance = torch.zeros_like(bias), torch.zeros_like(bias)
        # With a momentum of 1 the running statistics become the batch's, in far less time than torch.var_mean takes.
        normalised = functional.batch_norm(
            features, mean, variance, weight, bias, training=True, momentum=1.0, eps=epsilon
        )
        values = features.numel() // features.shape[1]
        self.mean[name], self.variance[name] = mean, variance * ((values - 1) / values)
        return normalised


def fake_quantise(weight: Tensor, bits: int) -> Tensor:
    """Return weights [M, ...] rounded to integers of ``bits`` bits times a scale an output channel.

    The grid is symmetric and its end is the channel's largest weight, as :mod:`codesign.emit.quantise` has it. The
    gradient passes as if nothing had been rounded (straight-through estimator, Bengio et al. 2013).
    """
    with torch.no_grad():
        largest = 2 ** (bits - 1) - 1
        scale = weight.flatten(1).abs().amax(1).clamp_min(1e-12).view(-1, *[1] * (weight.ndim - 1)) / largest
        rounding = torch.floor(weight / scale + 0.5) * scale - weight
    quantised: Tensor = weight + rounding
    return quantised


class ElasticConvolution(nn.Module):
    """The weights of a dense convolution, of which the first output and input channels can be used alone."""

    def __init__(self, layer: Layer, *, bias: bool) -> None:
        super().__init__()
        kernel = layer.kernel_height, layer.kernel_width
        self.weight = nn.Parameter(torch.empty(layer.out_channels, layer.in_channels, *kernel))
        self.bias = nn.Parameter(torch.empty(layer.out_channels)) if bias else None

    def part(self, layer: Layer) -> tuple[Tensor, Tensor | None]:
        """Return weight [M, N, k, k] and bias [M] of the first channels."""
        weight = self.weight[: layer.out_channels, : layer.in_channels]
        return weight, None if self.bias is None else self.bias[: layer.out_channels]


class ElasticDepthwise(nn.Module):
    """The weights of a depthwise convolution of elastic width and kernel.

    The smaller kernel is the centre of the next larger one, seen as a vector and multiplied by a learned matrix that
    all channels share (kernel transformation, section 3.3 of Cai et al. 2020, "Once-for-All").
    """

    def __init__(self, layer: Layer, kernels: tuple[int, ...]) -> None:
        super().__init__()
        self.kernels = kernels
        self.weight = nn.Parameter(torch.empty(layer.out_channels, 1, kernels[-1], kernels[-1]))
        self.transforms = nn.ParameterDict({f"{big}to{small}": torch.eye(small**2) for small, big in pairwise(kernels)})

    def part(self, layer: Layer) -> tuple[Tensor, None]:
        """Return weight [C, 1, k, k] of the first channels, and that there is no bias."""
        weight = self.weight[: layer.out_channels]
        for small, big in reversed(tuple(pairwise(self.kernels))):
            if layer.kernel_height <= small:
                margin = (big - small) // 2
                centre = weight[:, :, margin : margin + small, margin : margin + small]
                matrix = self.transforms[f"{big}to{small}"]
                weight = functional.linear(centre.flatten(1), matrix).view(-1, 1, small, small)
        return weight, None
