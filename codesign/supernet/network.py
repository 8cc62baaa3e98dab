"""The supernet: one set of weights, every subnet of a space."""

import math

import torch
from torch import Tensor, nn

from codesign.supernet.elastic import (
    BatchNormStatistics,
    ElasticBatchNorm,
    ElasticConvolution,
    ElasticDepthwise,
    ElasticSqueezeExcite,
    Normalise,
    StatisticsRecorder,
    activate,
    normalise_by_batch,
)
from codesign.supernet.space import Block, Position, Space, Stage, Subnet, squeezed_channels
from hw_templates.errors import InvalidValueError


class ElasticBlock(nn.Module):
    """An inverted-residual block of elastic kernel and expansion: expand, depthwise, squeeze-excite, project."""

    def __init__(self, position: Position, stage: Stage) -> None:
        super().__init__()
        self.position = position
        self.activation = stage.activation
        channels = position.expanded_channels(stage.expands[-1])
        self.expand = ElasticConvolution(position.in_channels, channels)
        self.expand_norm = ElasticBatchNorm(channels)
        self.depthwise = ElasticDepthwise(channels, stage.kernels, position.stride)
        self.depthwise_norm = ElasticBatchNorm(channels)
        squeezed = squeezed_channels(channels)
        self.squeeze_excite = ElasticSqueezeExcite(channels, squeezed) if stage.squeeze_excite else None
        self.project = ElasticConvolution(channels, position.out_channels)
        self.project_norm = ElasticBatchNorm(position.out_channels)

    def forward(self, features: Tensor, block: Block, normalise: Normalise) -> Tensor:
        """[n, N, h, w] -> [n, M, h / stride, w / stride]."""
        position = self.position
        channels = position.expanded_channels(block.expand)
        inner = self.expand_norm(f"{position.name}.expand", self.expand(features, channels), normalise)
        inner = self.depthwise(activate(inner, self.activation), block.kernel)
        inner = activate(self.depthwise_norm(f"{position.name}.depthwise", inner, normalise), self.activation)
        if self.squeeze_excite is not None:
            inner = self.squeeze_excite(inner, squeezed_channels(channels))
        projected: Tensor = self.project(inner, position.out_channels)
        projected = self.project_norm(f"{position.name}.project", projected, normalise)
        return features + projected if position.residual else projected


class Supernet(nn.Module):
    """The shared weights of a space.

    Which subnet runs is an argument of the call, as is what its batch norms normalise by: nothing is switched.

    Args:
        space: the subnets.
        seed: of the initial weights.
    """

    def __init__(self, space: Space, seed: int = 0) -> None:
        super().__init__()
        self.space = space
        self.stem = ElasticConvolution(space.image_channels, space.stem.width, space.stem.kernel, space.stem.stride)
        self.stem_norm = ElasticBatchNorm(space.stem.width)
        self.blocks = nn.ModuleList(ElasticBlock(p, space.stages[p.stage]) for p in space.positions)
        self.final = ElasticConvolution(space.stages[-1].width, space.final_width)
        self.final_norm = ElasticBatchNorm(space.final_width)
        self.classifier = ElasticConvolution(space.final_width, space.num_classes, bias=True)
        self._initialise(torch.Generator().manual_seed(seed))

    def _initialise(self, generator: torch.Generator) -> None:
        """Normal weights whose variance keeps that of the features (He et al. 2015, fan out); biases of zero."""
        for module in self.modules():
            if isinstance(module, ElasticConvolution | ElasticDepthwise):
                out_channels, _, height, width = module.weight.shape
                fan_out = height * width * (1 if isinstance(module, ElasticDepthwise) else out_channels)
                nn.init.normal_(module.weight, std=math.sqrt(2 / fan_out), generator=generator)
                if isinstance(module, ElasticConvolution) and module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.classifier.weight, std=0.01, generator=generator)

    def forward(self, images: Tensor, subnet: Subnet, normalise: Normalise = normalise_by_batch) -> Tensor:
        """Logits [n, classes] of images [n, C, resolution, resolution] in the subnet.

        Args:
            images: normalised float images of the subnet's resolution.
            subnet: one of the space.
            normalise: by the batch (for training), or the subnet's :class:`BatchNormStatistics`.

        Raises:
            InvalidValueError: the subnet is not of the space, or the images have another shape.
        """
        space = self.space
        space.check(subnet)
        shape = (space.image_channels, subnet.resolution, subnet.resolution)
        if images.ndim != 4 or tuple(images.shape[1:]) != shape:
            raise InvalidValueError("images", tuple(images.shape), f"of shape (n, {', '.join(map(str, shape))})")
        # Depthwise convolutions run faster on CPUs with the channels innermost.
        features = self.stem(images, space.stem.width).contiguous(memory_format=torch.channels_last)
        features = activate(self.stem_norm("stem", features, normalise), space.stem.activation)
        for position, module in zip(space.positions, self.blocks, strict=True):
            blocks = subnet.stages[position.stage]
            if position.block < len(blocks):
                features = module(features, blocks[position.block], normalise)
        features = self.final_norm("final", self.final(features, space.final_width), normalise)
        pooled = activate(features, space.final_activation).mean((2, 3), keepdim=True)
        logits: Tensor = self.classifier(pooled, space.num_classes)
        return logits.flatten(1)


@torch.no_grad()
def recalibrate(supernet: Supernet, subnet: Subnet, images: Tensor) -> BatchNormStatistics:
    """Batch-norm statistics of one subnet on images [n, C, resolution, resolution].

    Shared weights are trained in many subnets, so that each has statistics of its own; they are computed anew for
    every subnet that is evaluated.

    Raises:
        InvalidValueError: the subnet is not of the space, or the images have another shape or are fewer than two.
    """
    if len(images) < 2:
        raise InvalidValueError("images", len(images), "two or more, to have a variance")
    recorder = StatisticsRecorder()
    supernet(images, subnet, recorder)
    return recorder.statistics()


def count_parameters(supernet: Supernet, subnet: Subnet) -> int:
    """Weights, biases, batch-norm scales and offsets that the subnet uses (kernel transformations applied).

    Raises:
        InvalidValueError: the subnet is not of the space.
    """
    space = supernet.space
    space.check(subnet)
    count = supernet.stem.weight.numel() + 2 * space.stem.width
    count += supernet.final.weight.numel() + 2 * space.final_width
    count += (space.final_width + 1) * space.num_classes
    for position in space.positions:
        blocks = subnet.stages[position.stage]
        if position.block >= len(blocks):
            continue
        kernel, channels = blocks[position.block].kernel, position.expanded_channels(blocks[position.block].expand)
        count += channels * (position.in_channels + kernel**2 + position.out_channels)
        count += 2 * (2 * channels + position.out_channels)
        if space.stages[position.stage].squeeze_excite:
            squeezed = squeezed_channels(channels)
            count += 2 * channels * squeezed + channels + squeezed
    return count
