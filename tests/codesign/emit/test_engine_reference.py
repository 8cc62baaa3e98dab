"""Sums of layers in the engine's reference, beside torch's in float64, which holds every integer below 2^53."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from codesign.emit.engine_reference import EngineData, engine_sums
from cost_models.engine.layer import EngineLayer
from hw_templates.foundation.arrays import Int8Array, IntArray
from hw_templates.operations import Operation

WITH_WEIGHTS = [Operation.CONV, Operation.DEPTHWISE]


def data_of(weight: Int8Array) -> EngineData:
    """Weights without what follows the sums."""
    nothing = np.zeros(0, np.int64)
    table = np.arange(-128, 128, dtype=np.int8)
    return EngineData(weight=weight, bias=nothing, multiplier=nothing, code=nothing, table=table)


def torch_sums(layer: EngineLayer, weight: Int8Array, ifmap: Int8Array) -> IntArray:
    """What torch makes of a layer with weights."""
    maps = torch.from_numpy(ifmap).double()
    if layer.repeat:
        maps = functional.interpolate(maps, scale_factor=2, mode="nearest")
    top, left, bottom, right = layer.padding
    padded = functional.pad(maps, (left, right, top, bottom), value=layer.pad_value)
    groups = 1 if layer.operation.is_dense else layer.in_channels
    sums = functional.conv2d(
        padded, torch.from_numpy(weight).double(), stride=layer.stride, dilation=layer.dilation, groups=groups
    )
    exact: IntArray = sums.numpy().astype(np.int64)
    return exact


def weight_shape(layer: EngineLayer) -> tuple[int, int, int, int]:
    return layer.out_channels, layer.in_channels if layer.operation.is_dense else 1, *layer.kernel


pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@settings(max_examples=150, deadline=None)
@given(
    operation=st.sampled_from(WITH_WEIGHTS),
    channels=st.integers(1, 6),
    size=st.tuples(st.integers(4, 6), st.integers(4, 6)),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    stride=pairs,
    dilation=pairs,
    padding=st.tuples(*[st.integers(5, 7)] * 4),
    pad_value=st.integers(-128, 127),
    repeat=st.booleans(),
    seed=st.integers(0, 99),
)
def test_sums_are_those_of_torch(
    operation: Operation,
    channels: int,
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    padding: tuple[int, int, int, int],
    pad_value: int,
    repeat: bool,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    layer = EngineLayer(
        operation=operation,
        in_channels=channels,
        in_height=size[0] * (1 + repeat),
        in_width=size[1] * (1 + repeat),
        out_channels=3 if operation.is_dense else channels,
        kernel=kernel,
        stride=stride,
        dilation=dilation,
        padding=padding,
        pad_value=pad_value,
        repeat=repeat,
    )
    weight = rng.integers(-128, 128, weight_shape(layer)).astype(np.int8)
    maps = rng.integers(-128, 128, (2, channels, *size)).astype(np.int8)
    np.testing.assert_array_equal(engine_sums(layer, data_of(weight), maps, None), torch_sums(layer, weight, maps))


@pytest.mark.parametrize("channels", [1024, 1025, 4096])
def test_sums_beyond_the_integers_of_float32_are_exact(channels: int) -> None:
    layer = EngineLayer(operation=Operation.CONV, in_channels=channels, in_height=1, in_width=2, out_channels=2)
    weight = np.full(weight_shape(layer), -128, np.int8)
    maps = np.full((1, channels, 1, 2), -128, np.int8)
    # One value of each sum is odd, and comes first or last.
    weight[0, 0], weight[1, -1], maps[0, 0, 0, 0], maps[0, -1, 0, 1] = -127, -127, -127, -127
    np.testing.assert_array_equal(engine_sums(layer, data_of(weight), maps, None), torch_sums(layer, weight, maps))
