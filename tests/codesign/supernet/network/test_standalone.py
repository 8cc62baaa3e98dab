"""Extracted subnets against the supernet they come from and against the reference implementation."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from support.networks.reference_ofa import activate, import_ofa, reference_supernet
from torch import nn

from codesign.supernet.network.build import build_supernet, count_parameters, recalibrate
from codesign.supernet.network.standalone import build_network, extract, load_weights
from codesign.supernet.published.net_config import net_config
from codesign.supernet.published.official_weights import read_official
from codesign.supernet.spaces.named import CIFAR10, DIGITS, OFA_MBV3_W10, load_space
from hw_templates.foundation.errors import InvalidValueError

FAMILIES = ("ofa-mbv3-w1.0", "ofa-proxyless-w1.3", "ofa-resnet50d")
PLAIN = {
    *(nn.Conv2d, nn.BatchNorm2d, nn.Linear, nn.Sequential, nn.Identity, nn.Flatten),
    *(nn.ReLU, nn.ReLU6, nn.Hardswish, nn.Hardsigmoid, nn.AdaptiveAvgPool2d, nn.AvgPool2d, nn.MaxPool2d),
}


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
    supernet, rng = build_supernet(space, 1), np.random.default_rng(0)
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
        assert sum(parameter.numel() for parameter in alone.parameters()) == count_parameters(supernet, subnet)


def test_nothing_elastic_is_left():
    supernet, subnet = build_supernet(DIGITS), DIGITS.largest()
    statistics = recalibrate(supernet, subnet, images(subnet, 1))
    alone = extract(supernet, subnet, statistics)
    ours = {type(module) for module in alone.modules()} - PLAIN
    assert {kind.__name__ for kind in ours} == {"ResidualBlock", "SqueezeExcite"}
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
    supernet = build_supernet(OFA_MBV3_W10, 3)
    alone = extract(supernet, subnet, recalibrate(supernet, subnet, images(subnet)))
    theirs = MobileNetV3.build_from_config(copy.deepcopy(net_config(OFA_MBV3_W10, subnet))).eval()
    theirs.load_state_dict(alone.state_dict())
    with torch.inference_mode():
        torch.testing.assert_close(alone(images(subnet)), theirs(images(subnet)), atol=1e-6, rtol=1e-4)


def small():
    return build_network(net_config(DIGITS, DIGITS.smallest()))


def test_weights_are_loaded_strictly():
    network, state = small(), small().state_dict()
    load_weights(network, state)
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())
    older = {name.replace("blocks.0.conv.", "blocks.0.mobile_inverted_conv."): tensor for name, tensor in state.items()}
    load_weights(network, {name: tensor for name, tensor in older.items() if "num_batches" not in name})
    without = {name: tensor for name, tensor in state.items() if name != "first_conv.bn.bias"}
    for wrong, message in (
        (without, r"state_dict\.first_conv\.bn\.bias: must be given for this network, got None"),
        ({**state, "head.weight": torch.zeros(3)}, r"state_dict\.head\.weight: must be absent .* got \(3,\)"),
        (
            {**state, "first_conv.conv.weight": torch.zeros(1)},
            r"state_dict\.first_conv\.conv\.weight: must be of shape \(8, 1, 3, 3\), got \(1,\)",
        ),
        (build_network(net_config(DIGITS, DIGITS.largest())).state_dict(), r"state_dict\.blocks"),
    ):
        with pytest.raises(InvalidValueError, match=message):
            load_weights(network, wrong)


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config.pop("bn"),
        lambda config: config.update(name="VGG"),
        lambda config: config["blocks"][0].update(name="Mystery"),
        lambda config: config["blocks"][0]["conv"].update(act_func="swish"),
        lambda config: config["blocks"][0]["conv"].pop("in_channels"),
        lambda config: config.update(blocks=3),
        lambda config: config["first_conv"].update(out_channels="many"),
    ],
)
def test_other_configurations_are_refused(change):
    config = net_config(DIGITS, DIGITS.smallest())
    change(config)
    with pytest.raises(InvalidValueError, match=r"net\.config: must be the layers of a published kind of network"):
        build_network(config)
