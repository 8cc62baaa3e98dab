"""Supernets of bottleneck networks."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from codesign.supernet.layers.elastic import ElasticBatchNorm, ElasticConvolution, Normalise, normalise_by_batch
from codesign.supernet.network.elastic_network import Part, Supernet
from codesign.supernet.spaces.resnet import BottleneckPosition, ResNetSpace, ResNetSubnet, bottleneck_channels
from codesign.supernet.spaces.space import Subnet


class NormalisedConvolution(nn.Module):
    """A convolution of elastic channels and its batch norm."""

    def __init__(
        self, name: str, in_channels: int, out_channels: int, kernel: int, stride: int, epsilon: float
    ) -> None:
        super().__init__()
        self.name = name
        self.convolution = ElasticConvolution(in_channels, out_channels, kernel, stride)
        self.norm = ElasticBatchNorm(out_channels, epsilon)

    def forward(self, features: Tensor, out_channels: int, normalise: Normalise) -> Tensor:
        """[n, N, h, w] -> [n, out_channels, h / stride, w / stride]."""
        normalised: Tensor = self.norm(self.name, self.convolution(features, out_channels), normalise)
        return normalised

    def part(self, in_channels: int, out_channels: int) -> tuple[str, Part]:
        """See :meth:`Supernet.parts`."""
        weight, bias = self.convolution.part(in_channels, out_channels)
        return self.name, Part(weight, bias, self.norm)


class ElasticBottleneck(nn.Module):
    """A bottleneck block of elastic width and expansion: reduce 1x1, convolve 3x3, project 1x1, and a shortcut."""

    def __init__(self, position: BottleneckPosition, space: ResNetSpace, in_channels: int) -> None:
        super().__init__()
        self.position = position
        name, epsilon = position.name, space.batch_norm_epsilon
        width = space.stage_channels(position.stage, space.choices[f"stage{position.stage + 1}.width"][-1])
        self.inner_channels = tuple(bottleneck_channels(width, expand) for expand in space.choices[f"{name}.expand"])
        middle = self.inner_channels[-1]
        self.reduce = NormalisedConvolution(f"{name}.reduce", in_channels, middle, 1, 1, epsilon)
        self.convolve = NormalisedConvolution(f"{name}.convolve", middle, middle, 3, position.stride, epsilon)
        self.project = NormalisedConvolution(f"{name}.project", middle, width, 1, 1, epsilon)
        self.shortcut = None
        if position.downsamples:
            self.shortcut = NormalisedConvolution(f"{name}.shortcut", in_channels, width, 1, 1, epsilon)

    def forward(self, features: Tensor, width: int, expand: float, normalise: Normalise) -> Tensor:
        """[n, N, h, w] -> [n, width, h / stride, w / stride]."""
        middle, stride = bottleneck_channels(width, expand), self.position.stride
        residual = features
        if self.shortcut is not None:
            pooled = features if stride == 1 else functional.avg_pool2d(features, stride, stride, ceil_mode=True)
            residual = self.shortcut(pooled, width, normalise)
        inner = functional.relu(self.reduce(features, middle, normalise))
        inner = functional.relu(self.convolve(inner, middle, normalise))
        return functional.relu(self.project(inner, width, normalise) + residual)

    def parts(self, in_channels: int, width: int, expand: float) -> Iterator[tuple[str, Part]]:
        """See :meth:`Supernet.parts`."""
        middle = bottleneck_channels(width, expand)
        if self.shortcut is not None:
            yield self.shortcut.part(in_channels, width)
        yield self.reduce.part(in_channels, middle)
        yield self.convolve.part(middle, middle)
        yield self.project.part(middle, width)


class ResNetSupernet(Supernet):
    """See :class:`Supernet`."""

    space: ResNetSpace

    def __init__(self, space: ResNetSpace) -> None:
        super().__init__()
        self.space = space
        epsilon, choices = space.batch_norm_epsilon, space.choices
        middle = space.stem_mid_channels(choices["stem.mid_width"][-1])
        width = space.stem_channels(choices["stem.width"][-1])
        self.stem_first = NormalisedConvolution("stem.first", space.image_channels, middle, 3, 2, epsilon)
        self.stem_residual = None
        if choices["stem.depth"][-1]:
            self.stem_residual = NormalisedConvolution("stem.residual", middle, middle, 3, 1, epsilon)
        self.stem_last = NormalisedConvolution("stem.last", middle, width, 3, 1, epsilon)
        self.blocks = nn.ModuleList()
        for position in space.positions:
            self.blocks.append(ElasticBottleneck(position, space, width))
            width = space.stage_channels(position.stage, choices[f"stage{position.stage + 1}.width"][-1])
        self.classifier = ElasticConvolution(width, space.num_classes, bias=True)

    def present_blocks(self, subnet: ResNetSubnet) -> Iterator[tuple[ElasticBottleneck, int, float]]:
        """The blocks that a subnet has, in the order they run, each with its output channels and its expansion."""
        for module in self.blocks:
            assert isinstance(module, ElasticBottleneck)
            stage, block = module.position.stage, module.position.block
            if block < len(subnet.stages[stage].expands):
                width = self.space.stage_channels(stage, subnet.stages[stage].width)
                yield module, width, subnet.stages[stage].expands[block]

    def forward(self, images: Tensor, subnet: Subnet, normalise: Normalise = normalise_by_batch) -> Tensor:
        """See :class:`Supernet`."""
        self.check_images(images, subnet)
        assert isinstance(subnet, ResNetSubnet)
        middle, stem = self.space.stem_mid_channels(subnet.stem.mid_width), subnet.stem
        images = images.contiguous(memory_format=torch.channels_last)
        features = functional.relu(self.stem_first(images, middle, normalise))
        if stem.depth and self.stem_residual is not None:
            features = features + functional.relu(self.stem_residual(features, middle, normalise))
        features = functional.relu(self.stem_last(features, self.space.stem_channels(stem.width), normalise))
        features = functional.max_pool2d(features, 3, 2, 1)
        for module, width, expand in self.present_blocks(subnet):
            features = module(features, width, expand, normalise)
        logits: Tensor = self.classifier(features.mean((2, 3), keepdim=True), self.space.num_classes)
        return logits.flatten(1)

    def parts(self, subnet: Subnet) -> dict[str, Part]:
        """See :class:`Supernet`."""
        self.space.check(subnet)
        assert isinstance(subnet, ResNetSubnet)
        stem = subnet.stem
        middle, width = self.space.stem_mid_channels(stem.mid_width), self.space.stem_channels(stem.width)
        parts = dict([self.stem_first.part(self.space.image_channels, middle)])
        if stem.depth and self.stem_residual is not None:
            parts |= dict([self.stem_residual.part(middle, middle)])
        parts |= dict([self.stem_last.part(middle, width)])
        for module, out_channels, expand in self.present_blocks(subnet):
            parts |= dict(module.parts(width, out_channels, expand))
            width = out_channels
        return parts | {"classifier": Part(*self.classifier.part(width, self.space.num_classes), None)}
