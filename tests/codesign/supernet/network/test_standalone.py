"""Extracted subnets against the supernet they come from and against the reference implementation."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from support.networks.named_spaces import CIFAR10, DIGITS, OFA_MBV3_W10
from support.networks.reference_ofa import activate, import_ofa, reference_supernet
from torch import nn

from codesign.supernet.network.standalone import count_parameters, extract
from codesign.supernet.network.subnets import recalibrate
from codesign.supernet.network.supernet import Supernet
from codesign.supernet.published.net_config import net_config
from codesign.supernet.published.official_weights import read_official
from codesign.supernet.spaces.named import load_space

FAMILIES = ("ofa-mbv3-w1.0", "ofa-proxyless-w1.3", "ofa-resnet50d")
PLAIN = {nn.Conv2d, nn.BatchNorm2d, nn.Linear, nn.Module, nn.ModuleList}


def images(subnet, channels=3, count=4):
    shape = (count, channels, subnet.resolution, subnet.resolution)
    return torch.randn(shape, generator=torch.Generator().manual_seed(subnet.resolution))


@pytest.mark.parametrize("name", FAMILIES)
def test_extracted_subnets_are_those_of_the_reference(name):
    reference = reference_supernet(name)
    space = dataclasses.replace(load_space(name), resolutions=(32, 36))
    official = read_official(space, reference.state_dict())
    rng = np.random.default_rng(0)
    for subnet in (space.smallest(), space.sample(rng)):
        activate(reference, subnet)
        theirs = reference.get_active_subnet(preserve_weight=True).eval()
        ours = extract(official.supernet, subnet, official.statistics)
        with torch.inference_mode():
            expected = theirs(images(subnet))
            assert float((ours(images(subnet)) - expected).abs().max()) < 1e-4
        weights, known = ours.state_dict(), theirs.state_dict()
        assert weights.keys() == known.keys()
        assert all(torch.allclose(weights[key], known[key], atol=1e-6) for key in known)


@pytest.mark.parametrize("space", [DIGITS, CIFAR10], ids=lambda space: space.name)
def test_extracted_subnets_answer_as_in_the_supernet(space):
    supernet, rng = Supernet(space, 1), np.random.default_rng(0)
    with torch.no_grad():
        for parameter in supernet.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
    for _ in range(6):
        subnet = space.sample(rng)
        statistics = recalibrate(supernet, subnet, images(subnet, space.image_channels, 32))
        alone = extract(supernet, subnet, statistics)
        with torch.inference_mode():
            expected = supernet(images(subnet, space.image_channels), subnet, statistics)
            torch.testing.assert_close(alone(images(subnet, space.image_channels)), expected, atol=1e-5, rtol=1e-5)
        assert sum(parameter.numel() for parameter in alone.parameters()) == count_parameters(space, subnet)


def test_nothing_elastic_is_left():
    supernet, subnet = Supernet(DIGITS), DIGITS.largest()
    statistics = recalibrate(supernet, subnet, images(subnet, 1))
    alone = extract(supernet, subnet, statistics)
    ours = {type(module) for module in alone.modules()} - PLAIN
    assert {kind.__name__ for kind in ours} == {"Network"}
    before = copy.deepcopy(alone.state_dict())
    with torch.no_grad():
        for parameter in supernet.parameters():
            parameter.zero_()
    assert all(torch.equal(before[name], tensor) for name, tensor in alone.state_dict().items())
    assert not alone.training


def test_the_reference_builds_the_same_from_configuration_and_weights():
    import_ofa()
    from ofa.imagenet_classification.networks import MobileNetV3

    subnet = dataclasses.replace(OFA_MBV3_W10.smallest(), resolution=128)
    supernet = Supernet(OFA_MBV3_W10, 3)
    alone = extract(supernet, subnet, recalibrate(supernet, subnet, images(subnet)))
    theirs = MobileNetV3.build_from_config(copy.deepcopy(net_config(OFA_MBV3_W10, subnet))).eval()
    theirs.load_state_dict(alone.state_dict())
    with torch.inference_mode():
        torch.testing.assert_close(alone(images(subnet)), theirs(images(subnet)), atol=1e-6, rtol=1e-4)
