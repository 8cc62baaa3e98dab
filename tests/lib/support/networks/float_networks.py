"""Small float networks of every operation and activation, and what torch makes of a workload."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from codesign.emit.convolve import walk
from codesign.emit.map_scales import Weights, activated, before_activation
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
    return Layer(
        operation=Operation.CONV,
        in_channels=c,
        out_channels=m,
        in_height=size,
        in_width=size,
        kernel_height=kernel,
        kernel_width=kernel,
        stride=stride,
        padding=kernel // 2,
        residual=residual,
    )


def channelwise(operation: Operation, c: int, size: int, kernel: int = 1, stride: int = 1) -> Layer:
    padding = kernel // 2 if operation in (Operation.DEPTHWISE, Operation.MAX_POOL) else 0
    return Layer(
        operation=operation,
        in_channels=c,
        out_channels=c,
        in_height=size,
        in_width=size,
        kernel_height=kernel,
        kernel_width=kernel,
        stride=stride,
        padding=padding,
    )


def every_operation(size: int = 8, channels: int = 1, classes: int = 10) -> Workload:
    """A stem, one inverted residual with squeeze-and-excite, one that halves the map, a head; all activations."""
    half = size // 2
    return Workload(
        (
            Node(name="stem", layer=conv(channels, 12, size, 3), ifmap=IMAGE, activation=Activation.HSWISH),
            Node(name="expand", layer=conv(12, 32, size), ifmap="stem", activation=Activation.RELU6),
            Node(
                name="depthwise",
                layer=channelwise(Operation.DEPTHWISE, 32, size, 5),
                ifmap="expand",
                activation=Activation.HSWISH,
            ),
            Node(name="squeeze_pool", layer=channelwise(Operation.POOL, 32, size, size), ifmap="depthwise"),
            Node(name="squeeze", layer=conv(32, 8, 1), ifmap="squeeze_pool", activation=Activation.RELU),
            Node(name="excite", layer=conv(8, 32, 1), ifmap="squeeze", activation=Activation.HSIGMOID),
            Node(name="scale", layer=channelwise(Operation.SCALE, 32, size), ifmap="depthwise", gate="excite"),
            Node(name="project", layer=conv(32, 12, size, residual=True), ifmap="scale", residual="stem"),
            Node(
                name="halve",
                layer=channelwise(Operation.DEPTHWISE, 12, size, 3, 2),
                ifmap="project",
                activation=Activation.RELU,
            ),
            Node(name="final", layer=conv(12, 48, half, 3), ifmap="halve", activation=Activation.HSWISH),
            Node(name="pool", layer=channelwise(Operation.POOL, 48, half, half), ifmap="final"),
            Node(name="classifier", layer=conv(48, classes, 1), ifmap="pool"),
        )
    )


def bottlenecks(size: int = 18, channels: int = 3, classes: int = 10) -> Workload:
    """A stem that adds after its activation, a max pool, a bottleneck that halves a map of odd size, a head."""
    half, odd = size // 2, (size // 2 + 1) // 2
    small, relu = (odd + 1) // 2, Activation.RELU
    return Workload(
        (
            Node(name="first", layer=conv(channels, 12, size, 3, 2), ifmap=IMAGE, activation=relu),
            Node(
                name="last",
                layer=conv(12, 12, half, 3, residual=True),
                ifmap="first",
                activation=relu,
                residual="first",
                adds_last=True,
            ),
            Node(name="greatest", layer=channelwise(Operation.MAX_POOL, 12, half, 3, 2), ifmap="last"),
            Node(name="halve", layer=channelwise(Operation.POOL, 12, odd, 2, 2), ifmap="greatest"),
            Node(name="shortcut", layer=conv(12, 32, small), ifmap="halve"),
            Node(name="reduce", layer=conv(12, 8, odd), ifmap="greatest", activation=relu),
            Node(name="convolve", layer=conv(8, 8, odd, 3, 2), ifmap="reduce", activation=relu),
            Node(
                name="project",
                layer=conv(8, 32, small, residual=True),
                ifmap="convolve",
                activation=relu,
                residual="shortcut",
            ),
            Node(name="pool", layer=channelwise(Operation.POOL, 32, small, small), ifmap="project"),
            Node(name="classifier", layer=conv(32, classes, 1), ifmap="pool"),
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


def float_maps(workload: Workload, weights: Weights, images: np.ndarray) -> dict[str, np.ndarray]:
    """The map [n, M, OH, OW] of every node in float32 by name, as the scales of maps are chosen on it."""
    maps: dict[str, np.ndarray] = {}

    def compute(node: Node, reads: dict[str, np.ndarray]) -> np.ndarray:
        maps[node.name] = activated(node, before_activation(node, weights, reads), reads)
        return maps[node.name]

    walk(workload, images, compute)
    return maps


def run_float(workload: Workload, weights: Weights, images: np.ndarray) -> np.ndarray:
    """The result [n, M] in float32, or [n, M, OH, OW] where the last map has pixels."""
    result = float_maps(workload, weights, images)[workload.nodes[-1].name]
    return result[:, :, 0, 0] if result.shape[2:] == (1, 1) else result


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
