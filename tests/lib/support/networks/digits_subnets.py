"""Subnets of the digits space to try, and images for them."""

import numpy as np
import torch
from support.networks.named_spaces import DIGITS

SUBNETS = [DIGITS.largest(), DIGITS.smallest(), *(DIGITS.sample(np.random.default_rng(seed)) for seed in range(6))]


def random_images(subnet, count=16, seed=0):
    shape = (count, 1, subnet.resolution, subnet.resolution)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
