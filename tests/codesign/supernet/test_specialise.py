import dataclasses

import numpy as np
import pytest
import torch

from codesign.supernet.lowering import lower
from codesign.supernet.network import build_supernet, count_parameters
from codesign.supernet.spaces import CIFAR10, DIGITS, OFA_RESNET50D
from codesign.supernet.specialise import specialised_weights
from hw_templates.errors import InvalidValueError


def trained_supernet(space):
    """Weights of which no two parts are alike, kernel transformations included."""
    supernet, generator = build_supernet(space, 1), torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in supernet.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return supernet


def some_subnets(space, count=4):
    rng = np.random.default_rng(0)
    return [space.smallest(), space.largest(), *(space.sample(rng) for _ in range(count))]


@pytest.mark.parametrize("space", [DIGITS, CIFAR10], ids=lambda space: space.name)
@torch.no_grad()
def test_a_subnet_alone_computes_what_it_did_in_its_supernet(space):
    supernet = trained_supernet(space)
    for subnet in some_subnets(space):
        alone = space.only(subnet)
        network = build_supernet(alone)
        network.load_state_dict(dict(specialised_weights(supernet, subnet)))
        images = torch.randn(5, space.image_channels, subnet.resolution, subnet.resolution)
        inside, outside = supernet(images, subnet), network(images, alone.largest())
        # Weights of 8 bits are rounded in training only where there is a choice of bits.
        rounded = any(value == 8 for name, value in subnet.values().items() if name.endswith("weight_bits"))
        tolerance = 0.2 if rounded and space is CIFAR10 else 1e-4
        torch.testing.assert_close(outside, inside, rtol=0, atol=tolerance)


def test_the_space_of_one_subnet_holds_that_subnet():
    for subnet in some_subnets(DIGITS):
        alone = DIGITS.only(subnet)
        (same,) = {alone.largest(), alone.smallest(), alone.decode(np.zeros(0, dtype=np.int64))}
        assert alone.size() == 1
        assert alone.genes == ()
        assert alone.sample_genes(np.random.default_rng(0), 3).shape == (3, 0)
        inside, outside = lower(DIGITS, subnet), lower(alone, same)
        assert outside.macs == inside.macs
        assert count_parameters(build_supernet(alone), same) == count_parameters(build_supernet(DIGITS), subnet)
        assert sum(p.numel() for p in build_supernet(alone).parameters()) == count_parameters(
            build_supernet(alone), same
        )


def test_subnets_that_cannot_be_taken_out_are_refused():
    with pytest.raises(InvalidValueError, match=r"subnet\.resolution"):
        DIGITS.only(dataclasses.replace(DIGITS.largest(), resolution=9))
    with pytest.raises(InvalidValueError, match="of another family"):
        OFA_RESNET50D.only(OFA_RESNET50D.largest())
