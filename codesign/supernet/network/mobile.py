"""Supernets of inverted-residual networks."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from codesign.supernet.layers.elastic import (
    ElasticBatchNorm,
    ElasticConvolution,
    ElasticDepthwise,
    ElasticSqueezeExcite,
    Normalise,
    activate,
    fake_quantise,
    normalise_by_batch,
)
from codesign.supernet.network.elastic_network import Part, Supernet
from codesign.supernet.spaces.mobile import Block, MobileSpace, MobileSubnet, Position, Stage, squeezed_channels
from codesign.supernet.spaces.space import Subnet


class ElasticBlock(nn.Module):
    """An inverted-residual block of elastic kernel, expansion and bits: expand, depthwise, squeeze-excite, project.

    Weights are fake-quantised where a stage has a choice of bits; elsewhere 8 bits lose too little to be trained for.
    """

    def __init__(self, position: Position, stage: Stage, epsilon: float) -> None:
        super().__init__()
        self.position = position
        self.activation = stage.activation
        self.elastic_bits = stage.weight_bits != (8,)
        self.inner_channels = tuple(position.expanded_channels(expand) for expand in stage.expands)
        channels = self.inner_channels[-1]
        self.expanding = stage.expanding
        if self.expanding:
            self.expand = ElasticConvolution(position.in_channels, channels)
            self.expand_norm = ElasticBatchNorm(channels, epsilon)
        self.depthwise = ElasticDepthwise(channels, stage.kernels, position.stride)
        self.depthwise_norm = ElasticBatchNorm(channels, epsilon)
        squeezed = squeezed_channels(channels)
        self.squeeze_excite = ElasticSqueezeExcite(channels, squeezed) if stage.squeeze_excite else None
        self.project = ElasticConvolution(channels, position.out_channels)
        self.project_norm = ElasticBatchNorm(position.out_channels, epsilon)

    def bits(self, block: Block) -> int | None:
        """To how many bits the weights are fake-quantised."""
        return block.weight_bits if self.elastic_bits else None

    def forward(self, features: Tensor, block: Block, normalise: Normalise) -> Tensor:
        """[n, N, h, w] -> [n, M, h / stride, w / stride]."""
        position, bits = self.position, self.bits(block)
        channels = position.expanded_channels(block.expand)
        inner = features
        if self.expanding:
            inner = self.expand_norm(f"{position.name}.expand", self.expand(features, channels, bits), normalise)
            inner = activate(inner, self.activation)
        inner = self.depthwise(inner, block.kernel, bits)
        inner = activate(self.depthwise_norm(f"{position.name}.depthwise", inner, normalise), self.activation)
        if self.squeeze_excite is not None:
            inner = self.squeeze_excite(inner, squeezed_channels(channels))
        projected: Tensor = self.project(inner, position.out_channels, bits)
        projected = self.project_norm(f"{position.name}.project", projected, normalise)
        return features + projected if position.residual else projected

    def parts(self, block: Block) -> Iterator[tuple[str, Part]]:
        """See :meth:`Supernet.parts`."""
        position, bits = self.position, self.bits(block)
        channels = position.expanded_channels(block.expand)
        if self.expanding:
            expand, _ = self.expand.part(position.in_channels, channels)
            yield f"{position.name}.expand", Part(fake_quantise(expand, bits), None, self.expand_norm)
        depthwise = fake_quantise(self.depthwise.part(channels, block.kernel), bits)
        yield f"{position.name}.depthwise", Part(depthwise, None, self.depthwise_norm)
        if self.squeeze_excite is not None:
            squeezed = squeezed_channels(channels)
            yield f"{position.name}.squeeze", Part(*self.squeeze_excite.squeeze.part(channels, squeezed), None)
            yield f"{position.name}.excite", Part(*self.squeeze_excite.excite.part(squeezed, channels), None)
        project, _ = self.project.part(channels, position.out_channels)
        yield f"{position.name}.project", Part(fake_quantise(project, bits), None, self.project_norm)


class MobileSupernet(Supernet):
    """See :class:`Supernet`."""

    space: MobileSpace

    def __init__(self, space: MobileSpace) -> None:
        super().__init__()
        self.space = space
        epsilon = space.batch_norm_epsilon
        self.stem = ElasticConvolution(space.image_channels, space.stem.width, space.stem.kernel, space.stem.stride)
        self.stem_norm = ElasticBatchNorm(space.stem.width, epsilon)
        self.blocks = nn.ModuleList(ElasticBlock(p, space.stages[p.stage], epsilon) for p in space.positions)
        self.final = ElasticConvolution(space.stages[-1].width, space.final_width)
        self.final_norm = ElasticBatchNorm(space.final_width, epsilon)
        self.mix = None if space.mix_width is None else ElasticConvolution(space.final_width, space.mix_width)
        self.classifier = ElasticConvolution(space.mix_width or space.final_width, space.num_classes, bias=True)

    def present_blocks(self, subnet: MobileSubnet) -> Iterator[tuple[ElasticBlock, Block]]:
        """The blocks that a subnet has, in the order they run, with its choices for them."""
        for module in self.blocks:
            assert isinstance(module, ElasticBlock)
            blocks = subnet.stages[module.position.stage]
            if module.position.block < len(blocks):
                yield module, blocks[module.position.block]

    def forward(self, images: Tensor, subnet: Subnet, normalise: Normalise = normalise_by_batch) -> Tensor:
        """See :class:`Supernet`."""
        self.check_images(images, subnet)
        assert isinstance(subnet, MobileSubnet)
        space = self.space
        # Depthwise convolutions run faster on CPUs with the channels innermost.
        images = images.contiguous(memory_format=torch.channels_last)
        features = self.stem(images, space.stem.width).contiguous(memory_format=torch.channels_last)
        features = activate(self.stem_norm("stem", features, normalise), space.stem.activation)
        for module, block in self.present_blocks(subnet):
            features = module(features, block, normalise)
        features = self.final_norm("final", self.final(features, space.final_width), normalise)
        pooled = activate(features, space.final_activation).mean((2, 3), keepdim=True)
        if self.mix is not None:
            pooled = activate(self.mix(pooled, self.mix.weight.shape[0]), space.final_activation)
        logits: Tensor = self.classifier(pooled, space.num_classes)
        return logits.flatten(1)

    def parts(self, subnet: Subnet) -> dict[str, Part]:
        """See :class:`Supernet`."""
        self.space.check(subnet)
        assert isinstance(subnet, MobileSubnet)
        parts = {"stem": Part(self.stem.weight, None, self.stem_norm)}
        for module, block in self.present_blocks(subnet):
            parts |= dict(module.parts(block))
        parts["final"] = Part(self.final.weight, None, self.final_norm)
        if self.mix is not None:
            parts["mix"] = Part(self.mix.weight, None, None)
        return parts | {"classifier": Part(self.classifier.weight, self.classifier.bias, None)}
