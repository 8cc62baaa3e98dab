"""Supernets: shared weights, of which each subnet uses a part. A subnet runs as the workload that it is lowered to."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from codesign.supernet.layers.elastic import (
    ElasticBatchNorm,
    ElasticConvolution,
    ElasticDepthwise,
    Normalise,
    activate,
    fake_quantise,
    normalise_by_batch,
)
from codesign.supernet.lowering.segments import Segment
from codesign.supernet.lowering.workloads import lower, segments_of
from codesign.supernet.network.places import Place, places
from codesign.supernet.spaces.space import Choice, Space, Subnet
from cost_models.workload import IMAGE, Node, Operation
from hw_templates.foundation.errors import InvalidValueError

M = TypeVar("M", bound=nn.Module)

Step = tuple[Node, tuple[str, ...]]
"""A node, and the names of what it reads."""


@dataclass(frozen=True)
class Part:
    """The part of one convolution that a subnet uses.

    Attributes:
        weight: [M, N, k, k]; [C, 1, k, k] of a depthwise convolution; [M, N, 1, 1] of the classifier.
        bias: [M], or None.
        norm: the batch norm after it, of which the first M channels count, or None.
    """

    weight: Tensor
    bias: Tensor | None
    norm: ElasticBatchNorm | None


@dataclass(frozen=True)
class SharedLayer:
    """The shared weights of the nodes of one name.

    Attributes:
        place: the names of their modules.
        convolution: of the largest form.
        norm: the batch norm after it, or None.
        elastic_bits: whether its weights are fake-quantised, as they are where there is a choice of bits; elsewhere 8
            bits lose too little to be trained for.
    """

    place: Place
    convolution: ElasticConvolution | ElasticDepthwise
    norm: ElasticBatchNorm | None
    elastic_bits: bool

    def bits(self, node: Node) -> int | None:
        """Return the bits that a node's weights are fake-quantised to."""
        return node.layer.weight_bits if self.elastic_bits else None

    def part(self, node: Node) -> Part:
        """Return the part that a node uses."""
        layer = node.layer
        if isinstance(self.convolution, ElasticDepthwise):
            weight, bias = self.convolution.part(layer.out_channels, layer.kernel_height), None
        else:
            weight, bias = self.convolution.part(layer.in_channels, layer.out_channels)
        return Part(fake_quantise(weight, self.bits(node)), bias, self.norm)

    def forward(self, node: Node, features: Tensor, normalise: Normalise) -> Tensor:
        """[n, N, h, w] -> [n, M, h / stride, w / stride], normalised where a batch norm follows."""
        layer, bits = node.layer, self.bits(node)
        width = layer.kernel_height if isinstance(self.convolution, ElasticDepthwise) else layer.out_channels
        result: Tensor = self.convolution(features, width, bits)
        if node.ifmap == IMAGE:
            # Depthwise convolutions run faster on CPUs with the channels innermost.
            result = result.contiguous(memory_format=torch.channels_last)
        return result if self.norm is None else self.norm(node.name, result, normalise)


