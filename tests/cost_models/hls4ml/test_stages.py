import pytest
from support.networks.named_spaces import CIFAR10_SMALL, DIGITS, DIGITS_STREAM, OFA_PROXYLESS_W13, OFA_RESNET50D
from support.pricing.shapes import layer_of

from codesign.supernet.lowering.workloads import lower
from cost_models.hls4ml.stages import StreamStage, reuse_factors, stages
from cost_models.workload import IMAGE, Activation, Layer, Node, Operation, Workload
from hw_templates.foundation.errors import UnsupportedLayerError
from hw_templates.hls4ml.parameters import Hls4mlAccelerator, IoType


def hls4ml_accepts(inputs: int, outputs: int, factor: int) -> bool:
    """FPGABackend._validate_reuse_factor of hls4ml 1.3.0, in its own words."""
    limit = -(-inputs * outputs // min(inputs, factor))
    functional = (limit % outputs == 0 or factor >= inputs) and (factor % inputs == 0 or factor < inputs)
    return functional and inputs * outputs % factor == 0


def test_reuse_factors_are_those_that_hls4ml_accepts():
    for stage in stages(lower(DIGITS_STREAM, DIGITS_STREAM.largest())):
        if stage.layer.operation == Operation.CONV:
            every = range(1, stage.multiplications + 1)
            assert stage.reuse_factors == tuple(f for f in every if hls4ml_accepts(stage.inputs, stage.outputs, f))
        else:
            assert all(hls4ml_accepts(stage.inputs, stage.outputs, factor) for factor in stage.reuse_factors)
            assert stage.reuse_factors[-1] == max(1, stage.multiplications)


def test_convolutions_of_maps_in_registers_reuse_a_multiplier_for_their_inputs_at_most():
    workload = lower(DIGITS_STREAM, DIGITS_STREAM.smallest())
    in_streams, in_registers = (stages(workload, io_type) for io_type in IoType)
    for stream, parallel in zip(in_streams, in_registers, strict=True):
        if stream.layer.operation == Operation.CONV and stream.name != "classifier":
            within = tuple(factor for factor in stream.reuse_factors if factor <= stream.inputs)
            assert parallel.reuse_factors == within != stream.reuse_factors
        else:
            assert parallel.reuse_factors == stream.reuse_factors


@pytest.mark.parametrize("interval_cycles", [16, 700, 4096, 50_000])
def test_each_layer_has_the_largest_reuse_factor_within_the_interval(interval_cycles):
    network = stages(lower(DIGITS_STREAM, DIGITS_STREAM.largest()))
    factors = reuse_factors(network, Hls4mlAccelerator(8, IoType.STREAM, interval_cycles, 100))
    for stage, factor in zip(network, factors, strict=True):
        assert factor * stage.pixels <= interval_cycles or factor == 1
        larger = [f for f in stage.reuse_factors if f > factor]
        assert not larger or larger[0] * stage.pixels > interval_cycles


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (DIGITS, r"stem: not for template hls4ml: hswish: hls4ml has no h-swish"),
        (CIFAR10_SMALL, r"stem: not for template hls4ml: hswish"),
        (OFA_PROXYLESS_W13, r"stem: not for template hls4ml: relu6: hls4ml reads it as ReLU and drops the limit of 6"),
        (OFA_RESNET50D, r"not for template hls4ml"),
    ],
)
def test_subnets_that_hls4ml_cannot_convert_are_refused_by_layer_and_reason(space, message):
    with pytest.raises(UnsupportedLayerError, match=message):
        stages(lower(space, space.smallest()))


@pytest.mark.parametrize(
    ("layer", "io_type", "message"),
    [
        (
            Layer(
                operation=Operation.MAX_POOL,
                in_channels=4,
                out_channels=4,
                in_height=8,
                in_width=8,
                kernel_height=3,
                kernel_width=3,
                stride=2,
                padding=1,
            ),
            IoType.STREAM,
            "pools windows that overlap",
        ),
        (
            Layer(
                operation=Operation.POOL,
                in_channels=4,
                out_channels=4,
                in_height=3,
                in_width=3,
                kernel_height=3,
                kernel_width=3,
            ),
            IoType.STREAM,
            "averages 9 pixels",
        ),
        (
            Layer(operation=Operation.CONV, in_channels=8, out_channels=8, in_height=8, in_width=8, weight_bits=4),
            IoType.STREAM,
            "has weights of 4 bits of its own",
        ),
        (
            Layer(operation=Operation.CONV, in_channels=128, out_channels=64, in_height=4, in_width=4),
            IoType.STREAM,
            "partitions an array into 8192, at most 4096",
        ),
        (
            Layer(operation=Operation.CONV, in_channels=8, out_channels=8, in_height=32, in_width=32),
            IoType.PARALLEL,
            "keeps 8192 values of a map in registers",
        ),
        (
            layer_of(Operation.CONV, 8, 8, 16, 16, 9, 9, 1, 4),
            IoType.STREAM,
            "has a kernel of 9x9 at stride 1 with a padding of 4",
        ),
        (layer_of(Operation.POOL, 8, 8, 2, 2, 4, 4, 1, 1), IoType.STREAM, "averages 16 pixels"),
    ],
)
def test_layers_that_hls4ml_cannot_convert(layer, io_type, message):
    with pytest.raises(UnsupportedLayerError, match=rf"it: not for template hls4ml: {message}"):
        stages(Workload((Node(name="it", layer=layer, ifmap=IMAGE),)), io_type)


def test_a_depthwise_layer_multiplies_each_channel_alone():
    node = Node(
        name="d",
        layer=Layer(
            operation=Operation.DEPTHWISE,
            in_channels=8,
            out_channels=8,
            in_height=4,
            in_width=4,
            kernel_height=3,
            kernel_width=3,
            stride=1,
            padding=1,
        ),
        ifmap=IMAGE,
        activation=Activation.RELU,
    )
    assert StreamStage.of(node).multiplications == 72
