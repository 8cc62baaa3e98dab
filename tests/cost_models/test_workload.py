import networkx as nx
import pytest
import torch
from torch import nn

from cost_models.workload import IMAGE, Activation, Layer, Node, Operation, Workload
from hw_templates.foundation.errors import InvalidValueError, UnsupportedLayerError


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [7, 8])
def test_output_shapes_are_those_of_torch(kernel: int, stride: int, size: int) -> None:
    layer = Layer(Operation.CONV, 3, 5, size, size + 1, kernel, kernel, stride, kernel // 2)
    result = nn.Conv2d(3, 5, kernel, stride, kernel // 2)(torch.zeros(1, 3, size, size + 1))
    assert result.shape == (1, 5, layer.out_height, layer.out_width)


@pytest.mark.parametrize("size", [1, 2, 7, 8])
def test_pools_have_the_shapes_of_torch(size: int) -> None:
    features = torch.zeros(1, 5, size, size + 1)
    average = Layer(Operation.POOL, 5, 5, size, size + 1, 2, 2, 2)
    assert nn.AvgPool2d(2, 2, ceil_mode=True)(features).shape == (1, 5, average.out_height, average.out_width)
    for stride in (1, 2):
        greatest = Layer(Operation.MAX_POOL, 5, 5, size, size + 1, 3, 3, stride, 1)
        assert nn.MaxPool2d(3, stride, 1)(features).shape == (1, 5, greatest.out_height, greatest.out_width)


def test_macs_by_hand() -> None:
    assert Layer(Operation.CONV, 3, 16, 8, 8, 3, 3, 2, 1).macs == 4 * 4 * 16 * 3 * 9
    assert Layer(Operation.DEPTHWISE, 16, 16, 8, 8, 5, 5, 1, 2).macs == 8 * 8 * 16 * 25
    assert Layer(Operation.POOL, 16, 16, 4, 4, 4, 4).macs == 16 * 16
    assert Layer(Operation.SCALE, 16, 16, 4, 4).macs == 16 * 16


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((Operation.CONV, 3, 5, 8, 8, 3, 3, 3, 1), "stride: the engine has strides 1 and 2, got 3"),
        ((Operation.CONV, 3, 5, 8, 8, 9, 9, 1, 4), "kernel: conv has 1x1, 3x3, 5x5 and 7x7"),
        ((Operation.CONV, 3, 5, 8, 8, 3, 5, 1, 1), "kernel: conv has"),
        ((Operation.CONV, 3, 5, 8, 8, 3, 3, 1, 2), "padding: at most half the kernel, got 2"),
        ((Operation.DEPTHWISE, 3, 5, 8, 8, 3, 3, 1, 1), "out_channels: depthwise keeps the 3 channels, got 5"),
        (
            (Operation.POOL, 3, 3, 8, 8, 2, 2),
            r"kernel: pool averages the whole map, or 2x2 at stride 2, got \(2, 2\) at 1",
        ),
        ((Operation.POOL, 3, 3, 8, 8, 3, 3, 2), r"kernel: pool averages .*, got \(3, 3\) at 2"),
        ((Operation.POOL, 3, 3, 8, 8, 2, 2, 2, 1), "padding: pool has none, got 1"),
        (
            (Operation.MAX_POOL, 3, 3, 8, 8, 2, 2, 2),
            r"kernel: max_pool is 3x3 with a padding of 1, got \(2, 2\) with 0",
        ),
        ((Operation.SCALE, 3, 3, 8, 8, 3, 3), "kernel: scale is 1x1"),
        ((Operation.CONV, 3, 5, 8, 8, 1, 1, 1, 0, False, 2), "weight_bits: conv has 8 and 4, got 2"),
        ((Operation.POOL, 3, 3, 8, 8, 8, 8, 1, 0, False, 4), "weight_bits: pool has 8, got 4"),
    ],
)
def test_what_the_engine_lacks_is_refused(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(UnsupportedLayerError, match=message):
        Layer(*arguments)  # type: ignore[arg-type]


def test_bad_numbers_are_named() -> None:
    with pytest.raises(InvalidValueError, match=r"layer\.in_channels: must be at least 1, got 0"):
        Layer(Operation.CONV, 0, 5, 8, 8)
    with pytest.raises(InvalidValueError, match=r"layer\.in_height: must be enough for a kernel of 7"):
        Layer(Operation.CONV, 3, 5, 4, 4, 7, 7, 1, 0)


POINTWISE = Layer(Operation.CONV, 8, 8, 4, 4)
ADDING = Layer(Operation.CONV, 8, 8, 4, 4, residual=True)
GATE = Layer(Operation.CONV, 8, 8, 1, 1)


def test_the_graph_shows_who_reads_whom() -> None:
    workload = Workload(
        (
            Node("a", POINTWISE, IMAGE, Activation.RELU),
            Node("pool", Layer(Operation.POOL, 8, 8, 4, 4, 4, 4), "a"),
            Node("gate", GATE, "pool", Activation.HSIGMOID),
            Node("scale", Layer(Operation.SCALE, 8, 8, 4, 4), "a", gate="gate"),
            Node("add", ADDING, "scale", residual="a"),
        )
    )
    roles = {(a, b): role for a, b, role in workload.graph.edges(data="role")}
    assert roles == {
        (IMAGE, "a"): "ifmap",
        ("a", "pool"): "ifmap",
        ("pool", "gate"): "ifmap",
        ("a", "scale"): "ifmap",
        ("gate", "scale"): "gate",
        ("scale", "add"): "ifmap",
        ("a", "add"): "residual",
    }
    assert nx.is_directed_acyclic_graph(workload.graph)
    assert workload.macs == sum(node.layer.macs for node in workload)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ((), "at least one layer"),
        ((Node("a", POINTWISE, IMAGE), Node("a", POINTWISE, "a")), "named once"),
        ((Node("a", POINTWISE, "b"),), r"a\.ifmap: must be an earlier layer"),
        ((Node("a", POINTWISE, IMAGE), Node("b", GATE, "a")), r"b\.ifmap: must be an earlier layer of shape"),
        ((Node("a", POINTWISE, IMAGE, gate=IMAGE),), r"a\.gate: must be given for scale"),
        ((Node("a", ADDING, IMAGE),), r"a\.residual: must be given where the layer adds one"),
        ((Node("a", POINTWISE, IMAGE, residual=IMAGE),), r"a\.residual: must be given where"),
        ((Node("a", POINTWISE, IMAGE, adds_last=True),), r"a\.adds_last: must be false where nothing is added"),
    ],
)
def test_nodes_that_do_not_meet_are_refused(nodes: tuple[Node, ...], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        Workload(nodes)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"operation": "conv"}, "layer.operation: must be one of conv, depthwise, pool, max_pool, scale, got 'conv'"),
        ({"operation": "convolution"}, "layer.operation: must be one of conv"),
        ({"in_channels": 64.5}, "layer.in_channels: must be a whole number, got 64.5"),
        ({"in_channels": float("nan")}, "layer.in_channels: must be a whole number, got nan"),
        ({"out_channels": True}, "layer.out_channels: must be a whole number, got True"),
        ({"in_height": "8"}, "layer.in_height: must be a whole number, got '8'"),
        ({"residual": 1}, "layer.residual: must be true or false, got 1"),
        ({"in_channels": 1 << 40}, "layer.in_channels: must be at most 1048576"),
    ],
)
def test_a_layer_has_fields_of_the_declared_types(changed: dict[str, object], message: str) -> None:
    sound = {"operation": Operation.CONV, "in_channels": 64, "out_channels": 64, "in_height": 8, "in_width": 8}
    with pytest.raises(InvalidValueError) as refused:
        Layer(**{**sound, **changed})  # type: ignore[arg-type]
    assert message in str(refused.value)


def test_an_activation_is_one_of_the_enumeration() -> None:
    with pytest.raises(InvalidValueError, match=r"node\.activation: must be one of identity, relu.*, got 'ReLU'"):
        Node("a", POINTWISE, IMAGE, activation="ReLU")  # type: ignore[arg-type]
