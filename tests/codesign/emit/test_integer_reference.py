"""The integer reference against torch convolutions in float64, where these integers and their halves are exact."""

import dataclasses
from fractions import Fraction
from math import floor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.networks.float_networks import channelwise, conv, every_operation, random_weights
from support.networks.random_networks import integer_maps, network_of_every_operation
from torch.nn import functional

from codesign.emit import integer_reference
from codesign.emit.integer_reference import (
    QuantisedLayer,
    QuantisedNetwork,
    check_images,
    rescale,
    run_integer,
    saturate,
)
from codesign.emit.quantise import quantise
from cost_models.workload import IMAGE, Layer, Node, Operation
from hw_templates.foundation.errors import InvalidValueError

CASES = [
    *(conv(5, 7, 9, kernel, stride) for kernel in (1, 3, 5, 7) for stride in (1, 2)),
    *(channelwise(Operation.DEPTHWISE, 6, 9, kernel, stride) for kernel in (1, 3, 5, 7) for stride in (1, 2)),
    *(channelwise(Operation.DEPTHWISE, 6, 8, kernel, 2) for kernel in (3, 5, 7)),
    channelwise(Operation.POOL, 6, 9, 9),
    *(channelwise(Operation.POOL, 6, size, 2, 2) for size in (8, 9)),
    *(channelwise(Operation.MAX_POOL, 6, 9, 3, stride) for stride in (1, 2)),
    conv(40, 10, 1),
    conv(6, 6, 9, 3, 1, residual=True),
]


def random_layer(node: Node, rng: np.random.Generator) -> QuantisedLayer:
    """Integers that put results on both sides of saturation."""
    layer = node.layer
    fan_in = {Operation.CONV: layer.in_channels, Operation.DEPTHWISE: 1}.get(layer.operation)
    kernel = (layer.kernel_height, layer.kernel_width)
    weight = None if fan_in is None else rng.integers(-127, 128, (layer.out_channels, fan_in, *kernel)).astype(np.int8)
    count = layer.out_channels
    magnitude = 8 if weight is None else 14
    return QuantisedLayer(
        node=node,
        weight=weight,
        bias=rng.integers(-5000, 5000, count).astype(np.int32),
        multiplier=rng.integers(2**15, 2**16, count).astype(np.int32),
        shift=rng.integers(magnitude + 7, magnitude + 12, count).astype(np.int32),
        table=rng.permutation(np.arange(-128, 128)).astype(np.int8),
        residual_multiplier=40000 if layer.residual else 0,
        residual_shift=15 if layer.residual else 1,
    )


def post(layer: QuantisedLayer, sums: torch.Tensor, residual: torch.Tensor | None) -> np.ndarray:
    """Bias to result in float64: products below 2^47 over powers of two, so every step is exact."""
    bias, multiplier, shift = (
        torch.from_numpy(x).double()[:, None, None] for x in (layer.bias, layer.multiplier, layer.shift)
    )
    result = torch.floor((sums + bias) * multiplier / 2**shift + 0.5)
    added = 0 if residual is None else torch.floor(residual * layer.residual_multiplier / 2**layer.residual_shift + 0.5)
    if layer.node.adds_last:
        looked_up = layer.table[result.clamp(-128, 127).long().numpy() + 128]
        return (torch.from_numpy(looked_up) + added).clamp(-128, 127).numpy()
    return layer.table[(result + added).clamp(-128, 127).long().numpy() + 128]


@pytest.mark.parametrize("layer", CASES, ids=lambda layer: f"{layer.operation}{layer.kernel_height}s{layer.stride}")
def test_layer_matches_torch(layer: Layer) -> None:
    rng = np.random.default_rng(layer.macs)
    node = Node(name="layer", layer=layer, ifmap=IMAGE, residual=IMAGE if layer.residual else None)
    quantised = random_layer(node, rng)
    images = rng.integers(-128, 128, (4, layer.in_channels, layer.in_height, layer.in_width)).astype(np.int8)
    x = torch.from_numpy(images).double()
    if layer.operation == Operation.MAX_POOL:
        sums = functional.max_pool2d(x, 3, layer.stride, 1)
    elif layer.operation == Operation.POOL:
        sums = layer.kernel_height**2 * functional.avg_pool2d(x, layer.kernel_height, layer.stride, ceil_mode=True)
    else:
        groups = layer.in_channels if layer.operation == Operation.DEPTHWISE else 1
        weight = torch.from_numpy(quantised.weight).double()
        sums = functional.conv2d(x, weight, None, layer.stride, layer.padding, groups=groups)
    got = integer_maps(QuantisedNetwork((quantised,), 1.0, 1.0), images)["layer"]
    assert got.dtype == np.int8
    assert np.array_equal(got, post(quantised, sums, x if layer.residual else None))


