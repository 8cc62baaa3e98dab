import dataclasses

import numpy as np
import pytest
import torch
from support.networks.named_spaces import DIGITS
from torch.nn import functional

from codesign.supernet.lowering.workloads import lower
from codesign.supernet.network.subnets import fold, recalibrate
from codesign.supernet.network.supernet import Supernet
from cost_models.workload import IMAGE, Activation, Operation
from hw_templates.foundation.errors import InvalidValueError

FUNCTIONS = {
    Activation.IDENTITY: lambda x: x,
    Activation.RELU: functional.relu,
    Activation.HSWISH: lambda x: x * functional.relu6(x + 3) / 6,
    Activation.HSIGMOID: lambda x: functional.relu6(x + 3) / 6,
}


def run_workload(workload, layers, images):
    """Every node as one plain torch operation."""
    maps = {IMAGE: images}
    for node in workload:
        layer, ifmap = node.layer, maps[node.ifmap]
        if layer.operation == Operation.POOL:
            result = functional.avg_pool2d(ifmap, (layer.kernel_height, layer.kernel_width))
        elif layer.operation == Operation.SCALE:
            result = ifmap * maps[node.gate]
        else:
            weight, bias = (torch.from_numpy(array) for array in layers[node.name])
            groups = layer.in_channels if layer.operation == Operation.DEPTHWISE else 1
            result = functional.conv2d(ifmap, weight, bias, layer.stride, layer.padding, groups=groups)
        if node.residual is not None:
            result = result + maps[node.residual]
        maps[node.name] = FUNCTIONS[node.activation](result)
        assert maps[node.name].shape[1:] == (layer.out_channels, layer.out_height, layer.out_width)
    return maps[node.name].flatten(1)


@pytest.fixture(scope="module")
def supernet():
    supernet = Supernet(DIGITS, seed=3)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in supernet.parameters():
            if parameter.ndim < 4:
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
        supernet.classifier.weight.mul_(10)
    return supernet


@pytest.mark.parametrize("seed", range(8))
def test_folded_layers_run_along_the_workload_give_the_supernets_logits(supernet, seed):
    subnet = DIGITS.largest() if seed == 0 else DIGITS.sample(np.random.default_rng(seed))
    generator = torch.Generator().manual_seed(seed)
    shape = (24, 1, subnet.resolution, subnet.resolution)
    calibration, images = torch.randn(shape, generator=generator), torch.randn(shape, generator=generator)
    with torch.no_grad():
        expected = supernet(images, subnet, recalibrate(supernet, subnet, calibration))
    logits = run_workload(lower(DIGITS, subnet), fold(supernet, subnet, calibration), images)
    assert expected.std() > 0.1
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)


def test_every_node_with_weights_has_arrays_of_its_shape(supernet):
    subnet = DIGITS.smallest()
    layers = fold(supernet, subnet, torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(0)))
    nodes = [n for n in lower(DIGITS, subnet) if n.layer.operation in (Operation.CONV, Operation.DEPTHWISE)]
    assert list(layers) == [node.name for node in nodes]
    for node in nodes:
        weight, bias = layers[node.name]
        fan_in = 1 if node.layer.operation == Operation.DEPTHWISE else node.layer.in_channels
        kernel = (node.layer.kernel_height, node.layer.kernel_width)
        assert weight.shape == (node.layer.out_channels, fan_in, *kernel)
        assert bias.shape == (node.layer.out_channels,)
        assert weight.dtype == bias.dtype == np.float32


def test_folding_refuses_a_foreign_subnet_and_images_of_another_size(supernet):
    with pytest.raises(InvalidValueError, match="images"):
        fold(supernet, DIGITS.largest(), torch.zeros(2, 1, 8, 8))
    with pytest.raises(InvalidValueError, match=r"subnet\.resolution"):
        fold(supernet, dataclasses.replace(DIGITS.largest(), resolution=9), torch.zeros(2, 1, 9, 9))
