"""Small float networks of every operation and activation, and what torch makes of a workload."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from codesign.emit.float_reference import Weights
from codesign.emit.quantise import weight_shape
from cost_models.workload import IMAGE, Activation, Layer, Node, Operation, Workload

TORCH_ACTIVATIONS = {
    Activation.IDENTITY: lambda x: x,
    Activation.RELU: functional.relu,
    Activation.RELU6: functional.relu6,
    Activation.HSWISH: functional.hardswish,
    Activation.HSIGMOID: functional.hardsigmoid,
}


def conv(c: int, m: int, size: int, kernel: int = 1, stride: int = 1, residual: bool = False) -> Layer:
    return Layer(Operation.CONV, c, m, size, size, kernel, kernel, stride, kernel // 2, residual)


def channelwise(operation: Operation, c: int, size: int, kernel: int = 1, stride: int = 1) -> Layer:
    padding = kernel // 2 if operation in (Operation.DEPTHWISE, Operation.MAX_POOL) else 0
    return Layer(operation, c, c, size, size, kernel, kernel, stride, padding)


def every_operation(size: int = 8, channels: int = 1, classes: int = 10) -> Workload:
    """A stem, one inverted residual with squeeze-and-excite, one that halves the map, a head; all activations."""
    half = size // 2
    return Workload(
        (
            Node("stem", conv(channels, 12, size, 3), IMAGE, Activation.HSWISH),
            Node("expand", conv(12, 32, size), "stem", Activation.RELU6),
            Node("depthwise", channelwise(Operation.DEPTHWISE, 32, size, 5), "expand", Activation.HSWISH),
            Node("squeeze_pool", channelwise(Operation.POOL, 32, size, size), "depthwise"),
            Node("squeeze", conv(32, 8, 1), "squeeze_pool", Activation.RELU),
            Node("excite", conv(8, 32, 1), "squeeze", Activation.HSIGMOID),
            Node("scale", channelwise(Operation.SCALE, 32, size), "depthwise", gate="excite"),
            Node("project", conv(32, 12, size, residual=True), "scale", residual="stem"),
            Node("halve", channelwise(Operation.DEPTHWISE, 12, size, 3, 2), "project", Activation.RELU),
            Node("final", conv(12, 48, half, 3), "halve", Activation.HSWISH),
            Node("pool", channelwise(Operation.POOL, 48, half, half), "final"),
            Node("classifier", conv(48, classes, 1), "pool"),
        )
    )


def bottlenecks(size: int = 18, channels: int = 3, classes: int = 10) -> Workload:
    """A stem that adds after its activation, a max pool, a bottleneck that halves a map of odd size, a head."""
    half, odd = size // 2, (size // 2 + 1) // 2
    small, relu = (odd + 1) // 2, Activation.RELU
    return Workload(
        (
            Node("first", conv(channels, 12, size, 3, 2), IMAGE, relu),
            Node("last", conv(12, 12, half, 3, residual=True), "first", relu, residual="first", adds_last=True),
            Node("greatest", channelwise(Operation.MAX_POOL, 12, half, 3, 2), "last"),
            Node("halve", channelwise(Operation.POOL, 12, odd, 2, 2), "greatest"),
            Node("shortcut", conv(12, 32, small), "halve"),
            Node("reduce", conv(12, 8, odd), "greatest", relu),
            Node("convolve", conv(8, 8, odd, 3, 2), "reduce", relu),
            Node("project", conv(8, 32, small, residual=True), "convolve", relu, residual="shortcut"),
            Node("pool", channelwise(Operation.POOL, 32, small, small), "project"),
            Node("classifier", conv(32, classes, 1), "pool"),
        )
    )


def random_weights(workload: Workload, rng: np.random.Generator) -> Weights:
    """Weights of the size that keeps maps of about unit variance, and small biases."""
    weights: Weights = {}
    for node in workload:
        shape = weight_shape(node)
        if shape is not None:
            deviation = (2 / np.prod(shape[1:])) ** 0.5
            weight = rng.normal(0, deviation, shape).astype(np.float32)
            weights[node.name] = (weight, rng.normal(0, 0.2, shape[0]).astype(np.float32))
    return weights


def run_torch(workload: Workload, weights: dict[str, tuple[Tensor, Tensor]], images: Tensor) -> Tensor:
    """The workload by torch's own operations: logits [n, M]."""
    maps = {IMAGE: images}
    for node in workload:
        x, layer = maps[node.ifmap], node.layer
        if layer.operation == Operation.MAX_POOL:
            y = functional.max_pool2d(x, layer.kernel_height, layer.stride, layer.padding)
        elif layer.operation == Operation.POOL:
            y = functional.avg_pool2d(x, layer.kernel_height, layer.stride, ceil_mode=True)
        elif node.gate is not None:
            y = x * maps[node.gate]
        else:
            groups = layer.in_channels if layer.operation == Operation.DEPTHWISE else 1
            y = functional.conv2d(x, *weights[node.name], layer.stride, layer.padding, groups=groups)
        activate = TORCH_ACTIVATIONS[node.activation]
        if node.residual is None:
            maps[node.name] = activate(y)
        else:
            added = maps[node.residual]
            maps[node.name] = activate(y) + added if node.adds_last else activate(y + added)
    return maps[workload.nodes[-1].name].flatten(1)


def as_torch(weights: Weights) -> dict[str, tuple[Tensor, Tensor]]:
    """The same weights as tensors."""
    return {name: (torch.from_numpy(weight), torch.from_numpy(bias)) for name, (weight, bias) in weights.items()}
