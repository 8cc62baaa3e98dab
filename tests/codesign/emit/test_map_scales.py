"""The choice of scales against brute force and known ranges, and the float layers that it runs against torch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.networks.float_networks import (
    TORCH_ACTIVATIONS,
    as_torch,
    bottlenecks,
    channelwise,
    conv,
    every_operation,
    random_weights,
    run_float,
    run_torch,
)

from codesign.emit.map_scales import CLIPPING, activation_table, best_scales, choose_map_scales, to_grid
from cost_models.workload import IMAGE, Activation, Node, Operation, Workload
from hw_templates.foundation.errors import InvalidValueError


def squared_error(values: np.ndarray, scale: float) -> float:
    return float(((to_grid(values, scale) * scale - values) ** 2).sum())


@pytest.mark.parametrize("tail", ["normal", "laplace", "standard_cauchy"])
@pytest.mark.parametrize("activation", [Activation.IDENTITY, Activation.RELU, Activation.RELU6])
def test_scale_is_within_a_hundredth_of_the_least_squared_error(activation: Activation, tail: str) -> None:
    values = getattr(np.random.default_rng(0), tail)(size=20_000).clip(-60, 60)
    result = TORCH_ACTIVATIONS[activation](torch.from_numpy(values)).numpy()
    before, after = best_scales(activation, values, CLIPPING)
    least = min(squared_error(result, scale) for scale in CLIPPING * np.abs(result).max() / 127)
    assert before == after
    assert squared_error(result, after) <= 1.01 * least


@pytest.mark.parametrize("activation", [Activation.HSWISH, Activation.HSIGMOID])
def test_values_below_minus_three_clip_before_a_hard_activation(activation: Activation) -> None:
    values = np.concatenate([np.linspace(-100, -3, 5000), np.linspace(-3, 4, 5000)])
    before, _ = best_scales(activation, values, CLIPPING)
    assert 3 / 128 <= before <= 5 / 127  # -100 would need 100 / 127
    steps = torch.from_numpy(to_grid(values, before)) * before
    error = TORCH_ACTIVATIONS[activation](steps) - TORCH_ACTIVATIONS[activation](torch.from_numpy(values))
    assert float(error.abs().max()) <= 2.1 * before


def test_hsigmoid_results_have_127_steps_to_one() -> None:
    assert best_scales(Activation.HSIGMOID, np.linspace(-5, 5, 100), CLIPPING)[1] == 1 / 127


@pytest.mark.parametrize("activation", list(Activation))
def test_map_of_zeros_has_a_usable_scale(activation: Activation) -> None:
    assert min(best_scales(activation, np.zeros((2, 3)), CLIPPING)) > 0


def test_every_node_has_scales_and_the_last_map_is_not_clipped() -> None:
    rng = np.random.default_rng(0)
    workload = every_operation()
    weights = random_weights(workload, rng)
    images = rng.normal(size=(32, 1, 8, 8)).astype(np.float32)
    _, scales = choose_map_scales(workload, weights, images)
    logits = run_torch(workload, as_torch(weights), torch.from_numpy(images))
    assert set(scales) == {node.name for node in workload}
    assert scales["classifier"].after * 127 == pytest.approx(float(logits.abs().max()), rel=1e-4)


def test_scale_of_a_residual_layer_covers_the_sum() -> None:
    workload = Workload((Node(name="add", layer=conv(1, 1, 4, residual=True), ifmap=IMAGE, residual=IMAGE),))
    weights = {"add": (np.full((1, 1, 1, 1), 2, np.float32), np.zeros(1, np.float32))}
    images = np.linspace(-1, 1, 16, dtype=np.float32).reshape(1, 1, 4, 4)
    input_scale, scales = choose_map_scales(workload, weights, images)
    assert input_scale == pytest.approx(1 / 127)
    assert scales["add"].after == pytest.approx(3 / 127)


def test_what_is_added_last_leaves_the_scale_before_the_activation() -> None:
    node = Node(
        name="add",
        layer=conv(1, 1, 4, residual=True),
        ifmap=IMAGE,
        activation=Activation.RELU,
        residual=IMAGE,
        adds_last=True,
    )
    weights = {"add": (np.full((1, 1, 1, 1), 2, np.float32), np.zeros(1, np.float32))}
    images = np.linspace(-1, 1, 16, dtype=np.float32).reshape(1, 1, 4, 4)
    _, scales = choose_map_scales(Workload((node,)), weights, images)
    assert scales["add"].before == pytest.approx(2 / 127)
    assert scales["add"].after == pytest.approx(3 / 127)


def test_a_max_pool_keeps_the_scale_of_its_map() -> None:
    first, second = (channelwise(Operation.MAX_POOL, 1, 4, 3, stride) for stride in (1, 2))
    workload = Workload(
        (Node(name="first", layer=first, ifmap=IMAGE), Node(name="second", layer=second, ifmap="first"))
    )
    images = np.random.default_rng(1).normal(size=(8, 1, 4, 4)).astype(np.float32)
    input_scale, scales = choose_map_scales(workload, {}, images)
    assert {scale for node in scales.values() for scale in (node.before, node.after)} == {input_scale}


def test_map_beyond_float32_is_named() -> None:
    workload = Workload(
        (Node(name="first", layer=conv(1, 1, 4), ifmap=IMAGE), Node(name="second", layer=conv(1, 1, 4), ifmap="first"))
    )
    weights = dict.fromkeys(("first", "second"), (np.full((1, 1, 1, 1), 1e30, np.float32), np.zeros(1, np.float32)))
    with pytest.raises(InvalidValueError, match="second: calibrated map: must be finite, got inf"):
        choose_map_scales(workload, weights, np.ones((1, 1, 4, 4), np.float32))


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
