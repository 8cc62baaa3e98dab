"""Depthwise convolutions whose weights are trained fast on CPUs."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

# Elements of one padded part of a batch: larger ones leave the caches and are returned to the system after every use.
_PART_ELEMENTS = 2**20
_COLUMNS = 3


def depthwise_convolution(features: Tensor, weight: Tensor, stride: int) -> Tensor:
    """[n, C, h, w] by [C, 1, k, k] -> [n, C, h / stride, w / stride], padded by half the kernel."""
    if features.device.type == "cpu" and weight.requires_grad and torch.is_grad_enabled():
        return _DepthwiseConvolution.apply(features, weight, stride)  # type: ignore[no-any-return, no-untyped-call]
    return functional.conv2d(features, weight, None, stride, weight.shape[-1] // 2, groups=len(weight))


class _DepthwiseConvolution(torch.autograd.Function):
    """As :func:`torch.nn.functional.conv2d`, but for how the gradient of the weights is found."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(features, weight)
        ctx.stride = stride
        return functional.conv2d(features, weight, None, stride, weight.shape[-1] // 2, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        features, weight = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        kernel, stride = weight.shape[-1], ctx.stride
        of_features = of_weight = None
        if ctx.needs_input_grad[0]:
            padding = (kernel // 2, kernel // 2)
            of_features = _gradient(gradient, features, weight, stride, padding, of_features=True)
        if ctx.needs_input_grad[1]:
            of_weight = _weight_gradient(features, gradient, weight, stride)
        return of_features, of_weight, None


def _gradient(
    gradient: Tensor, features: Tensor, weight: Tensor, stride: int, padding: tuple[int, int], *, of_features: bool
) -> Tensor:
    """Return the gradient of the features or of the weights of a depthwise convolution."""
    wanted = (of_features, not of_features, False)
    gradients: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
        gradient, features, weight, None, (stride, stride), padding, (1, 1), False, (0, 0), len(weight), wanted
    )
    return gradients[0] if of_features else gradients[1]


def _weight_gradient(features: Tensor, gradient: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Return the gradient [C, 1, k, k], three columns of the kernel at a time.

    oneDNN has a fast kernel for depthwise weights of at most three columns on maps no lower than they are
    (``jit_uni_dw_conv_kernel_f32.cpp``, oneDNN 3.12); what it does with others takes up to ten times
    as long. So columns are padded and shifted here, and rows of low maps padded.
    """
    kernel, (height, width) = weight.shape[-1], features.shape[2:]
    reach = kernel // 2
    rows, padding = (0, 0), reach
    if height < kernel + reach % stride:
        rows, padding = (reach, (gradient.shape[2] - 1) * stride + kernel - height - reach), 0
    elif kernel <= _COLUMNS:
        return _gradient(gradient, features, weight, stride, (reach, reach), of_features=False)
    padded_width = (gradient.shape[3] - 1) * stride + _COLUMNS
    part = max(1, _PART_ELEMENTS // (len(weight) * (height + sum(rows)) * padded_width))
    total = torch.zeros_like(weight)
    for some_features, some_gradient in zip(torch.split(features, part), torch.split(gradient, part), strict=True):
        for column in range(0, kernel - 2, 2):
            left = reach - column
            padded = functional.pad(some_features, (left, padded_width - width - left, *rows))
            found = _gradient(some_gradient, padded, weight[..., :_COLUMNS], stride, (padding, 0), of_features=False)
            # Neighbouring parts share a column.
            shared = int(column > 0)
            total[..., column + shared : column + _COLUMNS] += found[..., shared:]
    return total
