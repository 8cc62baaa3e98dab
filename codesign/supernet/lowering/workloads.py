"""Subnets as workloads: one at a time as a graph of layers, or many at once as sums of priced pieces."""

import itertools
import math
from collections.abc import Iterator
from functools import cached_property

import numpy as np
from scipy import sparse

from codesign.supernet.lowering.mobile import mobile_segments
from codesign.supernet.lowering.resnet import resnet_segments
from codesign.supernet.lowering.segments import Segment, unknown_family
from codesign.supernet.spaces.mobile import MobileSpace
from codesign.supernet.spaces.resnet import ResNetSpace
from codesign.supernet.spaces.space import Genes, Space, Subnet
from cost_models.mapping.block import Block, find_blocks
from cost_models.workload import IMAGE, Layer, Node, Workload, graph_of
from hw_templates.foundation.arrays import FloatArray, IntArray


def segments_of(space: Space) -> tuple[Segment, ...]:
    """Return the segments of a space, in the order they run.

    Raises:
        InvalidValueError: no layers are known for spaces of this kind.
    """
    match space:
        case MobileSpace():
            return mobile_segments(space)
        case ResNetSpace():
            return resnet_segments(space)
        case _:
            raise unknown_family(space)


def lower(space: Space, subnet: Subnet) -> Workload:
    """Return the layers of a subnet as the engine runs them.

    Batch norms are part of the convolution before them; a residual sum is part of the projection. The segments name
    the nodes: ``stem``, ``stage1.block1.expand``, ``classifier``.

    Raises:
        InvalidValueError: the subnet is not of this space.
    """
    space.check(subnet)
    values = subnet.values()
    nodes: list[Node] = []
    for piece in segments_of(space):
        if all(name in values for name in piece.names):
            nodes += piece.nodes(values, nodes[-1].name if nodes else IMAGE)
    return Workload(tuple(nodes))


class LayerIndex:
    """The layers of a whole space, and how subnets are sums of them.

    A piece with given choices has a number; number 0 is empty and stands for an absent block. So whatever adds up over
    layers is, for any number of subnets, a sum of few looked-up numbers:

        >>> import numpy as np
        >>> from codesign.supernet.spaces.named import DIGITS
        >>> index = LayerIndex(DIGITS)
        >>> macs = index.piece_costs(np.array([[layer.macs] for layer in index.layers], dtype=float))[:, 0]
        >>> genes = DIGITS.encode(DIGITS.largest())[None]
        >>> int(macs[index.pieces(genes)].sum(axis=1)[0]) == lower(DIGITS, DIGITS.largest()).macs
        True

    Attributes:
        space: the space.
        layers: the different layers of all its subnets, [L] in a fixed order.
        piece_layers: sparse [pieces, L], how often each piece runs each layer.
        blocks: the different inverted residuals among its pieces, [K] in a fixed order.
        piece_items: sparse [pieces, L + K], the block that each piece is, or how often it runs each layer.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self._pieces = segments_of(space)
        columns: dict[Layer, int] = {}
        blocks: dict[Block, int] = {}
        entries, piece_blocks = [], [-1]
        for number, nodes in enumerate(self._nodes(), start=1):
            entries += [(number, columns.setdefault(node.layer, len(columns))) for node in nodes]
            found = find_blocks(graph_of(nodes))
            is_block = len(found) == 1 and len(found[0][0]) == len(nodes)
            piece_blocks.append(blocks.setdefault(found[0][1], len(blocks)) if is_block else -1)
        self.layers: tuple[Layer, ...] = tuple(columns)
        self.blocks: tuple[Block, ...] = tuple(blocks)
        rows, layer_columns = np.array(entries).T
        block = np.array(piece_blocks)
        self.piece_layers = _counts(rows, layer_columns, (len(block), len(columns)))
        alone, whole = block[rows] < 0, np.flatnonzero(block >= 0)
        self.piece_items = _counts(
            np.concatenate([rows[alone], whole]),
            np.concatenate([layer_columns[alone], len(columns) + block[whole]]),
            (len(block), len(columns) + len(blocks)),
        )

    def _nodes(self) -> Iterator[list[Node]]:
        """Nodes of every piece with every choice, in the order of their numbers; :meth:`pieces` counts alike."""
        for piece in self._pieces:
            for values in itertools.product(*(self.space.choices[name] for name in piece.names)):
                yield piece.nodes(dict(zip(piece.names, values, strict=True)), IMAGE)

    @cached_property
    def _first_numbers(self) -> tuple[int, ...]:
        """Number of each piece with its first choices."""
        sizes = [math.prod(len(self.space.choices[name]) for name in piece.names) for piece in self._pieces]
        return tuple(itertools.accumulate(sizes[:-1], initial=1))

    def pieces(self, genes: Genes) -> IntArray:
        """Return [n, pieces] numbers of the pieces of genotypes [n, G], 0 for absent blocks.

        Raises:
            InvalidValueError: they are not genotypes of this space.
        """
        space = self.space
        space.check_genes(genes)
        numbers = np.empty((len(genes), len(self._pieces)), dtype=np.int64)
        present = dict(zip(space.block_names, space.present(genes).T, strict=True))
        for column, (piece, first) in enumerate(zip(self._pieces, self._first_numbers, strict=True)):
            choice = np.zeros(len(genes), dtype=np.int64)
            for name in piece.names:
                choice *= len(space.choices[name])
                if name in space.columns:
                    choice += genes[:, space.columns[name]]
            numbers[:, column] = first + choice
            if piece.block is not None:
                numbers[~present[piece.block], column] = 0
        return numbers

    def piece_costs(self, layer_costs: FloatArray) -> FloatArray:
        """Return [pieces, A] costs of the pieces, of costs [L, A] of the layers; inf where a layer has inf."""
        costs: FloatArray = self.piece_layers @ layer_costs
        return costs


def _counts(rows: IntArray, columns: IntArray, shape: tuple[int, int]) -> sparse.csr_array:
    """Return how often each (row, column) occurs."""
    return sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)
