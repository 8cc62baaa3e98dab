import dataclasses

import numpy as np
import pytest
from support.networks.float_networks import every_operation
from support.networks.random_networks import network_of_every_operation

from codesign.emit.quantised_network import check_images
from hw_templates.foundation.errors import InvalidValueError


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
