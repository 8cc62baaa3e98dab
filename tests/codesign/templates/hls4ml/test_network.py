import json

import numpy as np
import pytest
from support.networks.named_spaces import DIGITS, DIGITS_STREAM
from support.networks.stream_networks import fixed_point, random_stream_network, random_weights

from codesign.emit.integer_reference import run_integer
from codesign.supernet.lowering.workloads import lower
from codesign.templates.hls4ml.network import Hls4mlNetwork
from cost_models.workload import IMAGE
from hw_templates.foundation.errors import UnsupportedLayerError
from hw_templates.hls4ml.parameters import Hls4mlAccelerator, IoType


def walk_keras(given, images):
    """What the Keras description computes, in float64 with each result rounded and kept to its type."""
    maps = {}
    for entry in given.model["config"]["layers"]:
        name, config = entry["name"], entry["config"]
        sources = [maps[inbound[0]] for inbound in entry["inbound_nodes"][0]] if entry["inbound_nodes"] else []
        variables = given.weights.get(name, {})
        match entry["class_name"]:
            case "InputLayer":
                value = images
            case "ZeroPadding2D":
                value = np.pad(sources[0], ((0, 0), *config["padding"], (0, 0)))
            case "Activation":
                value = sources[0].clip(0)
            case "Add":
                value = sources[0] + sources[1]
            case "GlobalAveragePooling2D":
                value = sources[0].mean(axis=(1, 2))
            case "Dense":
                value = sources[0] @ variables["kernel"] + variables["bias"]
            case kind:
                value = convolve(kind, sources[0], config, variables)
        bits, whole = given.layers[name]["Precision"]["result"].removeprefix("fixed<").split(",")[:2]
        step = 2.0 ** (int(whole) - int(bits))
        limit = 2 ** (int(bits) - 1)
        maps[name] = np.floor(value / step + 0.5).clip(-limit, limit - 1) * step
    return maps[given.model["config"]["output_layers"][0][0]]


def convolve(kind, source, config, variables):
    (height, width), (stride, _) = config["kernel_size"], config["strides"]
    outputs = [(extent - k) // stride + 1 for extent, k in zip(source.shape[1:3], (height, width), strict=True)]
    total = variables["bias"]
    for row in range(height):
        for col in range(width):
            rows = slice(row, row + stride * (outputs[0] - 1) + 1, stride)
            cols = slice(col, col + stride * (outputs[1] - 1) + 1, stride)
            if kind == "DepthwiseConv2D":
                total = total + source[:, rows, cols] * variables["depthwise_kernel"][row, col, :, 0]
            else:
                total = total + source[:, rows, cols] @ variables["kernel"][row, col]
    return total


@pytest.mark.parametrize("bits", [4, 6, 8])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_description_computes_what_the_integer_reference_does(bits, seed):
    subnet = DIGITS_STREAM.sample(np.random.default_rng(seed))
    fixed, images = random_stream_network(bits, subnet, count=16)
    given = Hls4mlNetwork(fixed, Hls4mlAccelerator(bits, IoType.STREAM, 4096, 100))
    real = images.transpose(0, 2, 3, 1) * 2.0 ** -fixed.fractions[IMAGE]
    expected = run_integer(fixed.network, images) * fixed.network.output_scale
    assert np.array_equal(walk_keras(given, real), expected)


@pytest.mark.parametrize("bits", [4, 6, 8])
def test_scales_are_powers_of_two_and_numbers_have_the_bits(bits):
    fixed, images = random_stream_network(bits)
    limit = 2 ** (bits - 1)
    assert fixed.network.output_scale == 2.0 ** -fixed.fractions["classifier"]
    assert images.min() >= -limit
    assert images.max() < limit
    for layer in fixed.network.layers:
        assert set(np.unique(layer.multiplier)) <= {0, 2**15}
        assert layer.table.max() < limit
        assert layer.weight is None or np.abs(layer.weight).max() < limit


def test_more_bits_come_nearer_to_the_float_network():
    from support.networks.float_networks import run_float

    workload = lower(DIGITS_STREAM, DIGITS_STREAM.smallest())
    weights = random_weights(workload)
    errors = []
    for bits in (4, 6, 8):
        fixed, images = random_stream_network(bits)
        real = images.astype(np.float32) * np.float32(fixed.network.input_scale)
        logits = run_integer(fixed.network, images) * fixed.network.output_scale
        errors.append(np.abs(logits - run_float(workload, weights, real)).mean())
    assert errors[0] > errors[1] > errors[2]


def test_weights_are_exact_in_their_types_and_everything_is_json():
    fixed, _ = random_stream_network(8)
    given = Hls4mlNetwork(fixed, Hls4mlAccelerator(8, IoType.STREAM, 1024, 100))
    json.dumps([given.model, given.layers])
    for name, variables in given.weights.items():
        bits, whole = map(int, given.layers[name]["Precision"]["weight"][6:-1].split(","))
        kernel = next(values for kind, values in variables.items() if kind != "bias")
        steps = kernel / 2.0 ** (whole - bits)
        assert np.array_equal(steps, np.round(steps))
        assert np.abs(steps).max() < 2 ** (bits - 1)


def test_depthwise_layers_with_maps_in_registers_have_the_only_strategy_there_is():
    fixed, _ = random_stream_network(8)
    given = Hls4mlNetwork(fixed, Hls4mlAccelerator(8, IoType.PARALLEL, 1024, 100))
    kinds = {entry["name"]: entry["class_name"] for entry in given.model["config"]["layers"]}
    for name, settings in given.layers.items():
        assert settings["Strategy"] == ("latency" if kinds[name] == "DepthwiseConv2D" else "resource")


def test_a_subnet_that_hls4ml_cannot_convert():
    workload = lower(DIGITS, DIGITS.smallest())
    images = np.random.default_rng(1).normal(0, 1, (16, 1, 8, 8)).astype(np.float32)
    fixed = fixed_point(workload, random_weights(workload), images, 8)
    with pytest.raises(UnsupportedLayerError, match="stem: not for template hls4ml: hswish"):
        Hls4mlNetwork(fixed, Hls4mlAccelerator(8, IoType.STREAM, 1024, 100))
