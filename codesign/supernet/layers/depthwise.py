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
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None]:
        features, weight = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        padding = weight.shape[-1] // 2
        of_features = None
        if ctx.needs_input_grad[0]:
            of_features, _ = _gradients(gradient, features, weight, ctx.stride, (padding, padding), (True, False))
        return of_features, _weight_gradient(features, gradient, weight, ctx.stride), None


def _gradients(
    gradient: Tensor,
    features: Tensor,
    weight: Tensor,
    stride: int,
    padding: tuple[int, int],
    wanted: tuple[bool, bool] = (False, True),
) -> tuple[Tensor, Tensor]:
    """Return the gradients of the features and the weights of a depthwise convolution, of which those are wanted."""
    of_features, of_weight, _ = torch.ops.aten.convolution_backward(
        gradient,
        features,
        weight,
        None,
        (stride, stride),
        padding,
        (1, 1),
        False,
        (0, 0),
        len(weight),
        (*wanted, False),
    )
    return of_features, of_weight


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
        return _gradients(gradient, features, weight, stride, (reach, reach))[1]
    padded_width = (gradient.shape[3] - 1) * stride + _COLUMNS
    part = max(1, _PART_ELEMENTS // (len(weight) * (height + sum(rows)) * padded_width))
    total = torch.zeros_like(weight)
    for some_features, some_gradient in zip(torch.split(features, part), torch.split(gradient, part), strict=True):
        for column in range(0, kernel - 2, 2):
            left = reach - column
            padded = functional.pad(some_features, (left, padded_width - width - left, *rows))
            _, found = _gradients(some_gradient, padded, weight[..., :_COLUMNS], stride, (padding, 0))
            # Neighbouring parts share a column.
            shared = int(column > 0)
            total[..., column + shared : column + _COLUMNS] += found[..., shared:]
    return total
