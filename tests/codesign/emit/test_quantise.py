"""Quantisation: ranges, the loss against float, and what it refuses."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from math import floor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from support.networks.float_networks import (
    bottlenecks,
    channelwise,
    conv,
    every_operation,
    float_maps,
    random_weights,
    run_float,
    run_torch,
)
from support.networks.random_networks import integer_maps
from torch.nn import functional

from codesign.emit.integer_reference import QuantisedNetwork, rescale, run_integer, saturate
from codesign.emit.map_scales import Weights, choose_map_scales
from codesign.emit.quantise import BIAS_MAX, multiplier_and_shift, quantise, quantise_image
from codesign.supernet.layers.elastic import fake_quantise
from cost_models.workload import IMAGE, Activation, Node, Operation, Workload
from hw_templates.foundation.errors import InvalidValueError


def random_images(rng: np.random.Generator, count: int, workload: Workload) -> np.ndarray:
    first = workload.nodes[0].layer
    return rng.normal(size=(count, first.in_channels, first.in_height, first.in_width)).astype(np.float32)


def real_logits(network: QuantisedNetwork, images: np.ndarray) -> np.ndarray:
    return run_integer(network, quantise_image(network, images)) * network.output_scale


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3))
def test_every_integer_is_in_its_range(seed: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    workload = every_operation()
    weights = {name: (size * weight, bias) for name, (weight, bias) in random_weights(workload, rng).items()}
    network = quantise(workload, weights, random_images(rng, 4, workload))
    assert network.workload == workload
    for layer in network.layers:
        count = layer.node.layer.out_channels
        assert layer.bias.dtype == layer.multiplier.dtype == layer.shift.dtype == np.int32
        assert layer.bias.shape == layer.multiplier.shape == layer.shift.shape == (count,)
        assert np.all((layer.multiplier == 0) | ((layer.multiplier >= 2**15) & (layer.multiplier < 2**16)))
        assert np.all((layer.shift >= 1) & (layer.shift <= 47))
        assert layer.table.dtype == np.int8
        assert layer.table.shape == (256,)
        assert (layer.weight is None) == (layer.node.name not in weights)
        if layer.weight is not None:
            assert layer.weight.dtype == np.int8
            # Where a channel has next to no weights, its step is what the bias needs to fit.
            coarse = np.abs(layer.weight.astype(int)).max(axis=(1, 2, 3)) < 127
            assert np.all(np.abs(layer.bias[coarse]) > BIAS_MAX // 2)
        assert (layer.residual_multiplier > 0) == (layer.node.residual is not None)


@pytest.mark.parametrize("activation", list(Activation))
def test_one_layer_is_within_the_steps_it_is_made_of(activation: Activation) -> None:
    """On images that are exact in int8 with weights that are, only the requantisation and the table round."""
    rng = np.random.default_rng(1)
    workload = Workload((Node(name="only", layer=conv(8, 5, 6, 3), ifmap=IMAGE, activation=activation),))
    weight = rng.integers(-127, 128, (5, 8, 3, 3)).astype(np.float32)
    weight[:, 0, 0, 0] = 127
    weights = {"only": (weight / 500, np.linspace(-1, 1, 5, dtype=np.float32))}
    images = (rng.integers(-127, 128, (20, 8, 6, 6)) / 127).astype(np.float32)
    images[0, 0, 0, 0] = 1
    network = quantise(workload, weights, images)
    assert network.input_scale == pytest.approx(1 / 127)
    linear = Workload((Node(name="only", layer=conv(8, 5, 6, 3), ifmap=IMAGE),))
    step = np.abs(run_float(linear, weights, images)).max() / 127
    error = np.abs(real_logits(network, images) - run_float(workload, weights, images))
    assert error.max() <= 1.5 * 0.51 * step + 0.51 * network.output_scale  # 1.5: the steepest slope of h-swish


def test_weights_trained_for_four_bits_stay_what_they_are() -> None:
    """The grid is that of the fake quantisation in training, whatever batch norm was folded into it afterwards."""
    rng = np.random.default_rng(4)
    trained = fake_quantise(torch.from_numpy(rng.normal(size=(6, 8, 3, 3)).astype(np.float32)), 4).numpy()
    gains = rng.normal(size=6).astype(np.float32)
    weights = {"only": (trained * gains[:, None, None, None], np.zeros(6, np.float32))}
    workload = Workload((Node(name="only", layer=replace(conv(8, 6, 5, 3), weight_bits=4), ifmap=IMAGE),))
    (layer,) = quantise(workload, weights, random_images(rng, 4, workload)).layers
    assert layer.weight is not None
    largest = np.abs(trained).max(axis=(1, 2, 3), keepdims=True)
    np.testing.assert_allclose(layer.weight * np.sign(gains)[:, None, None, None], trained / largest * 7, atol=1e-5)
    assert np.unique(layer.weight).tolist() == list(range(-7, 8))


@pytest.mark.parametrize("seed", range(4))
def test_no_map_of_a_bottleneck_network_is_far_off(seed: int) -> None:
    """The error of every map has at most a thousandth of its energy (30 dB)."""
    rng = np.random.default_rng(seed)
    workload = bottlenecks()
    weights, images = random_weights(workload, rng), random_images(rng, 64, workload)
    _, scales = choose_map_scales(workload, weights, images)
    network = quantise(workload, weights, images)
    maps = integer_maps(network, quantise_image(network, images))
    for name, exact in float_maps(workload, weights, images).items():
        error = maps[name] * scales[name].after - exact
        assert np.sum(error**2) <= 1e-3 * np.sum(exact**2), name


def test_max_pool_rounds_nothing() -> None:
    workload = Workload((Node(name="only", layer=channelwise(Operation.MAX_POOL, 3, 6, 3, 2), ifmap=IMAGE),))
    images = np.random.default_rng(2).normal(size=(4, 3, 6, 6)).astype(np.float32)
    network = quantise(workload, {}, images)
    pixels = quantise_image(network, images)
    greatest = functional.max_pool2d(torch.from_numpy(pixels).double(), 3, 2, 1).numpy()
    assert np.array_equal(run_integer(network, pixels), greatest)


def test_channel_without_weights_keeps_its_bias() -> None:
    workload = Workload((Node(name="only", layer=conv(3, 4, 2), ifmap=IMAGE),))
    weight = np.array([[0, 0, 0], [1e-12, 0, 0], [1, -1, 1], [0, 0, 0]], np.float32).reshape(4, 3, 1, 1)
    bias = np.array([0.5, -1.5, 0, 0], np.float32)
    images = np.random.default_rng(0).uniform(-1, 1, (50, 3, 2, 2)).astype(np.float32)
    network = quantise(workload, {"only": (weight, bias)}, images)
    got = real_logits(network, images).mean(axis=(0, 2, 3))
    np.testing.assert_allclose(got[[0, 1, 3]], [0.5, -1.5, 0], atol=0.51 * network.output_scale)


@pytest.mark.parametrize("seed", range(4))
def test_network_of_every_operation_loses_little(seed: int) -> None:
    """Of what differs between images that the calibration did not see, at most a fiftieth is error (17 dB)."""
    rng = np.random.default_rng(seed)
    workload = every_operation(channels=3)
    weights = random_weights(workload, rng)
    network = quantise(workload, weights, random_images(rng, 64, workload))
    images = random_images(rng, 64, workload)
    exact = run_float(workload, weights, images)
    error = real_logits(network, images) - exact
    assert np.sum(error**2) <= 0.02 * np.sum((exact - exact.mean(0)) ** 2)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Threads only get in each other's way on convolutions as small as these."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def train(workload: Workload, images: torch.Tensor, labels: torch.Tensor) -> Weights:
    """A few epochs of Adam on the workload's own weights."""
    torch.manual_seed(0)
    start = random_weights(workload, np.random.default_rng(0))
    weights = {name: tuple(torch.from_numpy(part).requires_grad_() for part in pair) for name, pair in start.items()}
    optimiser = torch.optim.Adam([part for pair in weights.values() for part in pair])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 5e-3, total_steps=12 * -(-len(images) // 64))
    for _ in range(12):
        for batch in torch.randperm(len(images)).split(64):
            optimiser.zero_grad()
            functional.cross_entropy(run_torch(workload, weights, images[batch]), labels[batch]).backward()
            optimiser.step()
            schedule.step()
    return {name: (weight.detach().numpy(), bias.detach().numpy()) for name, (weight, bias) in weights.items()}


@pytest.mark.usefixtures("one_thread")
def test_trained_digits_network_loses_at_most_a_point() -> None:
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    images = digits.images[order, None].astype(np.float32) / 16
    labels = digits.target[order]
    workload = every_operation()
    weights = train(workload, torch.from_numpy(images[:1200]), torch.from_numpy(labels[:1200]))
    network = quantise(workload, weights, images[:256])
    exact = np.mean(run_float(workload, weights, images[1200:]).argmax(1) == labels[1200:])
    rounded = np.mean(real_logits(network, images[1200:]).argmax(1) == labels[1200:])
    assert exact >= 0.93
    assert rounded >= exact - 0.01


def test_quantised_image_is_the_nearest_step() -> None:
    rng = np.random.default_rng(0)
    workload = every_operation()
    network = quantise(workload, random_weights(workload, rng), random_images(rng, 8, workload))
    images = 3 * random_images(rng, 8, workload)
    got = quantise_image(network, images)
    assert got.dtype == np.int8
    inside = np.abs(images) <= 127 * network.input_scale
    assert np.abs(got * network.input_scale - images)[inside].max() <= 0.501 * network.input_scale
    assert set(got[images > 128 * network.input_scale]) == {127}
    assert set(got[images < -129 * network.input_scale]) == {-128}


def test_sums_that_may_leave_32_bits_are_refused() -> None:
    workload = Workload((Node(name="wide", layer=conv(140_000, 1, 1), ifmap=IMAGE),))
    weights = {"wide": (np.ones((1, 140_000, 1, 1), np.float32), np.zeros(1, np.float32))}
    with pytest.raises(
        InvalidValueError, match="wide: largest possible sum: must be at most 2147483647, got 2275840000"
    ):
        quantise(workload, weights, np.ones((1, 140_000, 1, 1), np.float32))


def test_pool_of_a_map_too_large_for_32_bits_is_refused() -> None:
    size = 4100
    workload = Workload((Node(name="pool", layer=channelwise(Operation.POOL, 1, size, size), ifmap=IMAGE),))
    with pytest.raises(InvalidValueError, match="pool: largest possible sum"):
        quantise(workload, {}, np.ones((1, 1, size, size), np.float32))


def broken_weights(node: str, weight: np.ndarray | None, bias: np.ndarray | None) -> Weights:
    weights = random_weights(every_operation(), np.random.default_rng(0))
    weights[node] = (weights[node][0] if weight is None else weight, weights[node][1] if bias is None else bias)
    return weights


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({}, r"weights\[stem\]: must be given, got None"),
        (
            broken_weights("squeeze", np.zeros((8, 16, 1, 1), np.float32), None),
            r"squeeze\.weight\.shape: must be \(8, 32, 1, 1\), got \(8, 16, 1, 1\)",
        ),
        (
            broken_weights("depthwise", np.zeros((32, 32, 5, 5), np.float32), None),
            r"depthwise\.weight\.shape: must be \(32, 1, 5, 5\)",
        ),
        (broken_weights("stem", None, np.zeros(3, np.float32)), r"stem\.bias\.shape: must be \(12,\), got \(3,\)"),
        (broken_weights("stem", None, np.full(12, np.nan, np.float32)), r"stem\.bias: must be finite, got nan"),
        (
            broken_weights("final", np.full((48, 12, 3, 3), np.inf, np.float32), None),
            r"final\.weight: must be finite, got inf",
        ),
        (
            broken_weights("stem", None, None) | {"pool": (np.zeros((1, 1, 1, 1)), np.zeros(1))},
            r"weights: must be of a convolution or depthwise node of the workload, got 'pool'",
        ),
    ],
)
def test_bad_weights_are_refused(weights: Weights, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        quantise(every_operation(), weights, np.zeros((2, 1, 8, 8), np.float32))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((0, 1, 8, 8), np.float32), r"calibration images\.shape: .* n at least 1, got \(0, 1, 8, 8\)"),
        (np.zeros((4, 1, 16, 16), np.float32), r"calibration images\.shape: must be \(n, 1, 8, 8\)"),
        (np.full((4, 1, 8, 8), np.nan, np.float32), r"calibration images: must be finite, got nan"),
    ],
)
def test_bad_calibration_images_are_refused(images: np.ndarray, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        quantise(every_operation(), random_weights(every_operation(), np.random.default_rng(0)), images)


def test_map_that_vanishes_beside_its_products_saturates_and_nothing_breaks() -> None:
    workload = Workload((Node(name="cancelling", layer=conv(2, 1, 2), ifmap=IMAGE),))
    weights = {"cancelling": (np.array([1, -1], np.float32).reshape(1, 2, 1, 1), np.full(1, 1e-9, np.float32))}
    network = quantise(workload, weights, np.ones((1, 2, 2, 2), np.float32))
    first_larger = np.array([1, 0.5], np.float32).reshape(1, 2, 1, 1) * np.ones((1, 2, 2, 2), np.float32)
    assert set(run_integer(network, quantise_image(network, first_larger)).ravel()) == {127}
    assert set(run_integer(network, quantise_image(network, first_larger[:, ::-1])).ravel()) == {-128}


def test_biases_take_up_the_mean_error_of_every_channel() -> None:
    """Where weights round all one way a channel's mean is off by steps; the bias must bring it back."""
    workload = Workload((Node(name="only", layer=conv(32, 2, 4), ifmap=IMAGE),))
    weight = np.full((2, 32, 1, 1), 10.4, np.float32)
    weight[:, 0] = 127
    weights = {"only": (weight, np.zeros(2, np.float32))}
    images = np.random.default_rng(0).uniform(0, 1, (64, 32, 4, 4)).astype(np.float32)
    network = quantise(workload, weights, images)
    error = (real_logits(network, images) - run_float(workload, weights, images)).mean(axis=(0, 2, 3))
    uncorrected = 0.4 * 31 * images.mean()
    assert uncorrected > 2 * network.output_scale
    assert np.abs(error).max() < 0.1 * network.output_scale


FACTORS = st.floats(2.0**-32, 32767.5)


@settings(deadline=None)
@given(FACTORS)
def test_pair_is_normalised_and_within_two_to_the_minus_16_of_the_factor(factor: float) -> None:
    multiplier, shift = multiplier_and_shift(factor, "factor")
    assert 2**15 <= multiplier < 2**16
    assert 1 <= shift <= 47
    assert abs(Fraction(int(multiplier), 2 ** int(shift)) / Fraction(factor) - 1) <= Fraction(1, 2**16)


@settings(deadline=None)
@given(st.floats(0, 2.0**-32, exclude_max=True), st.integers(-(2**31), 2**31 - 1))
def test_vanishing_factor_takes_every_value_where_the_exact_product_rounds(factor: float, value: int) -> None:
    multiplier, shift = multiplier_and_shift(factor, "factor")
    got = int(rescale(np.array(value, np.int32), multiplier, shift))
    assert got == floor(Fraction(value) * Fraction(factor) + Fraction(1, 2)) == 0


@settings(deadline=None)
@given(st.floats(32767.5, 1e30), st.integers(-(2**31), 2**31 - 1))
def test_excessive_factor_saturates_as_the_exact_product_does(factor: float, value: int) -> None:
    multiplier, shift = multiplier_and_shift(factor, "factor")
    exact = max(-128, min(127, floor(Fraction(value) * Fraction(factor) + Fraction(1, 2))))
    assert saturate(rescale(np.array([value], np.int32), multiplier, shift)).tolist() == [exact]


def test_factors_of_many_channels_are_independent() -> None:
    factors = np.array([0.0, 1e-12, 0.25, 0.999999, 1.0, 100.0])
    multiplier, shift = multiplier_and_shift(factors, "factor")
    assert multiplier.dtype == shift.dtype == np.int32
    for index, factor in enumerate(factors):
        alone = multiplier_and_shift(factor, "factor")
        assert (int(alone[0]), int(alone[1])) == (multiplier[index], shift[index])


@pytest.mark.parametrize("factor", [-0.1, np.nan, np.inf])
def test_impossible_factor_is_named(factor: float) -> None:
    with pytest.raises(InvalidValueError, match=r"project\.multiplier: .* got"):
        multiplier_and_shift(np.array([0.5, factor]), "project.multiplier")
