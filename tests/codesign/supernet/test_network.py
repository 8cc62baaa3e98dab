import numpy as np
import pytest
import torch
from torch import nn

from codesign.supernet.lowering import lower
from codesign.supernet.mobile_network import MobileSupernet
from codesign.supernet.mobile_space import MobileSubnet
from codesign.supernet.network import build_supernet, count_parameters, recalibrate
from codesign.supernet.resnet_network import ResNetSupernet
from codesign.supernet.spaces import DIGITS, OFA_RESNET50D
from cost_models.workload import Operation
from hw_templates.errors import InvalidValueError

SUBNETS = [DIGITS.largest(), DIGITS.smallest(), *(DIGITS.sample(np.random.default_rng(seed)) for seed in range(6))]


@pytest.fixture(scope="module")
def supernet():
    """Weights of no special structure: biases, norms and kernel transformations are random too."""
    supernet = build_supernet(DIGITS, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in supernet.parameters():
            if parameter.ndim < 4:
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return supernet


def images(subnet, count=16, seed=0):
    shape = (count, 1, subnet.resolution, subnet.resolution)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("subnet", SUBNETS)
def test_macs_and_parameters_are_those_of_the_plain_network(supernet, plain_network, subnet):
    plain = plain_network(supernet, subnet)
    macs = []

    def count(module, inputs, output):
        weight = module.weight
        macs.append(output[0].numel() * weight[0].numel())

    for module in plain.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    plain(images(subnet))
    layers = [
        layer for layer in lower(DIGITS, subnet).layers if layer.operation in (Operation.CONV, Operation.DEPTHWISE)
    ]
    assert sum(layer.macs for layer in layers) == sum(macs)
    assert count_parameters(supernet, subnet) == sum(parameter.numel() for parameter in plain.parameters())


def test_initial_weights_follow_from_the_seed():
    first, same, other = (build_supernet(DIGITS, seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["stem.weight"], other["stem.weight"])


def test_each_family_has_its_network():
    assert isinstance(build_supernet(DIGITS), MobileSupernet)
    assert isinstance(build_supernet(OFA_RESNET50D), ResNetSupernet)


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


def test_one_image_has_no_statistics(supernet):
    with pytest.raises(InvalidValueError, match="images: must be two or more"):
        recalibrate(supernet, DIGITS.smallest(), torch.zeros(1, 1, 8, 8))
