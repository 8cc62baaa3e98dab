"""Activation tables against torch's functions."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.networks.float_networks import TORCH_ACTIVATIONS

from codesign.emit.activation_table import activation_table, to_grid
from cost_models.workload import Activation

SCALES = st.floats(1e-4, 10.0)


@settings(deadline=None)
@given(st.sampled_from(Activation), SCALES, SCALES)
def test_entries_are_the_nearest_steps_of_the_activation(activation: Activation, before: float, after: float) -> None:
    table = activation_table(activation, before, after)
    exact = TORCH_ACTIVATIONS[activation](torch.arange(-128, 128, dtype=torch.float64) * before).numpy() / after
    assert table.dtype == np.int8
    assert table.shape == (256,)
    assert np.all(np.abs(table - exact.clip(-128, 127)) <= 0.5 + 1e-9)


@settings(deadline=None)
@given(st.sampled_from([a for a in Activation if a != Activation.HSWISH]), SCALES, SCALES)
def test_monotone_activation_has_a_monotone_table(activation: Activation, before: float, after: float) -> None:
    assert np.all(np.diff(activation_table(activation, before, after).astype(int)) >= 0)


@settings(deadline=None)
@given(SCALES)
def test_one_scale_makes_identity_and_relu_exact(scale: float) -> None:
    steps = np.arange(-128, 128)
    assert np.array_equal(activation_table(Activation.IDENTITY, scale, scale), steps)
    assert np.array_equal(activation_table(Activation.RELU, scale, scale), np.maximum(steps, 0))


def test_relu6_stops_at_six() -> None:
    assert activation_table(Activation.RELU6, 0.1, 0.1).max() == 60


@pytest.mark.parametrize(("value", "step"), [(0.5, 1), (-0.5, 0), (-1.5, -1), (126.6, 127), (1e9, 127), (-1e9, -128)])
def test_grid_rounds_halves_up_and_saturates(value: float, step: int) -> None:
    assert to_grid(np.array([value]), 1.0).tolist() == [step]
