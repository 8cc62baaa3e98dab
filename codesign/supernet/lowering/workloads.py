"""Subnets as workloads: one at a time as a graph of layers, or many at once as sums of priced segments."""

import itertools
import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from scipy import sparse

from codesign.supernet.spaces.segments import Segment
from codesign.supernet.spaces.space import Choice, Genes, Space, Subnet
from cost_models.mapping.block import Block, find_blocks
from cost_models.workload import IMAGE, Layer, Node, Workload, graph_of
from hw_templates.foundation.arrays import IntArray


def nodes_of(space: Space, subnet: Subnet) -> Iterator[Node]:
    """Yield the nodes of :func:`lower`, in less time.

    Raises:
        InvalidValueError: the subnet is not of this space.
    """
    space.check(subnet)
    values, last = subnet.values(), IMAGE
    for segment in space.segments:
        if all(name in values for name in segment.names):
            nodes = _segment_nodes(segment, tuple(values[name] for name in segment.names), last)
            yield from nodes
            last = nodes[-1].name


@lru_cache(maxsize=1 << 14)
def _segment_nodes(segment: Segment, values: tuple[Choice, ...], ifmap: str) -> tuple[Node, ...]:
    return tuple(segment.make(dict(zip(segment.names, values, strict=True)), ifmap))


def lower(space: Space, subnet: Subnet) -> Workload:
    """Return the layers of a subnet as the engine runs them.

    Batch norms are part of the convolution before them; a residual sum is part of the projection. The segments name
    the nodes: ``stem``, ``stage1.block1.expand``, ``classifier``.

    Raises:
        InvalidValueError: the subnet is not of this space.
    """
    return Workload(tuple(nodes_of(space, subnet)))


class LayerIndex:
    """The layers of a whole space, and how subnets are sums of them.

    A segment with given choices has a number; number 0 is empty and stands for an absent block. So whatever adds up
    over layers is, for any number of subnets, a sum of few looked-up numbers:

        >>> import numpy as np
        >>> from codesign.supernet.spaces.named import load_space
        >>> space = load_space("digits")
        >>> index = LayerIndex(space)
        >>> macs = index.segment_layers @ np.array([layer.macs for layer in index.layers], dtype=float)
        >>> genes = space.encode(space.largest())[None]
        >>> int(macs[index.segments(genes)].sum(axis=1)[0]) == lower(space, space.largest()).macs
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
        every = (
            segment.make(dict(zip(segment.names, values, strict=True)), IMAGE)
            for segment in space.segments
            for values in itertools.product(*(space.choices[name] for name in segment.names))
        )
        layers: dict[Layer, int] = {}
        blocks: dict[Block, int] = {}
        all_runs, other_runs, block_runs = [], [], []
        # :meth:`segments` counts alike.
        for number, nodes in enumerate(every, start=1):
            runs = [(number, layers.setdefault(node.layer, len(layers))) for node in nodes]
            all_runs += runs
            found = find_blocks(graph_of(nodes))
            if len(found) == 1 and len(found[0][0]) == len(nodes):
                block_runs.append((number, blocks.setdefault(found[0][1], len(blocks))))
            else:
                other_runs += runs
        self.layers, self.blocks = tuple(layers), tuple(blocks)
        self.segment_layers = _counts(all_runs, number + 1, len(layers))
        others, whole = _counts(other_runs, number + 1, len(layers)), _counts(block_runs, number + 1, len(blocks))
        self.segment_items = sparse.hstack([others, whole], format="csr")

    def segments(self, genes: Genes) -> IntArray:
        """Return [n, segments] numbers of the segments of genotypes [n, G], 0 for absent blocks.

        Raises:
            InvalidValueError: they are not genotypes of this space.
        """
        space = self.space
        space.check_genes(genes)
        numbers = np.empty((len(genes), len(space.segments)), dtype=np.int64)
        present = space.present(genes)
        # What has no gene has one choice: the last column is that of all such.
        genes = np.pad(genes, ((0, 0), (0, 1)))
        first = 1
        for column, segment in enumerate(space.segments):
            sizes = [len(space.choices[name]) for name in segment.names]
            chosen = genes[:, [space.columns.get(name, -1) for name in segment.names]]
            numbers[:, column] = first + np.ravel_multi_index(tuple(chosen.T), sizes)
            if segment.block is not None:
                numbers[~present[segment.block], column] = 0
            first += math.prod(sizes)
        return numbers


def _counts(runs: list[tuple[int, int]], segments: int, items: int) -> sparse.csr_array:
    """Return [segments, items]: how often each segment runs each item."""
    rows, columns = np.reshape(np.array(runs, dtype=np.int64), (-1, 2)).T
    return sparse.csr_array((np.ones(len(runs)), (rows, columns)), shape=(segments, items))
