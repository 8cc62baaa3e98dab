"""Subnets as workloads: one at a time as a graph of layers, or many at once as sums of priced pieces."""

from collections.abc import Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from codesign.supernet.space import Block, Genes, Position, Space, Subnet, squeezed_channels
from cost_models.workload import IMAGE, Activation, Layer, Node, Operation, Workload

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def _convolution(in_channels: int, out_channels: int, size: int, kernel: int, stride: int, residual: bool) -> Layer:
    padding = kernel // 2
    return Layer(
        Operation.CONV, in_channels, out_channels, size, size, kernel, kernel, stride, padding, residual=residual
    )


def _pointwise(in_channels: int, out_channels: int, size: int, residual: bool = False) -> Layer:
    return _convolution(in_channels, out_channels, size, 1, 1, residual)


def _pool(channels: int, size: int) -> Layer:
    return Layer(Operation.POOL, channels, channels, size, size, size, size)


def _stem_nodes(space: Space, resolution: int) -> list[Node]:
    stem = space.stem
    layer = _convolution(space.image_channels, stem.width, resolution, stem.kernel, stem.stride, residual=False)
    return [Node("stem", layer, IMAGE, stem.activation)]


def _squeeze_excite_nodes(name: str, channels: int, size: int) -> list[Node]:
    squeezed = squeezed_channels(channels)
    scale = Layer(Operation.SCALE, channels, channels, size, size)
    return [
        Node(f"{name}.pool", _pool(channels, size), f"{name}.depthwise"),
        Node(f"{name}.squeeze", _pointwise(channels, squeezed, 1), f"{name}.pool", Activation.RELU),
        Node(f"{name}.excite", _pointwise(squeezed, channels, 1), f"{name}.squeeze", Activation.HSIGMOID),
        Node(f"{name}.scale", scale, f"{name}.depthwise", gate=f"{name}.excite"),
    ]


