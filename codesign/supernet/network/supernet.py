"""Supernets: shared weights, of which each subnet uses a part. A subnet runs as the workload that it is lowered to."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from codesign.supernet.layers.depthwise import depthwise_convolution
from codesign.supernet.layers.elastic import (
    ElasticConvolution,
    ElasticDepthwise,
    Normalise,
    activate,
    fake_quantise,
    normalise_by_batch,
)
from codesign.supernet.lowering.workloads import nodes_of
from codesign.supernet.network.places import Place, places
from codesign.supernet.spaces.space import Space, Subnet
from cost_models.workload import IMAGE, Node, Operation
from hw_templates.foundation.errors import InvalidValueError


@dataclass(frozen=True)
class Part:
    """The part of one layer's weights that a subnet uses.

    Attributes:
        weight: [M, N, k, k]; [C, 1, k, k] of a depthwise convolution; [M, N, 1, 1] of the classifier.
        bias: [M], or None.
        norm: scale and offset [M] of the batch norm after it, or None.
    """

    weight: Tensor
    bias: Tensor | None
    norm: tuple[Tensor, Tensor] | None

    @property
    def tensors(self) -> list[Tensor]:
        """Those of the above that there are."""
        return [tensor for tensor in (self.weight, self.bias, *(self.norm or ())) if tensor is not None]


@dataclass(frozen=True)
class SharedLayer:
    """The shared weights of the nodes of one name.

    Attributes:
        place: the names of their modules.
        convolution: of the largest form.
        norm: the batch norm after it, whose first channels narrower forms use, or None.
        elastic_bits: whether its weights are fake-quantised, as they are where there is a choice of bits; elsewhere 8
            bits lose too little to be trained for.
    """

    place: Place
    convolution: ElasticConvolution | ElasticDepthwise
    norm: nn.BatchNorm2d | None
    elastic_bits: bool

    def stored(self, node: Node) -> Part:
        """Return the part that a node uses, as it is trained; of the largest form, the parameters themselves."""
        weight, bias = self.convolution.part(node.layer)
        if self.norm is None:
            return Part(weight, bias, None)
        return Part(weight, bias, (self.norm.weight[: len(weight)], self.norm.bias[: len(weight)]))

    def part(self, node: Node) -> Part:
        """Return the part that a node uses, fake-quantised where its bits are elastic."""
        part = self.stored(node)
        return replace(part, weight=fake_quantise(part.weight, node.layer.weight_bits)) if self.elastic_bits else part

    def forward(self, node: Node, features: Tensor, normalise: Normalise) -> Tensor:
        """[n, N, h, w] -> [n, M, h / stride, w / stride], normalised where a batch norm follows."""
        layer, part = node.layer, self.part(node)
        if layer.operation == Operation.DEPTHWISE:
            result = depthwise_convolution(features, part.weight, layer.stride)
        elif features.shape[2:] == part.weight.shape[2:] == (1, 1):
            # The same, but without the reordering of weights that oneDNN's convolutions begin with.
            result = functional.linear(features.flatten(1), part.weight.flatten(1), part.bias)[:, :, None, None]
        else:
            result = functional.conv2d(features, part.weight, part.bias, layer.stride, layer.padding)
        if node.ifmap == IMAGE:
            # Depthwise convolutions run faster on CPUs with the channels innermost.
            result = result.contiguous(memory_format=torch.channels_last)
        if self.norm is None or part.norm is None:
            return result
        return normalise(node.name, result, *part.norm, self.norm.eps)


class Supernet(nn.Module):
    """The shared weights of a space.

    Which subnet runs is an argument of the call, as is what its batch norms normalise by: nothing is switched.

    Args:
        space: the subnets that it holds.
        seed: of the weights at first; normal ones, whose variance keeps that of the features (He et al. 2015, fan out),
            and biases of zero.

    Attributes:
        space: the subnets that it holds.
        layers: name of a node of the subnets' workloads to its weights, in the order of the modules.
    """

    def __init__(self, space: Space, seed: int = 0) -> None:
        super().__init__()
        self.space = space
        self.layers: dict[str, SharedLayer] = {}
        for node, place in places(space):
            layer, block = node.layer, node.name.rpartition(".")[0]
            convolution: ElasticConvolution | ElasticDepthwise
            if layer.operation == Operation.DEPTHWISE:
                convolution = ElasticDepthwise(layer, tuple(map(int, space.choices[f"{block}.kernel"])))
            else:
                convolution = ElasticConvolution(layer, bias=place.bias)
            add_at(self, place.convolution, convolution)
            norm = None
            if place.norm is not None:
                norm = nn.BatchNorm2d(layer.out_channels, space.batch_norm_epsilon, track_running_stats=False)
                add_at(self, place.norm, norm)
            bits = space.choices.get(f"{block}.weight_bits", (8,))
            self.layers[node.name] = SharedLayer(place, convolution, norm, norm is not None and bits != (8,))
        self._draw(torch.Generator().manual_seed(seed))

    @torch.no_grad()
    def _draw(self, generator: torch.Generator) -> None:
        for shared in self.layers.values():
            module = shared.convolution
            out_channels, _, height, width = module.weight.shape
            fan_out = height * width * (1 if isinstance(module, ElasticDepthwise) else out_channels)
            module.weight.normal_(std=math.sqrt(2 / fan_out), generator=generator)
            if isinstance(module, ElasticConvolution) and module.bias is not None:
                module.bias.zero_()
        self.layers["classifier"].convolution.weight.normal_(std=0.01, generator=generator)

    def forward(self, images: Tensor, subnet: Subnet, normalise: Normalise = normalise_by_batch) -> Tensor:
        """Return the logits [n, classes] of images [n, C, resolution, resolution] in the subnet.

        Args:
            images: normalised float images of the subnet's resolution.
            subnet: one of the space.
            normalise: by the batch (for training), or the subnet's :class:`BatchNormStatistics`.

        Raises:
            InvalidValueError: the subnet is not of the space, or the images have another shape.
        """
        nodes = tuple(nodes_of(self.space, subnet))
        shape = (self.space.image_channels, subnet.resolution, subnet.resolution)
        if images.ndim != 4 or tuple(images.shape[1:]) != shape:
            raise InvalidValueError("images", tuple(images.shape), f"of shape (n, {', '.join(map(str, shape))})")
        features = images.contiguous(memory_format=torch.channels_last)
        result = run(nodes, features, lambda node, read: self.layers[node.name].forward(node, read, normalise))
        return result.flatten(1)

    def weighted(self, subnet: Subnet) -> list[tuple[Node, SharedLayer]]:
        """Return the nodes of the subnet's workload that have weights, in the order they run, each with its weights.

        Raises:
            InvalidValueError: the subnet is not of the space.
        """
        return [(node, self.layers[node.name]) for node in nodes_of(self.space, subnet) if node.name in self.layers]

    def parts(self, subnet: Subnet) -> dict[str, Part]:
        """Return the parts of all layers that the subnet uses, by the names of its workload's nodes.

        Raises:
            InvalidValueError: the subnet is not of the space.
        """
        return {node.name: shared.part(node) for node, shared in self.weighted(subnet)}


def add_at(root: nn.Module, path: str, module: nn.Module) -> None:
    """Add a module under a dotted name; modules on the way to it are made."""
    *outer, last = path.split(".")
    for name in outer:
        if not hasattr(root, name):
            root.add_module(name, nn.ModuleList() if name == "blocks" else nn.Module())
        root = getattr(root, name)
    root.add_module(last, module)


def run(nodes: Iterable[Node], images: Tensor, convolve: Callable[[Node, Tensor], Tensor]) -> Tensor:
    """Return what the last node makes of images [n, C, h, w]; ``convolve`` runs nodes with weights, activation apart.

    A map is kept for as long as a later node reads it.
    """
    last_reader = {producer: node for node in nodes for _, producer in node.reads}
    maps = {IMAGE: images}
    for node in nodes:
        maps[node.name] = _run_node(node, maps, convolve)
        for _, producer in node.reads:
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