class Supernet(nn.Module):
    """The shared weights of a space.

    Which subnet runs is an argument of the call, as is what its batch norms normalise by: nothing is switched.

    Attributes:
        space: the subnets that it holds.
        layers: name of a node of the subnets' workloads to its weights, in the order of the modules.

    Raises:
        InvalidValueError: no network is known for spaces of this kind.
    """

    def __init__(self, space: Space) -> None:
        super().__init__()
        self.space = space
        self.layers: dict[str, SharedLayer] = {}
        self._segments = segments_of(space)
        nodes = {node.name: node for node in lower(space, space.largest())}
        for name, place in places(space).items():
            if name not in nodes:
                continue
            layer, block = nodes[name].layer, name.rpartition(".")[0]
            norm = None
            convolution: ElasticConvolution | ElasticDepthwise
            if layer.operation == Operation.DEPTHWISE:
                kernels = tuple(map(int, space.choices[f"{block}.kernel"]))
                convolution = ElasticDepthwise(layer.out_channels, kernels, layer.stride)
            else:
                convolution = ElasticConvolution(
                    layer.in_channels, layer.out_channels, layer.kernel_height, layer.stride, bias=place.bias
                )
            add_at(self, place.convolution, convolution)
            if place.norm is not None:
                norm = add_at(self, place.norm, ElasticBatchNorm(layer.out_channels, space.batch_norm_epsilon))
            bits = space.choices.get(f"{block}.weight_bits", (8,))
            self.layers[name] = SharedLayer(place, convolution, norm, norm is not None and bits != (8,))

    def forward(self, images: Tensor, subnet: Subnet, normalise: Normalise = normalise_by_batch) -> Tensor:
        """Return the logits [n, classes] of images [n, C, resolution, resolution] in the subnet.

        Args:
            images: normalised float images of the subnet's resolution.
            subnet: one of the space.
            normalise: by the batch (for training), or the subnet's :class:`BatchNormStatistics`.

        Raises:
            InvalidValueError: the subnet is not of the space, or the images have another shape.
        """
        steps = list(self._steps(subnet))
        shape = (self.space.image_channels, subnet.resolution, subnet.resolution)
        if images.ndim != 4 or tuple(images.shape[1:]) != shape:
            raise InvalidValueError("images", tuple(images.shape), f"of shape (n, {', '.join(map(str, shape))})")
        features = images.contiguous(memory_format=torch.channels_last)
        result = run(steps, features, lambda node, read: self.layers[node.name].forward(node, read, normalise))
        return result.flatten(1)

    def _steps(self, subnet: Subnet) -> Iterator[Step]:
        """Yield the nodes that :func:`lower` makes of the subnet, in less time, each with the names that it reads."""
        self.space.check(subnet)
        values, last = subnet.values(), IMAGE
        for segment in self._segments:
            if all(name in values for name in segment.names):
                steps = _segment_steps(segment, tuple(values[name] for name in segment.names), last)
                yield from steps
                last = steps[-1][0].name

    def parts(self, subnet: Subnet) -> dict[str, Part]:
        """Return the parts of all convolutions that the subnet uses, by the names of its workload's nodes.

        Raises:
            InvalidValueError: the subnet is not of the space.
        """
        return {
            node.name: self.layers[node.name].part(node) for node, _ in self._steps(subnet) if node.name in self.layers
        }

    def initialise(self, seed: int) -> None:
        """Draw normal weights whose variance keeps that of the features (He et al. 2015, fan out); biases of zero."""
        generator = torch.Generator().manual_seed(seed)
        for shared in self.layers.values():
            module = shared.convolution
            out_channels, _, height, width = module.weight.shape
            fan_out = height * width * (1 if isinstance(module, ElasticDepthwise) else out_channels)
            nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out), generator=generator)
            if isinstance(module, ElasticConvolution) and module.bias is not None:
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.layers["classifier"].convolution.weight, std=0.01, generator=generator)


def step_of(node: Node) -> Step:
    """Return the step that runs a node."""
    return node, tuple(producer for _, producer in node.reads)


@lru_cache(maxsize=1 << 14)
def _segment_steps(segment: Segment, values: tuple[Choice, ...], ifmap: str) -> tuple[Step, ...]:
    nodes = segment.nodes(dict(zip(segment.names, values, strict=True)), ifmap)
    return tuple(map(step_of, nodes))


def add_at(root: nn.Module, path: str, module: M) -> M:
    """Add a module under a dotted name; modules on the way to it are made."""
    *outer, last = path.split(".")
    for name in outer:
        if not hasattr(root, name):
            root.add_module(name, nn.ModuleList() if name == "blocks" else nn.Module())
        root = getattr(root, name)
    root.add_module(last, module)
    return module


def run(steps: Sequence[Step], images: Tensor, convolve: Callable[[Node, Tensor], Tensor]) -> Tensor:
    """Return what the last step makes of images [n, C, h, w]; ``convolve`` runs nodes with weights, activation apart.

    A map is kept for as long as a later step reads it.
    """
    last_reader = {producer: node for node, producers in steps for producer in producers}
    maps = {IMAGE: images}
    for node, producers in steps:
        maps[node.name] = _run_node(node, maps, convolve)
        for producer in producers:
            if last_reader[producer] is node:
                maps.pop(producer, None)
    return maps[node.name]


def _run_node(node: Node, maps: Mapping[str, Tensor], convolve: Callable[[Node, Tensor], Tensor]) -> Tensor:
    features, layer = maps[node.ifmap], node.layer
    match layer.operation:
        case Operation.SCALE:
            return features * maps[str(node.gate)]
        case Operation.POOL if layer.stride == 1:
            return functional.adaptive_avg_pool2d(features, 1)
        case Operation.POOL:
            return functional.avg_pool2d(features, layer.kernel_height, layer.stride, ceil_mode=True)
        case Operation.MAX_POOL:
            return functional.max_pool2d(features, layer.kernel_height, layer.stride, layer.padding)
    result = convolve(node, features)
    if node.residual is None:
        return activate(result, node.activation)
    if node.adds_last:
        return maps[node.residual] + activate(result, node.activation)
    return activate(maps[node.residual] + result, node.activation)
