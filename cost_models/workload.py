"""Layers, and networks as graphs of layers: what is mapped and priced."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TypeAlias

import networkx as nx

from hw_templates.foundation.errors import InvalidValueError, UnsupportedLayerError
from hw_templates.foundation.json_records import check_fields
from hw_templates.operations import Operation

__all__ = [
    "IMAGE",
    "SIZE_MAX",
    "Activation",
    "Layer",
    "LayerGraph",
    "Node",
    "Operation",
    "Shape",
    "Workload",
    "graph_of",
]

IMAGE = "image"
Shape = tuple[int, int, int]
"""Channels, rows and columns of a feature map."""
SIZE_MAX = 1 << 20
"""No extent of a layer is larger."""
LayerGraph: TypeAlias = "nx.MultiDiGraph[str]"
"""Layers by name, and who reads whose map; see :func:`graph_of`."""
_SIZES = (
    *("in_channels", "out_channels", "in_height", "in_width"),
    *("kernel_height", "kernel_width", "stride", "padding", "weight_bits"),
)


class Activation(StrEnum):
    """Function applied after the bias."""

    IDENTITY = "identity"
    RELU = "relu"
    RELU6 = "relu6"
    HSWISH = "hswish"
    HSIGMOID = "hsigmoid"


@dataclass(frozen=True, kw_only=True)
class Layer:
    """The shape of one layer, which is all that its price depends on; equal shapes are equal values.

    ``padding`` is on all four sides. With ``residual`` the result is added to a map of the output's shape. What an
    engine can run of it is checked by the engine's template, for example
    :func:`cost_models.mapping.engine_limits.check_engine_runs`.

    Raises:
        InvalidValueError: a field is of another type, too small or too large.
        UnsupportedLayerError: the operation works channel by channel, but input and output channels differ.
    """

    operation: Operation
    in_channels: int
    out_channels: int
    in_height: int
    in_width: int
    kernel_height: int = 1
    kernel_width: int = 1
    stride: int = 1
    padding: int = 0
    residual: bool = False
    weight_bits: int = 8

    def __post_init__(self) -> None:
        check_fields(self, "layer")
        for name in _SIZES:
            size, least = getattr(self, name), 0 if name == "padding" else 1
            if not least <= size <= SIZE_MAX:
                expected = f"at least {least}" if size < least else f"at most {SIZE_MAX}"
                raise InvalidValueError(f"layer.{name}", size, expected)
        if not self.operation.is_dense and self.in_channels != self.out_channels:
            raise UnsupportedLayerError(
                f"layer.out_channels: {self.operation} keeps the {self.in_channels} channels, got {self.out_channels}"
            )
        if self.out_height < 1 or self.out_width < 1:
            raise InvalidValueError("layer.in_height", self.in_height, f"enough for a kernel of {self.kernel_height}")

    @property
    def out_height(self) -> int:
        """Rows of the output."""
        return self._outputs(self.in_height, self.kernel_height)

    @property
    def out_width(self) -> int:
        """Columns of the output."""
        return self._outputs(self.in_width, self.kernel_width)

    @property
    def in_shape(self) -> Shape:
        """Channels, rows and columns of the input."""
        return self.in_channels, self.in_height, self.in_width

    @property
    def out_shape(self) -> Shape:
        """Channels, rows and columns of the output."""
        return self.out_channels, self.out_height, self.out_width

    @property
    def taps(self) -> int:
        """Positions of the kernel."""
        return self.kernel_height * self.kernel_width

    def _outputs(self, extent: int, kernel: int) -> int:
        span = extent + 2 * self.padding - kernel
        # The last window of an average may overhang the map.
        return (-(-span // self.stride) if self.operation.overhangs else span // self.stride) + 1

    @property
    def macs(self) -> int:
        """Multiply-accumulates, padding included (as the engine and the usual convention count them)."""
        fan_in = self.in_channels if self.operation.is_dense else 1
        return self.out_height * self.out_width * self.out_channels * fan_in * self.taps


@dataclass(frozen=True, kw_only=True)
class Node:
    """One layer in its place: ``ifmap``, ``gate`` and ``residual`` name the nodes (or ``image``) it reads.

    The residual is added before the activation, or after it where the node ``adds_last``.

    Raises:
        InvalidValueError: a field is of another type.
    """

    name: str
    layer: Layer
    ifmap: str
    activation: Activation = Activation.IDENTITY
    gate: str | None = None
    residual: str | None = None
    adds_last: bool = False

    def __post_init__(self) -> None:
        check_fields(self, "node")

    @cached_property
    def reads(self) -> tuple[tuple[str, str], ...]:
        """(role, producer) of every map that this node reads."""
        roles = (("ifmap", self.ifmap), ("gate", self.gate), ("residual", self.residual))
        return tuple((role, producer) for role, producer in roles if producer is not None)

    @property
    def read_shapes(self) -> dict[str, Shape]:
        """Shape of the map that the node reads in each role."""
        layer = self.layer
        return {"ifmap": layer.in_shape, "gate": (layer.out_channels, 1, 1), "residual": layer.out_shape}


@dataclass(frozen=True)
class Workload:
    """A network as layers in the order they run; the last one makes the result.

    Raises:
        InvalidValueError: a node reads what does not exist yet, or shapes do not meet.
    """

    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        if not self.nodes:
            raise InvalidValueError("workload.nodes", (), "at least one layer")
        shapes = {IMAGE: self.nodes[0].layer.in_shape}
        for node in self.nodes:
            layer = node.layer
            if node.name in shapes:
                raise InvalidValueError("workload.nodes", node.name, "named once")
            if (node.gate is not None) != layer.operation.reads_gate:
                raise InvalidValueError(f"{node.name}.gate", node.gate, "given for scale and for nothing else")
            if (node.residual is not None) != layer.residual:
                raise InvalidValueError(f"{node.name}.residual", node.residual, "given where the layer adds one")
            if node.adds_last and node.residual is None:
                raise InvalidValueError(f"{node.name}.adds_last", True, "false where nothing is added")
            for role, producer in node.reads:
                wanted = node.read_shapes[role]
                if shapes.get(producer) != wanted:
                    raise InvalidValueError(f"{node.name}.{role}", producer, f"an earlier layer of shape {wanted}")
            shapes[node.name] = layer.out_shape

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The shapes of the nodes, in order."""
        return tuple(node.layer for node in self.nodes)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(layer.macs for layer in self.layers)

    @cached_property
    def graph(self) -> LayerGraph:
        """The data flow between the nodes; see :func:`graph_of`."""
        return graph_of(self.nodes)


def graph_of(nodes: Iterable[Node]) -> LayerGraph:
    """Return the graph of layers and edges of nodes that run in this order.

    A vertex is the name of a node, with the attribute ``node``, or of a map that is given, such as ``image``. An edge
    leads from the producer of a map to each of its readers; its key is the role in which the reader reads it.

    >>> layer = Layer(operation=Operation.CONV, in_channels=8, out_channels=8, in_height=4, in_width=4)
    >>> graph = graph_of([Node(name="a", layer=layer, ifmap=IMAGE), Node(name="b", layer=layer, ifmap="a")])
    >>> sorted(graph.edges(keys=True))
    [('a', 'b', 'ifmap'), ('image', 'a', 'ifmap')]
    """
    graph: LayerGraph = nx.MultiDiGraph()
    for node in nodes:
        graph.add_node(node.name, node=node)
        for role, producer in node.reads:
            graph.add_edge(producer, node.name, key=role)
    return graph