def test_what_is_added_last_is_added_to_the_activated_map() -> None:
    rng = np.random.default_rng(5)
    layer = conv(6, 6, 9, 3, 1, residual=True)
    quantised = random_layer(Node(name="layer", layer=layer, ifmap=IMAGE, residual=IMAGE, adds_last=True), rng)
    images = rng.integers(-128, 128, (4, 6, 9, 9)).astype(np.int8)
    x = torch.from_numpy(images).double()
    assert quantised.weight is not None
    sums = functional.conv2d(x, torch.from_numpy(quantised.weight).double(), None, 1, 1)
    got = integer_maps(QuantisedNetwork((quantised,), 1.0, 1.0), images)["layer"]
    assert got.dtype == np.int8
    assert np.array_equal(got, post(quantised, sums, x))


def test_squeeze_excite_scale_matches_torch() -> None:
    rng = np.random.default_rng(3)
    nodes = (
        Node(name="pool", layer=channelwise(Operation.POOL, 6, 5, 5), ifmap=IMAGE),
        Node(name="gate", layer=conv(6, 6, 1), ifmap="pool"),
        Node(name="scale", layer=channelwise(Operation.SCALE, 6, 5), ifmap=IMAGE, gate="gate"),
    )
    layers = tuple(random_layer(node, rng) for node in nodes)
    images = rng.integers(-128, 128, (4, 6, 5, 5)).astype(np.int8)
    maps = integer_maps(QuantisedNetwork(layers, 1.0, 1.0), images)
    gate = torch.from_numpy(maps["gate"]).double()
    assert np.array_equal(maps["scale"], post(layers[2], torch.from_numpy(images).double() * gate, None))


@pytest.fixture(scope="module")
def network() -> QuantisedNetwork:
    rng = np.random.default_rng(0)
    workload = every_operation(channels=2)
    return quantise(workload, random_weights(workload, rng), rng.normal(size=(16, 2, 8, 8)).astype(np.float32))


def test_images_do_not_influence_each_other(network: QuantisedNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integer_reference, "IMAGES_AT_ONCE", 3)
    images = np.random.default_rng(1).integers(-128, 128, (7, 2, 8, 8)).astype(np.int8)
    together = run_integer(network, images)
    alone = np.concatenate([run_integer(network, image[None]) for image in images])
    assert together.shape == (7, 10)
    assert together.dtype == np.int8
    assert np.array_equal(together, alone)


def test_every_map_is_given_and_the_last_is_the_result(network: QuantisedNetwork) -> None:
    images = np.random.default_rng(1).integers(-128, 128, (3, 2, 8, 8)).astype(np.int8)
    maps = integer_maps(network, images)
    assert {name: map_.shape[1:] for name, map_ in maps.items()} == {
        node.name: (node.layer.out_channels, node.layer.out_height, node.layer.out_width) for node in network.workload
    }
    assert np.array_equal(maps["classifier"][:, :, 0, 0], run_integer(network, images))


def test_last_map_with_pixels_keeps_them() -> None:
    node = Node(name="only", layer=conv(2, 3, 4), ifmap=IMAGE)
    network = QuantisedNetwork((random_layer(node, np.random.default_rng(0)),), 1.0, 1.0)
    assert run_integer(network, np.zeros((5, 2, 4, 4), np.int8)).shape == (5, 3, 4, 4)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((1, 2, 8, 8), np.float32), r"images\.dtype: must be int8, got 'float32'"),
        (np.zeros((1, 3, 8, 8), np.int8), r"images\.shape: must be \(n, 2, 8, 8\)"),
        (np.zeros((2, 8, 8), np.int8), r"images\.shape: must be \(n, 2, 8, 8\)"),
        (np.zeros((0, 2, 8, 8), np.int8), r"images\.shape: .* n at least 1, got \(0, 2, 8, 8\)"),
    ],
)
def test_bad_images_are_refused(network: QuantisedNetwork, images: np.ndarray, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        run_integer(network, images)


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
