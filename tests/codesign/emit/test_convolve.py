"""Layer sums against torch's convolutions, which are exact in float64 on integers of this size."""

import weakref
from itertools import product

import numpy as np
import pytest
import torch
from support.networks.float_networks import channelwise, every_operation
from torch.nn import functional

from codesign.emit import convolve
from codesign.emit.convolve import Maps, layer_sums, walk
from cost_models.workload import IMAGE, Layer, Node, Operation

SHAPES = list(product([Operation.CONV, Operation.DEPTHWISE], [1, 3, 5, 7], [1, 2], [True, False]))


def torch_sums(layer: Layer, ifmap: np.ndarray, weight: np.ndarray) -> np.ndarray:
    groups = layer.in_channels if layer.operation == Operation.DEPTHWISE else 1
    x, w = torch.from_numpy(ifmap).double(), torch.from_numpy(weight).double()
    return functional.conv2d(x, w, None, layer.stride, layer.padding, groups=groups).numpy()


def random_case(layer: Layer, rng: np.random.Generator, images: int = 3) -> tuple[np.ndarray, np.ndarray]:
    fan_in = layer.in_channels if layer.operation == Operation.CONV else 1
    kernel = (layer.kernel_height, layer.kernel_width)
    ifmap = rng.integers(-128, 128, (images, layer.in_channels, layer.in_height, layer.in_width)).astype(np.int32)
    return ifmap, rng.integers(-127, 128, (layer.out_channels, fan_in, *kernel)).astype(np.int32)


@pytest.mark.parametrize(("operation", "kernel", "stride", "padded"), SHAPES)
def test_convolutions_match_torch(operation: Operation, kernel: int, stride: int, padded: bool) -> None:
    out = 7 if operation == Operation.CONV else 5
    layer = Layer(
        operation=operation,
        in_channels=5,
        out_channels=out,
        in_height=8,
        in_width=11,
        kernel_height=kernel,
        kernel_width=kernel,
        stride=stride,
        padding=kernel // 2 if padded else 0,
    )
    ifmap, weight = random_case(layer, np.random.default_rng(kernel))
    got = layer_sums(layer, ifmap, weight, None)
    assert got.dtype == np.int32
    assert np.array_equal(got, torch_sums(layer, ifmap, weight))


def test_wide_maps_are_computed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolve, "COLUMN_VALUES", 5 * 9 * 64 * 2)  # two images at once
    layer = Layer(
        operation=Operation.CONV,
        in_channels=5,
        out_channels=4,
        in_height=8,
        in_width=8,
        kernel_height=3,
        kernel_width=3,
        stride=1,
        padding=1,
    )
    ifmap, weight = random_case(layer, np.random.default_rng(0), images=5)
    assert np.array_equal(layer_sums(layer, ifmap, weight, None), torch_sums(layer, ifmap, weight))


def test_largest_sums_that_fit_are_exact() -> None:
    layer = Layer(
        operation=Operation.CONV,
        in_channels=2048,
        out_channels=1,
        in_height=7,
        in_width=7,
        kernel_height=7,
        kernel_width=7,
    )
    ifmap, weight = np.full((1, 2048, 7, 7), -128, np.int32), np.full((1, 2048, 7, 7), 127, np.int32)
    assert layer_sums(layer, ifmap, weight, None).item() == -128 * 127 * 2048 * 49


def test_pool_sums_and_scale_multiplies() -> None:
    ifmap = np.random.default_rng(1).integers(-128, 128, (3, 5, 6, 6)).astype(np.int32)
    gate = np.random.default_rng(2).integers(0, 128, (3, 5, 1, 1)).astype(np.int32)
    pooled = layer_sums(channelwise(Operation.POOL, 5, 6, 6), ifmap, None, None)
    scaled = layer_sums(channelwise(Operation.SCALE, 5, 6), ifmap, None, gate)
    assert pooled.dtype == scaled.dtype == np.int32
    assert np.array_equal(pooled[:, :, 0, 0], torch.from_numpy(ifmap).sum((2, 3)).numpy())
    assert np.array_equal(scaled, (torch.from_numpy(ifmap) * torch.from_numpy(gate)).numpy())


@pytest.mark.parametrize("size", [1, 2, 5, 6])
def test_windows_that_overhang_the_map_average_what_is_inside(size: int) -> None:
    ifmap = np.random.default_rng(3).integers(-128, 128, (3, 5, size, size + 1)).astype(np.int32)
    layer = Layer(
        operation=Operation.POOL,
        in_channels=5,
        out_channels=5,
        in_height=size,
        in_width=size + 1,
        kernel_height=2,
        kernel_width=2,
        stride=2,
    )
    means = functional.avg_pool2d(torch.from_numpy(ifmap).double(), 2, 2, ceil_mode=True)
    assert np.array_equal(layer_sums(layer, ifmap, None, None), (4 * means).numpy())


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [1, 2, 5, 6])
def test_the_border_does_not_win_a_max_pool(size: int, stride: int) -> None:
    layer = Layer(
        operation=Operation.MAX_POOL,
        in_channels=5,
        out_channels=5,
        in_height=size,
        in_width=size + 1,
        kernel_height=3,
        kernel_width=3,
        stride=stride,
        padding=1,
    )
    ifmap = np.random.default_rng(4).integers(-128, -60, (3, 5, size, size + 1)).astype(np.int32)
    for values in (ifmap, ifmap.astype(np.float32)):
        got = layer_sums(layer, values, None, None)
        assert got.dtype == values.dtype
        assert np.array_equal(got, functional.max_pool2d(torch.from_numpy(values).double(), 3, stride, 1).numpy())


def test_walk_gives_each_node_its_maps_and_drops_those_read_for_the_last_time() -> None:
    workload = every_operation()
    alive: weakref.WeakValueDictionary[str, Maps] = weakref.WeakValueDictionary()
    read: dict[str, dict[str, float]] = {}

    def compute(node: Node, reads: dict[str, Maps]) -> Maps:
        if read and [*read][-1] == "halve":
            assert set(alive) == {"halve"}
        read[node.name] = {role: float(values.flat[0]) for role, values in reads.items()}
        result = np.full((1, 1, 1, 1), float(len(read)))
        alive[node.name] = result
        return result

    assert walk(workload, np.zeros((1, 1)), compute).shape == (1, 1)
    index = {name: place for place, name in enumerate(read, 1)} | {IMAGE: 0.0}
    assert [*read] == [node.name for node in workload]
    assert read == {node.name: {role: index[producer] for role, producer in node.reads} for node in workload}
    assert walk(workload, np.zeros((1, 1)), lambda node, reads: np.zeros((2, 3, 2, 1))).shape == (2, 3, 2, 1)
