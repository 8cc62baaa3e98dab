import dataclasses

import numpy as np
import pytest
import torch
from support.networks.digits_subnets import SUBNETS
from support.networks.digits_subnets import random_images as images
from support.networks.named_spaces import CIFAR10, DIGITS
from torch import nn

from codesign.supernet.layers.elastic import fake_quantise
from codesign.supernet.network.subnets import recalibrate
from codesign.supernet.network.supernet import Supernet


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


def test_weights_are_rounded_to_the_bits_of_their_block():
    supernet = Supernet(CIFAR10, seed=3)
    wide = CIFAR10.largest()
    narrow = dataclasses.replace(  # type: ignore[call-arg]
        wide, stages=tuple(tuple(dataclasses.replace(b, weight_bits=4) for b in stage) for stage in wide.stages)
    )
    batch = torch.randn(4, 3, 32, 32)
    for subnet, levels in ((wide, 255), (narrow, 15)):
        parts = supernet.parts(subnet)
        counts = [
            len(np.unique(channel)) for channel in parts["stage2.block1.expand"].weight.detach().flatten(1).numpy()
        ]
        assert 4 < max(counts) <= levels
        # Stem, classifier and gates are in no block.
        assert torch.equal(parts["stem"].weight, supernet.stem.weight)
    with torch.no_grad():
        rounded = Supernet(CIFAR10, seed=3)
        for name, part in supernet.parts(narrow).items():
            if (name.startswith("stage") and name.endswith(("expand", "project"))) or name.endswith("depthwise"):
                rounded.layers[name].convolution.weight.copy_(part.weight)
        # Rounding what is rounded changes nothing.
        torch.testing.assert_close(rounded(batch, narrow), supernet(batch, narrow), rtol=1e-4, atol=1e-5)
        assert float((supernet(batch, wide) - supernet(batch, narrow)).abs().max()) > 1e-3


def test_gradients_pass_the_rounding():
    weight = torch.randn(3, 2, 1, 1, requires_grad=True)
    (fake_quantise(weight, 4) * torch.arange(6.0).view(3, 2, 1, 1)).sum().backward()
    assert weight.grad.flatten().tolist() == [0, 1, 2, 3, 4, 5]


def test_stages_that_cannot_expand_have_no_expansion():
    supernet = Supernet(
        dataclasses.replace(DIGITS, stages=(dataclasses.replace(DIGITS.stages[0], expands=(1,)), *DIGITS.stages[1:]))
    )
    subnet = supernet.space.largest()
    assert "stage1.block1.expand" not in supernet.parts(subnet)
    assert "stage2.block1.expand" in supernet.parts(subnet)
    assert supernet(images(subnet), subnet).shape == (16, 10)
