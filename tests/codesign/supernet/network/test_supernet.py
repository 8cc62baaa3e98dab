import dataclasses
import inspect

import pytest
import torch
from support.networks.digits_subnets import random_images as images
from support.networks.named_spaces import DIGITS
from torch.nn import functional

from codesign.supernet.layers.elastic import BatchNormStatistics, normalise_by_batch
from codesign.supernet.network.subnets import recalibrate
from codesign.supernet.network.supernet import Supernet
from codesign.supernet.spaces.mobile import MobileSubnet
from hw_templates.foundation.errors import InvalidValueError


def test_a_call_leaves_no_trace(supernet):
    full, small = DIGITS.largest(), DIGITS.smallest()
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    with torch.no_grad():
        first = supernet(images(full), full)
        recalibrate(supernet, small, images(small))
        supernet(images(small), small)
        torch.testing.assert_close(supernet(images(full), full), first, rtol=0, atol=0)
    assert all(torch.equal(tensor, before[name]) for name, tensor in supernet.state_dict().items())
    assert "set_active_subnet" not in dict(inspect.getmembers(supernet))


def test_statistics_of_another_subnet_are_refused(supernet):
    small = DIGITS.smallest()
    wide = dataclasses.replace(DIGITS.largest(), resolution=8)
    statistics = recalibrate(supernet, small, images(small))
    with pytest.raises(InvalidValueError, match=r"statistics\.stage1\.block1\.expand"):
        supernet(images(wide), wide, statistics)
    with pytest.raises(InvalidValueError, match=r"statistics\.stem"):
        supernet(images(small), small, BatchNormStatistics({}, {}))


@pytest.mark.parametrize(
    ("subnet", "shape", "field"),
    [
        (MobileSubnet(10, DIGITS.smallest().stages), (2, 1, 10, 10), "subnet.resolution"),
        (DIGITS.smallest(), (2, 1, 16, 16), "images"),
        (DIGITS.smallest(), (2, 3, 8, 8), "images"),
        (DIGITS.smallest(), (1, 8, 8), "images"),
    ],
)
def test_wrong_subnets_and_images_are_refused(supernet, subnet, shape, field):
    for use in (
        lambda: supernet(torch.zeros(shape), subnet),
        lambda: recalibrate(supernet, subnet, torch.zeros(shape)),
    ):
        with pytest.raises(InvalidValueError) as error:
            use()
        assert error.value.field == field


def test_initial_weights_follow_from_the_seed():
    first, same, other = (Supernet(DIGITS, seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["stem.weight"], other["stem.weight"])


@pytest.mark.parametrize("role", ["expand", "depthwise", "squeeze", "project"])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_layer_computes_what_torch_does_with_the_part_that_it_lends(supernet, role, stride):
    name = f"stage2.block{3 - stride}.{role}"
    subnet = dataclasses.replace(DIGITS.largest(), resolution=12)
    node, shared = next(found for found in supernet.weighted(subnet) if found[0].name == name)
    layer, part = node.layer, shared.part(node)
    features = torch.randn((2, *layer.in_shape), generator=torch.Generator().manual_seed(3))
    groups = layer.in_channels if role == "depthwise" else 1
    with torch.no_grad():
        expected = functional.conv2d(features, part.weight, part.bias, layer.stride, layer.padding, groups=groups)
        if part.norm is not None:
            expected = functional.batch_norm(expected, None, None, *part.norm, training=True)
        torch.testing.assert_close(shared.forward(node, features, normalise_by_batch), expected, rtol=1e-4, atol=1e-5)
    assert expected.shape == (2, *layer.out_shape)
    assert layer.stride == (stride if role == "depthwise" else 1)
