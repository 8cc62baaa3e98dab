import dataclasses

import numpy as np
import pytest
import torch
from support.networks.named_spaces import DIGITS
from support.networks.reference_ofa import reference_supernet
from support.networks.small_families import SMALL_RESNET

from codesign.supernet.network.sorting import sort_channels, sort_widths
from codesign.supernet.network.supernet import Supernet
from codesign.supernet.published.official_weights import read_official
from codesign.supernet.spaces.named import load_space


@pytest.fixture(scope="module")
def supernet():
    """Weights of no special structure: biases, norms and kernel transformations are random too."""
    supernet = Supernet(DIGITS, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in supernet.parameters():
            if parameter.ndim < 4:
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return supernet


def images(subnet, count=16, seed=0):
    shape = (count, 1, subnet.resolution, subnet.resolution)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_sorting_keeps_the_full_net_and_puts_important_channels_first(supernet):
    sorted_net = Supernet(DIGITS)
    sorted_net.load_state_dict(supernet.state_dict())
    sort_channels(sorted_net)
    full = DIGITS.largest()
    with torch.no_grad():
        torch.testing.assert_close(sorted_net(images(full), full), supernet(images(full), full), rtol=1e-3, atol=1e-4)
    for block in sorted_net.blocks:
        importance = block.project.weight.abs().sum((0, 2, 3))
        assert (importance.diff() <= 0).all()
        if hasattr(block, "squeeze_excite"):
            squeezed = block.squeeze_excite.excite.weight.abs().sum((0, 2, 3))
            assert (squeezed.diff() <= 1e-6).all()
    assert not torch.equal(sorted_net.blocks[0].project.weight, supernet.blocks[0].project.weight)


def copy_of(supernet):
    other = Supernet(DIGITS)
    other.load_state_dict(supernet.state_dict())
    return other


@torch.no_grad()
def shuffle(block, seed):
    """The same block with its expanded and its squeezed channels in another order."""
    rng = np.random.default_rng(seed)
    order = torch.from_numpy(rng.permutation(len(block.expand.weight)))
    for module in (block.expand, block.depthwise, block.expand_norm, block.depthwise_norm):
        module.weight.copy_(module.weight[order])
    for norm in (block.expand_norm, block.depthwise_norm):
        norm.bias.copy_(norm.bias[order])
    block.project.weight.copy_(block.project.weight[:, order])
    gate = getattr(block, "squeeze_excite", None)
    if gate is not None:
        inner = torch.from_numpy(rng.permutation(len(gate.squeeze.weight)))
        gate.squeeze.weight.copy_(gate.squeeze.weight[inner][:, order])
        gate.squeeze.bias.copy_(gate.squeeze.bias[inner])
        gate.excite.weight.copy_(gate.excite.weight[order][:, inner])
        gate.excite.bias.copy_(gate.excite.bias[order])


def test_the_order_before_does_not_matter(supernet):
    shuffled, plain = copy_of(supernet), copy_of(supernet)
    for seed, block in enumerate(shuffled.blocks):
        shuffle(block, seed)
    assert not torch.equal(shuffled.blocks[2].depthwise.weight, supernet.blocks[2].depthwise.weight)
    sort_channels(plain)
    sort_channels(shuffled)
    for (name, tensor), other in zip(shuffled.state_dict().items(), plain.state_dict().values(), strict=True):
        torch.testing.assert_close(tensor, other, rtol=0, atol=0, msg=name)


def test_importance_by_hand():
    """Sums of absolute weights that read a channel: 3, 6, 0.5, 2 in turn, and the same again."""
    supernet = Supernet(DIGITS)
    block = supernet.blocks[0]
    channels = block.project.weight.shape[1]
    with torch.no_grad():
        block.project.weight.zero_()
        rows = torch.tensor([[1.0, -2.0], [-3.0, 3.0], [0.5, 0.0], [2.0, 0.0]]).repeat(channels // 4, 1)
        block.project.weight[:2, :, 0, 0] = rows.T
        block.expand.weight.copy_(torch.arange(channels)[:, None, None, None].expand_as(block.expand.weight))
    sort_channels(supernet)
    # Equal ones keep their order.
    wanted = [channel for first in (1, 0, 3, 2) for channel in range(first, channels, 4)]
    assert block.expand.weight[:, 0, 0, 0].tolist() == wanted


def test_what_no_channel_order_touches_stays(supernet):
    sorted_net = copy_of(supernet)
    sort_channels(sorted_net)
    after = sorted_net.state_dict()
    same = {name for name, tensor in supernet.state_dict().items() if torch.equal(tensor, after[name])}
    fixed = {
        name
        for name in after
        if name.startswith(("stem", "final", "classifier")) or "transforms" in name or "project_norm" in name
    }
    assert fixed <= same
    assert not any(name.endswith("depthwise.weight") for name in same)


@pytest.mark.parametrize("name", ["ofa-mbv3-w1.0", "ofa-proxyless-w1.3", "ofa-resnet50d"])
def test_the_reference_sorts_alike(name):
    reference, space = reference_supernet(name), load_space(name)
    for settled in (1, 2):
        # In double precision, so that the order of a sum does not decide between nearly equal channels.
        ours = read_official(space, reference.state_dict()).supernet.double()
        sort_channels(ours, settled)
        reference.double().re_organize_middle_weights(expand_ratio_stage=settled - 1)
        reference.float()
        theirs = read_official(space, reference.state_dict()).supernet.state_dict()
        for key, tensor in ours.state_dict().items():
            assert torch.equal(tensor, theirs[key]), key
        # As from a full net trained further, for which the order is another.
        with torch.no_grad():
            for parameter in reference.parameters():
                parameter.add_(0.5 * parameter.std() * torch.randn_like(parameter))


@pytest.fixture
def resnet():
    """As ``supernet``, of bottlenecks."""
    network = Supernet(SMALL_RESNET, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim < 4:
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
        network.classifier.weight.mul_(100)
    return network


def widths_set(subnet, width):
    """The subnet with that factor of all its widths."""
    stem = dataclasses.replace(subnet.stem, mid_width=width, width=width)
    stages = tuple(dataclasses.replace(stage, width=width) for stage in subnet.stages)
    return dataclasses.replace(subnet, stem=stem, stages=stages)


@pytest.mark.parametrize("settled", [1, 2])
@torch.no_grad()
def test_sorting_widths_keeps_what_is_settled(resnet, settled):
    before = Supernet(SMALL_RESNET)
    before.load_state_dict(resnet.state_dict())
    sort_widths(resnet, settled)
    full = SMALL_RESNET.largest()
    batch = torch.randn(8, 3, 36, 36, generator=torch.Generator().manual_seed(0))
    kept = {
        width: torch.allclose(
            resnet(batch, widths_set(full, width)), before(batch, widths_set(full, width)), rtol=1e-3, atol=1e-3
        )
        for width in SMALL_RESNET.widths
    }
    assert kept == {0.65: False, 0.8: settled == 2, 1.0: True}


@torch.no_grad()
def test_widths_are_sorted_by_what_reads_them(resnet):
    """Each network of channels, its readers found by hand: convolutions of the blocks that follow, up to a shortcut."""
    sort_widths(resnet)
    blocks = dict(zip(SMALL_RESNET.block_names, resnet.blocks, strict=True))
    first, second, third = (blocks[f"stage{name}"] for name in ("1.block1", "1.block2", "2.block1"))
    last = blocks["stage4.block2"]
    streams = [
        [resnet.stem_residual.convolution, resnet.stem_last.convolution],
        [first.reduce.convolution, first.shortcut.convolution],
        [second.reduce.convolution, third.reduce.convolution, third.shortcut.convolution],
        [last.reduce.convolution, resnet.classifier],
    ]
    for readers in streams:
        importance = sum(reader.weight.abs().sum((0, 2, 3)) for reader in readers)
        assert (importance.diff() <= 1e-4).all()


def test_other_families_have_no_widths_to_sort(supernet):
    other = copy_of(supernet)
    sort_widths(other)
    assert all(torch.equal(tensor, supernet.state_dict()[name]) for name, tensor in other.state_dict().items())
