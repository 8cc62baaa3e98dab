"""A subnet as ordinary torch modules, built by hand: what the supernet is compared with."""

import pytest
import torch
from support.networks.named_spaces import DIGITS
from torch import nn

from codesign.supernet.network.supernet import Supernet
from codesign.supernet.spaces.mobile import squeezed_channels
from codesign.supernet.spaces.space import round_channels
from codesign.supernet.training.processes import one_thread

ACTIVATIONS = {"relu": nn.ReLU, "hswish": nn.Hardswish}


class PlainBlock(nn.Module):
    def __init__(self, space, place, elastic, block):
        super().__init__()
        kernel = block.kernel
        in_channels, out_channels = elastic.expand.weight.shape[1], space.stages[place.stage].width
        channels = round_channels(in_channels * block.expand)
        activation = ACTIVATIONS[space.stages[place.stage].activation.value]
        depthwise = nn.Conv2d(channels, channels, kernel, place.stride, kernel // 2, groups=channels, bias=False)
        layers = [
            nn.Conv2d(in_channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels, momentum=1.0),
            activation(),
            depthwise,
            nn.BatchNorm2d(channels, momentum=1.0),
            activation(),
        ]
        self.before = nn.Sequential(*layers)
        self.gate = None
        if hasattr(elastic, "squeeze_excite"):
            squeezed = squeezed_channels(channels)
            self.gate = nn.Sequential(
                nn.AdaptiveAvgPool2d(1),
                nn.Conv2d(channels, squeezed, 1),
                nn.ReLU(),
                nn.Conv2d(squeezed, channels, 1),
                nn.Hardsigmoid(),
            )
        self.after = nn.Sequential(
            nn.Conv2d(channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels, momentum=1.0)
        )
        self.residual = place.stride == 1 and in_channels == out_channels
        self._copy(elastic, channels, kernel)

    @torch.no_grad()
    def _copy(self, elastic, channels, kernel):
        self.before[0].weight.copy_(elastic.expand.weight[:channels])
        copy_norm(self.before[1], elastic.expand_norm)
        self.before[3].weight.copy_(shrink(elastic.depthwise, kernel)[:channels])
        copy_norm(self.before[4], elastic.depthwise_norm)
        if self.gate is not None:
            squeeze, excite = elastic.squeeze_excite.squeeze, elastic.squeeze_excite.excite
            squeezed = self.gate[1].out_channels
            self.gate[1].weight.copy_(squeeze.weight[:squeezed, :channels])
            self.gate[1].bias.copy_(squeeze.bias[:squeezed])
            self.gate[3].weight.copy_(excite.weight[:channels, :squeezed])
            self.gate[3].bias.copy_(excite.bias[:channels])
        self.after[0].weight.copy_(elastic.project.weight[:, :channels])
        copy_norm(self.after[1], elastic.project_norm)

    def forward(self, features):
        inner = self.before(features)
        if self.gate is not None:
            inner = inner * self.gate(inner)
        inner = self.after(inner)
        return features + inner if self.residual else inner


def copy_norm(norm, elastic):
    norm.weight.copy_(elastic.weight[: norm.num_features])
    norm.bias.copy_(elastic.bias[: norm.num_features])


def shrink(depthwise, kernel):
    """Kernel transformation written out channel by channel."""
    weight = depthwise.weight
    while weight.shape[-1] > kernel:
        big = weight.shape[-1]
        matrix = depthwise.transforms[f"{big}to{big - 2}"]
        rows = [(matrix @ channel[0, 1:-1, 1:-1].reshape(-1)).reshape(1, big - 2, big - 2) for channel in weight]
        weight = torch.stack(rows)
    return weight


@torch.no_grad()
def build_plain_network(supernet, subnet):
    """The subnet in training mode: its batch norms take over the statistics of the last batch (momentum 1)."""
    space = supernet.space
    stem = nn.Conv2d(
        space.image_channels, space.stem.width, space.stem.kernel, space.stem.stride, space.stem.kernel // 2, bias=False
    )
    stem.weight.copy_(supernet.stem.weight)
    stem_norm = nn.BatchNorm2d(space.stem.width, momentum=1.0)
    copy_norm(stem_norm, supernet.stem_norm)
    blocks = [
        PlainBlock(space, place, elastic, subnet.stages[place.stage][place.block])
        for place, elastic in zip(space.positions, supernet.blocks, strict=True)
        if place.block < len(subnet.stages[place.stage])
    ]
    final = nn.Conv2d(space.stages[-1].width, space.final_width, 1, bias=False)
    final.weight.copy_(supernet.final.weight)
    final_norm = nn.BatchNorm2d(space.final_width, momentum=1.0)
    copy_norm(final_norm, supernet.final_norm)
    classifier = nn.Linear(space.final_width, space.num_classes)
    classifier.weight.copy_(supernet.classifier.weight[:, :, 0, 0])
    classifier.bias.copy_(supernet.classifier.bias)
    head = [final, final_norm, nn.Hardswish(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), classifier]
    return nn.Sequential(stem, stem_norm, nn.Hardswish(), *blocks, *head)


@pytest.fixture(scope="session")
def supernet():
    """A digits supernet of no special structure: biases, norms and kernel transformations are random too."""
    supernet = Supernet(DIGITS, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in supernet.parameters():
            if parameter.ndim < 4:
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return supernet


@pytest.fixture(scope="session")
def plain_network():
    return build_plain_network


@pytest.fixture(scope="session")
def shrink_kernel():
    return shrink


@pytest.fixture(autouse=True)
def one_thread_in_tests():
    """Several test processes share the cores."""
    with one_thread():
        yield
