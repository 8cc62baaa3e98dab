import networkx as nx
import pytest
import torch
from support.pricing.shapes import layer_of
from torch import nn

from cost_models.workload import IMAGE, Activation, Layer, Node, Operation, Workload
from hw_templates.foundation.errors import InvalidValueError, UnsupportedLayerError


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [7, 8])
def test_output_shapes_are_those_of_torch(kernel: int, stride: int, size: int) -> None:
    layer = Layer(
        operation=Operation.CONV,
        in_channels=3,
        out_channels=5,
        in_height=size,
        in_width=size + 1,
        kernel_height=kernel,
        kernel_width=kernel,
        stride=stride,
        padding=kernel // 2,
    )
    result = nn.Conv2d(3, 5, kernel, stride, kernel // 2)(torch.zeros(1, 3, size, size + 1))
    assert result.shape == (1, 5, layer.out_height, layer.out_width)


@pytest.mark.parametrize("size", [1, 2, 7, 8])
def test_pools_have_the_shapes_of_torch(size: int) -> None:
    features = torch.zeros(1, 5, size, size + 1)
    average = Layer(
        operation=Operation.POOL,
        in_channels=5,
        out_channels=5,
        in_height=size,
        in_width=size + 1,
        kernel_height=2,
        kernel_width=2,
        stride=2,
    )
    assert nn.AvgPool2d(2, 2, ceil_mode=True)(features).shape == (1, 5, average.out_height, average.out_width)
    for stride in (1, 2):
        greatest = Layer(
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
        assert nn.MaxPool2d(3, stride, 1)(features).shape == (1, 5, greatest.out_height, greatest.out_width)


def test_macs_by_hand() -> None:
    assert (
        Layer(
            operation=Operation.CONV,
            in_channels=3,
            out_channels=16,
            in_height=8,
            in_width=8,
            kernel_height=3,
            kernel_width=3,
            stride=2,
            padding=1,
        ).macs
        == 4 * 4 * 16 * 3 * 9
    )
    assert (
        Layer(
            operation=Operation.DEPTHWISE,
            in_channels=16,
            out_channels=16,
            in_height=8,
            in_width=8,
            kernel_height=5,
            kernel_width=5,
            stride=1,
            padding=2,
        ).macs
        == 8 * 8 * 16 * 25
    )
    assert (
        Layer(
            operation=Operation.POOL,
            in_channels=16,
            out_channels=16,
            in_height=4,
            in_width=4,
            kernel_height=4,
            kernel_width=4,
        ).macs
        == 16 * 16
    )
    assert Layer(operation=Operation.SCALE, in_channels=16, out_channels=16, in_height=4, in_width=4).macs == 16 * 16


def test_an_operation_of_each_channel_keeps_the_channels() -> None:
    with pytest.raises(UnsupportedLayerError, match="out_channels: depthwise keeps the 3 channels, got 5"):
        layer_of(Operation.DEPTHWISE, 3, 5, 8, 8, 3, 3, 1, 1)


def test_a_layer_may_be_what_no_template_of_ours_runs() -> None:
    layer = layer_of(Operation.CONV, 3, 5, 16, 12, 11, 9, 4, 7, False, 3)
    result = nn.Conv2d(3, 5, (11, 9), 4, 7)(torch.zeros(1, 3, 16, 12))
    assert result.shape == (1, 5, layer.out_height, layer.out_width)


def test_bad_numbers_are_named() -> None:
    with pytest.raises(InvalidValueError, match=r"layer\.in_channels: must be at least 1, got 0"):
        Layer(operation=Operation.CONV, in_channels=0, out_channels=5, in_height=8, in_width=8)
    with pytest.raises(InvalidValueError, match=r"layer\.in_height: must be enough for a kernel of 7"):
        Layer(
            operation=Operation.CONV,
            in_channels=3,
            out_channels=5,
            in_height=4,
            in_width=4,
            kernel_height=7,
            kernel_width=7,
            stride=1,
            padding=0,
        )


POINTWISE = Layer(operation=Operation.CONV, in_channels=8, out_channels=8, in_height=4, in_width=4)
ADDING = Layer(operation=Operation.CONV, in_channels=8, out_channels=8, in_height=4, in_width=4, residual=True)
GATE = Layer(operation=Operation.CONV, in_channels=8, out_channels=8, in_height=1, in_width=1)


def test_the_graph_shows_who_reads_whom() -> None:
    workload = Workload(
        (
            Node(name="a", layer=POINTWISE, ifmap=IMAGE, activation=Activation.RELU),
            Node(
                name="pool",
                layer=Layer(
                    operation=Operation.POOL,
                    in_channels=8,
                    out_channels=8,
                    in_height=4,
                    in_width=4,
                    kernel_height=4,
                    kernel_width=4,
                ),
                ifmap="a",
            ),
            Node(name="gate", layer=GATE, ifmap="pool", activation=Activation.HSIGMOID),
            Node(
                name="scale",
                layer=Layer(operation=Operation.SCALE, in_channels=8, out_channels=8, in_height=4, in_width=4),
                ifmap="a",
                gate="gate",
            ),
            Node(name="add", layer=ADDING, ifmap="scale", residual="a"),
        )
    )
    roles = {(a, b): role for a, b, role in workload.graph.edges(keys=True)}
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


def test_a_layer_that_reads_one_map_twice_has_two_edges() -> None:
    nodes = (Node(name="a", layer=POINTWISE, ifmap=IMAGE), Node(name="b", layer=ADDING, ifmap="a", residual="a"))
    graph = Workload(nodes).graph
    assert list(graph.edges("a", keys=True)) == [("a", "b", "ifmap"), ("a", "b", "residual")]
    assert graph.nodes["b"]["node"] is nodes[1]


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ((), "at least one layer"),
        ((Node(name="a", layer=POINTWISE, ifmap=IMAGE), Node(name="a", layer=POINTWISE, ifmap="a")), "named once"),
        ((Node(name="a", layer=POINTWISE, ifmap="b"),), r"a\.ifmap: must be an earlier layer"),
        (
            (Node(name="a", layer=POINTWISE, ifmap=IMAGE), Node(name="b", layer=GATE, ifmap="a")),
            r"b\.ifmap: must be an earlier layer of shape",
        ),
        ((Node(name="a", layer=POINTWISE, ifmap=IMAGE, gate=IMAGE),), r"a\.gate: must be given for scale"),
        ((Node(name="a", layer=ADDING, ifmap=IMAGE),), r"a\.residual: must be given where the layer adds one"),
        ((Node(name="a", layer=POINTWISE, ifmap=IMAGE, residual=IMAGE),), r"a\.residual: must be given where"),
        (
            (Node(name="a", layer=POINTWISE, ifmap=IMAGE, adds_last=True),),
            r"a\.adds_last: must be false where nothing is added",
        ),
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
        ({"padding": -1}, "layer.padding: must be at least 0, got -1"),
        ({"stride": 0}, "layer.stride: must be at least 1, got 0"),
        ({"weight_bits": 0}, "layer.weight_bits: must be at least 1, got 0"),
    ],
)
def test_a_layer_has_fields_of_the_declared_types(changed: dict[str, object], message: str) -> None:
    sound = {"operation": Operation.CONV, "in_channels": 64, "out_channels": 64, "in_height": 8, "in_width": 8}
    with pytest.raises(InvalidValueError) as refused:
        Layer(**{**sound, **changed})  # type: ignore[arg-type]
    assert message in str(refused.value)


def test_an_activation_is_one_of_the_enumeration() -> None:
    with pytest.raises(InvalidValueError, match=r"node\.activation: must be one of identity, relu.*, got 'ReLU'"):
        Node(name="a", layer=POINTWISE, ifmap=IMAGE, activation="ReLU")  # type: ignore[arg-type]
