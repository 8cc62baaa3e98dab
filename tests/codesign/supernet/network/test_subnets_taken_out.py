import dataclasses

import numpy as np
import pytest
import torch
from support.networks.named_spaces import CIFAR10, DIGITS, OFA_MBV3_W10, OFA_RESNET50D
from support.networks.reference_ofa import activate, reference_supernet
from support.networks.small_families import SMALL_RESNET

from codesign.supernet.lowering.workloads import lower
from codesign.supernet.network.standalone import count_parameters
from codesign.supernet.network.subnets import specialised_weights
from codesign.supernet.network.supernet import Supernet
from codesign.supernet.published.official_weights import read_official
from hw_templates.foundation.errors import InvalidValueError


def trained_supernet(space):
    """Weights of which no two parts are alike, kernel transformations included."""
    supernet, generator = Supernet(space, 1), torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in supernet.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return supernet


def some_subnets(space, count=4):
    rng = np.random.default_rng(0)
    return [space.smallest(), space.largest(), *(space.sample(rng) for _ in range(count))]


@pytest.mark.parametrize("space", [DIGITS, CIFAR10, SMALL_RESNET], ids=lambda space: space.name)
@torch.no_grad()
def test_a_subnet_alone_computes_what_it_did_in_its_supernet(space):
    supernet = trained_supernet(space)
    for subnet in some_subnets(space):
        alone = space.only(subnet)
        network = Supernet(alone)
        network.load_state_dict(dict(specialised_weights(supernet, subnet)))
        images = torch.randn(5, space.image_channels, subnet.resolution, subnet.resolution)
        inside, outside = supernet(images, subnet), network(images, alone.largest())
        # Weights of 8 bits are rounded in training only where there is a choice of bits.
        rounded = any(value == 8 for name, value in subnet.values().items() if name.endswith("weight_bits"))
        tolerance = 0.2 if rounded and space is CIFAR10 else 1e-4
        torch.testing.assert_close(outside, inside, rtol=0, atol=tolerance)


@pytest.mark.parametrize("space", [DIGITS, SMALL_RESNET], ids=lambda space: space.name)
def test_the_space_of_one_subnet_holds_that_subnet(space):
    for subnet in some_subnets(space):
        alone = space.only(subnet)
        (same,) = {alone.largest(), alone.smallest(), alone.decode(np.zeros(0, dtype=np.int64))}
        assert alone.size() == 1
        assert alone.genes == ()
        assert alone.sample_genes(np.random.default_rng(0), 3).shape == (3, 0)
        inside, outside = lower(space, subnet), lower(alone, same)
        assert outside.macs == inside.macs
        assert count_parameters(alone, same) == count_parameters(space, subnet)
        assert sum(p.numel() for p in Supernet(alone).parameters()) == count_parameters(alone, same)


@pytest.mark.parametrize("space", [DIGITS, SMALL_RESNET], ids=lambda space: space.name)
def test_subnets_that_cannot_be_taken_out_are_refused(space):
    other = dataclasses.replace(space.largest(), resolution=9)
    with pytest.raises(InvalidValueError, match=r"subnet\.resolution"):
        space.only(other)
    with pytest.raises(InvalidValueError, match=r"subnet\.resolution"):
        specialised_weights(Supernet(space), other)


def test_a_subnet_of_another_family_is_refused():
    with pytest.raises(InvalidValueError, match=r"subnet\.stages: must be 6 stages, got 4"):
        OFA_MBV3_W10.only(OFA_RESNET50D.largest())
    with pytest.raises(InvalidValueError, match=r"subnet\.stages: must be 4 stages, got 6"):
        OFA_RESNET50D.only(OFA_MBV3_W10.largest())


def test_a_resnet_taken_out_is_that_of_the_reference():
    """The network that the reference implementation extracts, with the same weights, statistics of the batch."""
    reference = reference_supernet("ofa-resnet50d")
    space = dataclasses.replace(OFA_RESNET50D, resolutions=(32, 36))
    supernet, subnet = read_official(space, reference.state_dict()).supernet, space.sample(np.random.default_rng(1))
    activate(reference, subnet)
    theirs = reference.get_active_subnet(preserve_weight=True).train()
    alone = space.only(subnet)
    network = Supernet(alone)
    network.load_state_dict(dict(specialised_weights(supernet, subnet)))
    assert sum(p.numel() for p in network.parameters()) == sum(p.numel() for p in theirs.parameters())
    images = torch.randn(8, 3, subnet.resolution, subnet.resolution, generator=torch.Generator().manual_seed(0))
    # Of last maps of one or four pixels, statistics of a batch are few numbers, which magnify what rounding does.
    with torch.no_grad():
        found, expected = (net.double()(images.double(), *more) for net, *more in ((network, subnet), (theirs,)))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
