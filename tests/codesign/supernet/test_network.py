import dataclasses
import inspect

import numpy as np
import pytest
import torch
from torch import nn

from codesign.supernet.elastic import BatchNormStatistics
from codesign.supernet.lowering import lower
from codesign.supernet.mobile_space import MobileSubnet
from codesign.supernet.network import build_supernet, count_parameters, recalibrate
from codesign.supernet.spaces import DIGITS
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
def test_subnet_equals_a_plain_torch_network_with_copied_weights(supernet, plain_network, subnet):
    plain = plain_network(supernet, subnet)
    batch, others = images(subnet), images(subnet, seed=1)
    with torch.no_grad():
        torch.testing.assert_close(supernet(batch, subnet), plain(batch), rtol=1e-4, atol=1e-4)
        statistics = recalibrate(supernet, subnet, batch)
        plain(batch)
        plain.eval()
        correct_variances(plain, batch)
        torch.testing.assert_close(supernet(others, subnet, statistics), plain(others), rtol=1e-4, atol=1e-4)


def correct_variances(plain, batch):
    """Make torch's running variances biased, as those that a batch is normalised by."""
    counts = {}

    def count(module, inputs, _):
        counts[module] = inputs[0].numel() // inputs[0].shape[1]

    norms = [module for module in plain.modules() if isinstance(module, nn.BatchNorm2d)]
    handles = [norm.register_forward_hook(count) for norm in norms]
    plain(batch)
    for handle in handles:
        handle.remove()
    for norm in norms:
        norm.running_var.mul_((counts[norm] - 1) / counts[norm])


@pytest.mark.parametrize("subnet", SUBNETS)
def test_gradients_reach_the_shared_weights_as_in_the_plain_network(supernet, plain_network, subnet):
    plain = plain_network(supernet, subnet)
    batch = images(subnet)
    supernet.zero_grad()
    supernet(batch, subnet).square().mean().backward()
    plain(batch).square().mean().backward()
    torch.testing.assert_close(supernet.stem.weight.grad, plain[0].weight.grad, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(supernet.classifier.weight.grad[:, :, 0, 0], plain[-1].weight.grad, rtol=1e-3, atol=1e-5)


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


def test_initial_weights_follow_from_the_seed():
    first, same, other = (build_supernet(DIGITS, seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["stem.weight"], other["stem.weight"])


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


def test_statistics_of_another_subnet_are_refused(supernet):
    small = DIGITS.smallest()
    wide = dataclasses.replace(DIGITS.largest(), resolution=8)
    statistics = recalibrate(supernet, small, images(small))
    with pytest.raises(InvalidValueError, match=r"statistics\.stage1\.block1\.expand"):
        supernet(images(wide), wide, statistics)
    with pytest.raises(InvalidValueError, match=r"statistics\.stem"):
        supernet(images(small), small, BatchNormStatistics({}, {}))
