"""Elastic layers: each holds the weights of its largest form, and lends a part of them to smaller ones.

No layer has a state that says which part is in use: every call is told.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from codesign.supernet.layers.depthwise import depthwise_convolution
from cost_models.workload import Activation
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


class Normalise(Protocol):
    """Batch normalisation [n, C, h, w] -> [n, C, h, w] of the layer called ``name``, with scale and offset [C].

    ``epsilon`` is added to the variance.
    """

    def __call__(self, name: str, features: Tensor, weight: Tensor, bias: Tensor, epsilon: float) -> Tensor:
        """The normalised features."""


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


@dataclass(frozen=True)
class SharedStatistics:
    """Running statistics [C] of the full net, of which a subnet takes those of its first channels.

    So the ``ofa`` package evaluates subnets that were not recalibrated, and so the published supernets are meant to be
    used at full width.
    """

    mean: Mapping[str, Tensor]
    variance: Mapping[str, Tensor]

    def __call__(self, name: str, features: Tensor, weight: Tensor, bias: Tensor, epsilon: float) -> Tensor:
        """Features normalised by the statistics of the first channels."""
        channels = features.shape[1]
        mean, variance = self.mean[name][:channels], self.variance[name][:channels]
        return functional.batch_norm(features, mean, variance, weight, bias, training=False, eps=epsilon)


class StatisticsRecorder:
    """Normalises by the batch and keeps the statistics that it used."""

    def __init__(self) -> None:
        self._mean: dict[str, Tensor] = {}
        self._variance: dict[str, Tensor] = {}

    def __call__(self, name: str, features: Tensor, weight: Tensor, bias: Tensor, epsilon: float) -> Tensor:
        """Features normalised by their own statistics."""
        mean, variance = torch.zeros_like(bias), torch.zeros_like(bias)
        # With a momentum of 1 the running statistics become the batch's, in far less time than torch.var_mean takes.
        normalised = functional.batch_norm(
            features, mean, variance, weight, bias, training=True, momentum=1.0, eps=epsilon
        )
        values = features.numel() // features.shape[1]
        self._mean[name], self._variance[name] = mean, variance * ((values - 1) / values)
        return normalised

    def statistics(self) -> BatchNormStatistics:
        """Return the statistics that were recorded."""
        return BatchNormStatistics(dict(self._mean), dict(self._variance))


def fake_quantise(weight: Tensor, bits: int | None) -> Tensor:
    """Return weights [M, ...] rounded to integers of ``bits`` bits times a scale an output channel; None: as given.

    The grid is symmetric and its end is the channel's largest weight, as :mod:`codesign.emit.quantise` has it. The
    gradient passes as if nothing had been rounded (straight-through estimator, Bengio et al. 2013).
    """
    if bits is None:
        return weight
    with torch.no_grad():
        largest = 2 ** (bits - 1) - 1
        scale = weight.flatten(1).abs().amax(1).clamp_min(1e-12).view(-1, *[1] * (weight.ndim - 1)) / largest
        rounding = torch.floor(weight / scale + 0.5) * scale - weight
    quantised: Tensor = weight + rounding
    return quantised


class ElasticConvolution(nn.Module):
    """A dense convolution of which the first output and input channels can be used alone; padding keeps the size."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int = 1, stride: int = 1, *, bias: bool = False
    ) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, kernel, kernel))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None

    def part(self, in_channels: int, out_channels: int) -> tuple[Tensor, Tensor | None]:
        """Return weight [M, N, k, k] and bias [M] of the first channels."""
        bias = self.bias
        return self.weight[:out_channels, :in_channels], None if bias is None else bias[:out_channels]

    def forward(self, features: Tensor, out_channels: int, weight_bits: int | None = None) -> Tensor:
        """[n, N, h, w] -> [n, out_channels, h / stride, w / stride], weights fake-quantised to ``weight_bits`` bits."""
        weight, bias = self.part(features.shape[1], out_channels)
        weight = fake_quantise(weight, weight_bits)
        if features.shape[2:] == weight.shape[2:] == (1, 1):
            # The same, but without the reordering of weights that oneDNN's convolutions begin with.
            return functional.linear(features.flatten(1), weight.flatten(1), bias)[:, :, None, None]
        return functional.conv2d(features, weight, bias, self.stride, weight.shape[-1] // 2)


class ElasticDepthwise(nn.Module):
    """A depthwise convolution of elastic width and kernel.

    The smaller kernel is the centre of the next larger one, seen as a vector and multiplied by a learned matrix that
    all channels share (kernel transformation, section 3.3 of Cai et al. 2020, "Once-for-All").
    """

    def __init__(self, channels: int, kernels: tuple[int, ...], stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.kernels = kernels
        self.weight = nn.Parameter(torch.empty(channels, 1, kernels[-1], kernels[-1]))
        self.transforms = nn.ParameterDict({f"{big}to{small}": torch.eye(small**2) for small, big in pairwise(kernels)})

    def part(self, channels: int, kernel: int) -> Tensor:
        """Return weight [channels, 1, kernel, kernel]."""
        weight = self.weight[:channels]
        for small, big in reversed(tuple(pairwise(self.kernels))):
            if kernel <= small:
                margin = (big - small) // 2
                centre = weight[:, :, margin : margin + small, margin : margin + small]
                matrix = self.transforms[f"{big}to{small}"]
                weight = functional.linear(centre.flatten(1), matrix).view(channels, 1, small, small)
        return weight

    def forward(self, features: Tensor, kernel: int, weight_bits: int | None = None) -> Tensor:
        """[n, C, h, w] -> [n, C, h / stride, w / stride], weights fake-quantised to ``weight_bits`` bits."""
        channels = features.shape[1]
        weight = fake_quantise(self.part(channels, kernel), weight_bits)
        return depthwise_convolution(features, weight, self.stride)


class ElasticBatchNorm(nn.Module):
    """Scale and offset of a batch norm of elastic width; what it normalises by comes with the call."""

    def __init__(self, channels: int, epsilon: float) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, name: str, features: Tensor, normalise: Normalise) -> Tensor:
        """[n, C, h, w] -> [n, C, h, w]."""
        channels = features.shape[1]
        return normalise(name, features, self.weight[:channels], self.bias[:channels], self.epsilon)


class ElasticSqueezeExcite(nn.Module):
    """Gates between 0 and 1 for each channel, computed from the channels' means (Hu et al. 2018)."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.squeeze = ElasticConvolution(channels, squeezed, bias=True)
        self.excite = ElasticConvolution(squeezed, channels, bias=True)

    def forward(self, features: Tensor, squeezed: int) -> Tensor:
        """[n, C, h, w] -> [n, C, h, w], through ``squeezed`` channels."""
        means = features.mean((2, 3), keepdim=True)
        gates = self.excite(functional.relu(self.squeeze(means, squeezed)), features.shape[1])
        return features * functional.hardsigmoid(gates)