def _block_nodes(space: Space, position: Position, block: Block, resolution: int, ifmap: str) -> list[Node]:
    stage, name, stride = space.stages[position.stage], position.name, position.stride
    channels = position.expanded_channels(block.expand)
    size = resolution // position.reduction
    expand = _pointwise(position.in_channels, channels, size)
    depthwise = Layer(
        Operation.DEPTHWISE, channels, channels, size, size, block.kernel, block.kernel, stride, block.kernel // 2
    )
    nodes = [
        Node(f"{name}.expand", expand, ifmap, stage.activation),
        Node(f"{name}.depthwise", depthwise, f"{name}.expand", stage.activation),
    ]
    if stage.squeeze_excite:
        nodes += _squeeze_excite_nodes(name, channels, size // stride)
    project = _pointwise(channels, position.out_channels, size // stride, position.residual)
    residual = ifmap if position.residual else None
    return [*nodes, Node(f"{name}.project", project, nodes[-1].name, residual=residual)]


def _head_nodes(space: Space, resolution: int, ifmap: str) -> list[Node]:
    size, width = resolution // space.reduction, space.final_width
    return [
        Node("final", _pointwise(space.stages[-1].width, width, size), ifmap, space.final_activation),
        Node("pool", _pool(width, size), "final"),
        Node("classifier", _pointwise(width, space.num_classes, 1), "pool"),
    ]


def lower(space: Space, subnet: Subnet) -> Workload:
    """The layers of a subnet as the engine runs them.

    Batch norms are part of the convolution before them; a residual sum is part of the projection. Nodes are named
    ``stem``, ``stage1.block1.expand`` (``depthwise``, ``pool``, ``squeeze``, ``excite``, ``scale``, ``project``),
    ``final``, ``pool`` and ``classifier``.

    Raises:
        InvalidValueError: the subnet is not of this space.
    """
    space.check(subnet)
    nodes = _stem_nodes(space, subnet.resolution)
    for position in space.positions:
        blocks = subnet.stages[position.stage]
        if position.block < len(blocks):
            nodes += _block_nodes(space, position, blocks[position.block], subnet.resolution, nodes[-1].name)
    nodes += _head_nodes(space, subnet.resolution, nodes[-1].name)
    return Workload(tuple(nodes))


class LayerIndex:
    """The layers of a whole space, and how subnets are sums of them.

    A *piece* is the stem at one resolution, a block at one (position, resolution, kernel, expand), or the head at one
    resolution. A subnet is one stem, one piece for each position and one head; piece 0 is empty and stands for an
    absent block. So whatever adds up over layers is, for any number of subnets, a sum of few looked-up numbers:

        >>> import numpy as np
        >>> from codesign.supernet.space import DIGITS
        >>> index = LayerIndex(DIGITS)
        >>> macs = index.piece_costs(np.array([[layer.macs] for layer in index.layers], dtype=float))[:, 0]
        >>> genes = DIGITS.encode(DIGITS.largest())[None]
        >>> int(macs[index.pieces(genes)].sum(axis=1)[0]) == lower(DIGITS, DIGITS.largest()).macs
        True

    Attributes:
        space: the space.
        layers: the different layers of all its subnets, [L] in a fixed order.
        piece_layers: sparse [pieces, L], how often each piece runs each layer.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        columns: dict[Layer, int] = {}
        entries = [
            (piece, columns.setdefault(node.layer, len(columns)))
            for piece, nodes in enumerate(self._piece_nodes())
            for node in nodes
        ]
        self.layers: tuple[Layer, ...] = tuple(columns)
        rows, layer_columns = np.array(entries).T
        shape = (1 + int(rows.max()), len(columns))
        self.piece_layers = sparse.csr_array((np.ones(len(entries)), (rows, layer_columns)), shape=shape)

    def _piece_nodes(self) -> Iterator[list[Node]]:
        """Nodes of every piece in the order of their numbers; :meth:`pieces` counts in the same order."""
        space = self.space
        yield []
        for resolution in space.resolutions:
            yield _stem_nodes(space, resolution)
        for position in space.positions:
            stage = space.stages[position.stage]
            for resolution in space.resolutions:
                for kernel in stage.kernels:
                    for expand in stage.expands:
                        yield _block_nodes(space, position, Block(kernel, expand), resolution, IMAGE)
        for resolution in space.resolutions:
            yield _head_nodes(space, resolution, IMAGE)

    @cached_property
    def _first_pieces(self) -> tuple[int, ...]:
        """Number of the first block piece of each position, then of the first head."""
        resolutions = len(self.space.resolutions)
        first = [1 + resolutions]
        for position in self.space.positions:
            stage = self.space.stages[position.stage]
            first.append(first[-1] + resolutions * len(stage.kernels) * len(stage.expands))
        return tuple(first)

    def pieces(self, genes: Genes) -> IntArray:
        """[n, 2 + positions] piece numbers of genotypes [n, G]: stem, one for each position, head.

        Raises:
            InvalidValueError: they are not genotypes of this space.
        """
        space = self.space
        space.check_genes(genes)
        resolution = genes[:, space.columns["resolution"]]
        pieces = np.zeros((len(genes), 2 + len(space.positions)), dtype=np.int64)
        pieces[:, 0] = 1 + resolution
        present = space.present(genes)
        for index, position in enumerate(space.positions):
            stage = space.stages[position.stage]
            kernel, expand = (genes[:, space.columns[f"{position.name}.{gene}"]] for gene in ("kernel", "expand"))
            choice = (resolution * len(stage.kernels) + kernel) * len(stage.expands) + expand
            pieces[:, 1 + index] = np.where(present[:, index], self._first_pieces[index] + choice, 0)
        pieces[:, -1] = self._first_pieces[-1] + resolution
        return pieces

    def piece_costs(self, layer_costs: FloatArray) -> FloatArray:
        """[pieces, A] costs of the pieces, of the costs [L, A] of the layers; inf where one of its layers has inf."""
        costs: FloatArray = self.piece_layers @ layer_costs
        return costs
