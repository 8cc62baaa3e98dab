"""Parity with the reference implementation is in test_official_weights.py; here is what that does not reach."""

import numpy as np
import pytest
import torch

from codesign.supernet.network.subnets import recalibrate
from codesign.supernet.network.supernet import Supernet
from codesign.supernet.spaces.resnet import ResNetSpace
from codesign.supernet.spaces.space import Stage
from hw_templates.foundation.errors import InvalidValueError

SPACE = ResNetSpace(
    name="small",
    image_channels=3,
    num_classes=4,
    resolutions=(32, 40),
    stem_width=16,
    stages=(Stage(32, 1, (1, 2)), Stage(64, 2, (1, 2))),
    widths=(0.5, 1.0),
    expands=(0.25, 0.5),
)


@pytest.fixture(scope="module")
def supernet():
    return Supernet(SPACE, seed=1)


def images(subnet, count=4):
    shape = (count, 3, subnet.resolution, subnet.resolution)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_parts_are_the_weights_that_change_the_logits(supernet):
    rng = np.random.default_rng(0)
    for _ in range(6):
        subnet = SPACE.sample(rng)
        supernet.zero_grad()
        supernet(images(subnet), subnet).square().sum().backward()
        used = {id(supernet.layers[name].norm): len(part.weight) for name, part in supernet.parts(subnet).items()}
        for module in supernet.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                gradient = module.weight.grad
                touched = 0 if gradient is None else int((gradient != 0).nonzero().max()) + 1
                assert touched == used.get(id(module), 0)


def test_recalibrated_statistics_reproduce_the_batch(supernet):
    subnet = SPACE.largest()
    batch = images(subnet)
    with torch.no_grad():
        statistics = recalibrate(supernet, subnet, batch)
        torch.testing.assert_close(supernet(batch, subnet, statistics), supernet(batch, subnet), rtol=1e-4, atol=1e-5)


def test_wrong_images_are_refused(supernet):
    with pytest.raises(InvalidValueError, match=r"images: must be of shape \(n, 3, 40, 40\)"):
        supernet(torch.zeros(1, 3, 32, 32), SPACE.largest())
