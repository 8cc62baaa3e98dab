"""The float reference against torch."""

import numpy as np
import pytest
import torch
from support.networks.float_networks import as_torch, bottlenecks, every_operation, random_weights, run_torch

from codesign.emit.float_reference import run_float
from cost_models.workload import Workload


@pytest.mark.parametrize("workload", [every_operation(channels=3), bottlenecks()], ids=["every", "bottlenecks"])
def test_network_of_every_operation_matches_torch(workload: Workload) -> None:
    rng = np.random.default_rng(0)
    weights = random_weights(workload, rng)
    first = workload.layers[0]
    images = rng.normal(size=(6, 3, first.in_height, first.in_width)).astype(np.float32)
    wanted = run_torch(workload, as_torch(weights), torch.from_numpy(images)).numpy()
    got = run_float(workload, weights, images)
    assert got.dtype == np.float32
    assert got.shape == (6, 10)
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)
