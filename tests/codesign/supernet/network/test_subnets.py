import pytest
import torch
from support.networks.digits_subnets import SUBNETS
from support.networks.digits_subnets import random_images as images
from support.networks.named_spaces import DIGITS, OFA_RESNET50D
from torch import nn

from codesign.supernet.lowering.workloads import lower
from codesign.supernet.network.standalone import count_parameters
from codesign.supernet.network.subnets import evaluate, recalibrate
from codesign.supernet.network.supernet import Supernet
from cost_models.workload import Operation
from hw_templates.foundation.errors import InvalidValueError


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
    assert count_parameters(DIGITS, subnet) == sum(parameter.numel() for parameter in plain.parameters())


def test_evaluating_in_parts_gives_the_logits_of_the_whole_batch(supernet):
    subnet = DIGITS.largest()
    many = images(subnet, count=300)
    statistics = recalibrate(supernet, subnet, many[:16])
    with torch.no_grad():
        whole = supernet(many, subnet, statistics)
    torch.testing.assert_close(evaluate(supernet, subnet, many, statistics), whole, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(evaluate(supernet, subnet, many[:1], statistics), whole[:1], rtol=1e-4, atol=1e-5)


def test_each_family_has_its_network():
    assert "blocks.0.depthwise.weight" in Supernet(DIGITS).state_dict()
    assert "blocks.0.convolve.convolution.weight" in Supernet(OFA_RESNET50D).state_dict()


def test_one_image_has_no_statistics(supernet):
    with pytest.raises(InvalidValueError, match="images: must be two or more"):
        recalibrate(supernet, DIGITS.smallest(), torch.zeros(1, 1, 8, 8))
