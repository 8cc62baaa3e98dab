"""Pieces: parts of networks whose layers depend on few choices."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from codesign.supernet.spaces.space import Choice
from cost_models.workload import Layer, Node, Operation
from hw_templates.foundation.errors import InvalidValueError

Values = Mapping[str, Choice]


@dataclass(frozen=True, eq=False)
class Segment:
    """A stem, a block or a head of a space.

    Attributes:
        names: what its layers depend on, elastic or fixed.
        nodes: its nodes, of the values of those names and the name of the node whose map they read.
        block: the place of the block that it is; None for what every subnet has.
    """

    names: tuple[str, ...]
    nodes: Callable[[Values, str], list[Node]]
    block: str | None = None


def unknown_family(space: object) -> InvalidValueError:
    """Return the error for a space of a kind that no network is known for."""
    return InvalidValueError("space", type(space).__name__, "a MobileSpace or a ResNetSpace")


def halved(size: int, halvings: int) -> int:
    """Side of a map after layers of stride 2, each of which rounds its half up."""
    return -(-size // (1 << halvings))


def convolution(
    in_channels: int,
    out_channels: int,
    size: int,
    kernel: int = 1,
    stride: int = 1,
    *,
    residual: bool = False,
    weight_bits: int = 8,
) -> Layer:
    """A dense layer on a square map, padded by half its kernel."""
    return Layer(
        operation=Operation.CONV,
        in_channels=in_channels,
        out_channels=out_channels,
        in_height=size,
        in_width=size,
        kernel_height=kernel,
        kernel_width=kernel,
        stride=stride,
        padding=kernel // 2,
        residual=residual,
        weight_bits=weight_bits,
    )


def global_pool(channels: int, size: int) -> Layer:
    """The average of a square map."""
    return Layer(
        operation=Operation.POOL,
        in_channels=channels,
        out_channels=channels,
        in_height=size,
        in_width=size,
        kernel_height=size,
        kernel_width=size,
    )
