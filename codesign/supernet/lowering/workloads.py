"""Subnets as workloads: one at a time as a graph of layers, or many at once as sums of priced segments."""

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
    for segment in segments_of(space):
        if all(name in values for name in segment.names):
            nodes += segment.nodes(values, nodes[-1].name if nodes else IMAGE)
    return Workload(tuple(nodes))


class LayerIndex:
    """The layers of a whole space, and how subnets are sums of them.

    A segment with given choices has a number; number 0 is empty and stands for an absent block. So whatever adds up
    over layers is, for any number of subnets, a sum of few looked-up numbers:

        >>> import numpy as np
        >>> from codesign.supernet.spaces.named import DIGITS
        >>> index = LayerIndex(DIGITS)
        >>> macs = index.segment_costs(np.array([[layer.macs] for layer in index.layers], dtype=float))[:, 0]
        >>> genes = DIGITS.encode(DIGITS.largest())[None]
        >>> int(macs[index.segments(genes)].sum(axis=1)[0]) == lower(DIGITS, DIGITS.largest()).macs
        True

    Attributes:
        space: the space.
        layers: the different layers of all its subnets, [L] in a fixed order.
        segment_layers: sparse [segments, L], how often each segment runs each layer.
        blocks: the different inverted residuals among its segments, [K] in a fixed order.
        segment_items: sparse [segments, L + K], the block that each segment is, or how often it runs each layer.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self._segments = segments_of(space)
        columns: dict[Layer, int] = {}
        blocks: dict[Block, int] = {}
        entries, segment_blocks = [], [-1]
        for number, nodes in enumerate(self._nodes(), start=1):
            entries += [(number, columns.setdefault(node.layer, len(columns))) for node in nodes]
            found = find_blocks(graph_of(nodes))
            is_block = len(found) == 1 and len(found[0][0]) == len(nodes)
            segment_blocks.append(blocks.setdefault(found[0][1], len(blocks)) if is_block else -1)
        self.layers: tuple[Layer, ...] = tuple(columns)
        self.blocks: tuple[Block, ...] = tuple(blocks)
        rows, layer_columns = np.array(entries).T
        block = np.array(segment_blocks)
        self.segment_layers = _counts(rows, layer_columns, (len(block), len(columns)))
        alone, whole = block[rows] < 0, np.flatnonzero(block >= 0)
        self.segment_items = _counts(
            np.concatenate([rows[alone], whole]),
            np.concatenate([layer_columns[alone], len(columns) + block[whole]]),
            (len(block), len(columns) + len(blocks)),
        )

    def _nodes(self) -> Iterator[list[Node]]:
        """Nodes of every segment with every choice, in the order of their numbers; :meth:`segments` counts alike."""
        for segment in self._segments:
            for values in itertools.product(*(self.space.choices[name] for name in segment.names)):
                yield segment.nodes(dict(zip(segment.names, values, strict=True)), IMAGE)

    @cached_property
    def _first_numbers(self) -> tuple[int, ...]:
        """Number of each segment with its first choices."""
        sizes = [math.prod(len(self.space.choices[name]) for name in segment.names) for segment in self._segments]
        return tuple(itertools.accumulate(sizes[:-1], initial=1))

    def segments(self, genes: Genes) -> IntArray:
        """Return [n, segments] numbers of the segments of genotypes [n, G], 0 for absent blocks.

        Raises:
            InvalidValueError: they are not genotypes of this space.
        """
        space = self.space
        space.check_genes(genes)
        numbers = np.empty((len(genes), len(self._segments)), dtype=np.int64)
        present = dict(zip(space.block_names, space.present(genes).T, strict=True))
        for column, (segment, first) in enumerate(zip(self._segments, self._first_numbers, strict=True)):
            choice = np.zeros(len(genes), dtype=np.int64)
            for name in segment.names:
                choice *= len(space.choices[name])
                if name in space.columns:
                    choice += genes[:, space.columns[name]]
            numbers[:, column] = first + choice
            if segment.block is not None:
                numbers[~present[segment.block], column] = 0
        return numbers

    def segment_costs(self, layer_costs: FloatArray) -> FloatArray:
        """Return [segments, A] costs of the segments, of costs [L, A] of the layers; inf where a layer has inf."""
        costs: FloatArray = self.segment_layers @ layer_costs
        return costs


def _counts(rows: IntArray, columns: IntArray, shape: tuple[int, int]) -> sparse.csr_array:
    """Return how often each (row, column) occurs."""
    return sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)
