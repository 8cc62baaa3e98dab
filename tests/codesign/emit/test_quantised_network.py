"""Networks as values, images that they take, and fixed-point factors and rounding against exact fractions."""

import dataclasses
from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.networks.float_networks import every_operation
from support.networks.random_networks import network_of_every_operation

from codesign.emit.quantised_network import check_images, multiplier_and_shift, rescale, saturate
from hw_templates.foundation.errors import InvalidValueError

FACTORS = st.floats(2.0**-32, 32767.5)


def test_the_workload_is_the_nodes_in_their_order() -> None:
    network = network_of_every_operation(np.random.default_rng(0))
    nodes = [layer.node for layer in network.layers]
    assert list(network.workload) == nodes
    assert network.workload.macs == sum(node.layer.macs for node in nodes)


def test_layers_that_do_not_meet_are_no_workload() -> None:
    network = network_of_every_operation(np.random.default_rng(0))
    backwards = dataclasses.replace(network, layers=network.layers[::-1])
    with pytest.raises(InvalidValueError, match="must be an earlier layer"):
        _ = backwards.workload


def test_networks_are_values_that_cannot_change() -> None:
    network = network_of_every_operation(np.random.default_rng(0))
    with pytest.raises(dataclasses.FrozenInstanceError):
        network.input_scale = 2.0  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        network.layers[0].weight = None  # type: ignore[misc]
    # Arrays have no one equality, so a network equals itself alone, and can be looked up.
    assert {network: "here"}[network] == "here"
    assert network != dataclasses.replace(network)


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("dtype", [np.float32, np.int8])
def test_images_of_the_first_layer_are_taken(count: int, dtype: type) -> None:
    images = np.full((count, 2, 8, 8), -128, dtype)
    before = images.copy()
    check_images("images", every_operation(channels=2), images)
    assert np.array_equal(images, before)


@pytest.mark.parametrize(
    ("shape", "got"),
    [
        ((0, 2, 8, 8), r"\(0, 2, 8, 8\)"),
        ((2, 8, 8), r"\(2, 8, 8\)"),
        ((3, 1, 8, 8), r"\(3, 1, 8, 8\)"),
        ((3, 2, 8, 7), r"\(3, 2, 8, 7\)"),
        ((1, 3, 2, 8, 8), r"\(1, 3, 2, 8, 8\)"),
    ],
)
def test_other_shapes_are_named(shape: tuple[int, ...], got: str) -> None:
    with pytest.raises(
        InvalidValueError, match=rf"pictures\.shape: must be \(n, 2, 8, 8\) with n at least 1, got {got}"
    ):
        check_images("pictures", every_operation(channels=2), np.zeros(shape, np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_pixel_that_is_not_finite_is_enough(value: float) -> None:
    images = np.zeros((3, 1, 8, 8), np.float32)
    images[2, 0, 7, 3] = value
    with pytest.raises(InvalidValueError, match=f"pictures: must be finite, got {value}"):
        check_images("pictures", every_operation(), images)


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


@settings(deadline=None)
@given(st.integers(-(2**31), 2**31 - 1), st.integers(2**15, 2**16 - 1), st.integers(1, 47))
def test_rescale_rounds_to_nearest_with_halves_up(value: int, multiplier: int, shift: int) -> None:
    exact = Fraction(value * multiplier, 2**shift)
    got = rescale(np.array([value], np.int32), np.array([multiplier], np.int32), np.array([shift], np.int32))
    assert got.tolist() == [floor(exact + Fraction(1, 2))]


def test_halves_go_up_on_both_sides_of_zero() -> None:
    values = np.array([-3, -2, -1, 0, 1, 2, 3], np.int32)
    assert rescale(values, 1, 1).tolist() == [-1, -1, 0, 0, 1, 1, 2]


def test_saturation_is_to_the_int8_ends() -> None:
    wide = np.array([-(2**40), -129, -128, -1, 127, 128, 2**40], np.int64)
    got = saturate(wide)
    assert got.dtype == np.int8
    assert got.tolist() == [-128, -128, -128, -1, 127, 127, 127]


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
