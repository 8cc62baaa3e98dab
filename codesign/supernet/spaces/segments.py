"""Segments of networks, whose layers depend on few choices, and the chains of nodes that they are made of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cost_models.workload import Layer, Node, Operation

Values = Mapping[str, int | float]
"""Names of what a space has choices of, each with the one that was chosen."""


@dataclass(frozen=True, eq=False)
class Segment:
    """A stem, a block or a head of a space.

    Attributes:
        names: the elastic and fixed things that its layers depend on.
        make: makes its nodes of the values of those names and the name of the node whose map they read.
        block: the place of the block that it is; None for what every subnet has.
    """

    names: tuple[str, ...]
    make: Callable[[Values, str], list[Node]]
    block: str | None = None


def halved(size: int, halvings: int) -> int:
    """Return the side of a map after layers of stride 2, each of which rounds its half up."""
    return -(-size // (1 << halvings))


class Chain:
    """Makes nodes in a row, each of which reads the map that the one before it makes.

    Args:
        ifmap, channels, size: name of the map that the first node reads, its channels and the side of its square.
        prefix: begins the names of the nodes.

    Attributes:
        nodes: the nodes made so far.
        ifmap, channels, size: of the map that the next node reads.
    """

    def __init__(self, ifmap: str, channels: int, size: int, prefix: str = "") -> None:
        self.nodes: list[Node] = []
        self._prefix = prefix
        self.read(ifmap, channels, size)

    def read(self, ifmap: str, channels: int, size: int) -> None:
        """Let the next node read another map."""
        self.ifmap, self.channels, self.size = ifmap, channels, size

    def add(
        self,
        name: str,
        channels: int | None = None,
        kernel: int = 1,
        stride: int = 1,
        bits: int = 8,
        operation: Operation = Operation.CONV,
        **wiring: Any,
    ) -> None:
        """Add a node; convolutions and the maximum are padded by half their kernel.

        Args:
            name: follows the prefix.
            channels: of its output; those of its input by default.
            kernel, stride: of its square windows.
            bits: of its weights.
            operation: see :class:`Operation`.
            wiring: fields of :class:`Node`: activation, residual, gate, adds_last.
        """
        pads = operation.has_weights or operation == Operation.MAX_POOL
        layer = Layer(
            operation=operation,
            in_channels=self.channels,
            out_channels=channels or self.channels,
            in_height=self.size,
            in_width=self.size,
            kernel_height=kernel,
            kernel_width=kernel,
            stride=stride,
            padding=kernel // 2 if pads else 0,
            residual=wiring.get("residual") is not None,
            weight_bits=bits,
        )
        self.nodes.append(Node(name=self._prefix + name, layer=layer, ifmap=self.ifmap, **wiring))
        self.read(self.nodes[-1].name, layer.out_channels, layer.out_height)
