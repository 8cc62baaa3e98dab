"""Inverted residuals: blocks of layers whose maps may stay on chip, and the ways to run them."""

from collections.abc import Iterator
from functools import lru_cache

from cost_models.mapping.mapping import even_sizes
from cost_models.mapping.placement import IN_MEMORY, Placement, band_rows, ring_rows
from cost_models.workload import Layer, LayerGraph, Node, Operation

Block = tuple[Layer, ...]
"""The layers of an inverted residual in the order they run: a dense one where the block expands; a depthwise one; pool,
squeeze, excite and scale, or nothing; and a dense one that projects."""

Option = tuple[Placement, ...]
"""Placements of layers that follow each other in a block."""

Partition = tuple[tuple[Block, tuple[Option, ...]], ...]
"""A block cut into parts that share only maps in a fixed place, so that their options are independent: the layers of
each part, which follow each other, with their options."""

_SQUEEZE = [Operation.POOL, Operation.CONV, Operation.CONV, Operation.SCALE]


def find_blocks(graph: LayerGraph) -> list[tuple[tuple[str, ...], Block]]:
    """Return the blocks of a network, each with the names of its nodes, which run one after the other.

    Nothing else may read a map that stays on chip, and nothing is added to it. The layer before is part of the block
    unless it is part of another.
    """
    nodes = [node for _, node in graph.nodes(data="node") if node is not None]
    found: list[tuple[tuple[str, ...], Block]] = []
    taken: set[str] = set()
    for place, first in enumerate(nodes):
        squeezes = _is_squeezed(first, nodes[place + 1 : place + 5])
        block = nodes[place : place + (6 if squeezes else 2)]
        if (
            first.layer.operation == Operation.DEPTHWISE
            and _readers(graph, first) == (2 if squeezes else 1)
            and _readers(graph, block[-2]) == 1
            and block[-1].ifmap == block[-2].name
            and block[-1].layer.operation == Operation.CONV
        ):
            before = graph.nodes[first.ifmap].get("node")
            if before and before.layer.operation == Operation.CONV and _readers(graph, before) == 1:
                block = block if before.name in taken else [before, *block]
            names = tuple(node.name for node in block)
            if block[0] in (first, nodes[place - 1]):
                found.append((names, tuple(node.layer for node in block)))
                taken.update(names)
    return found


def _readers(graph: LayerGraph, node: Node) -> int:
    """Return how many layers read the map of a node; 0 where another map is added to it."""
    return 0 if node.layer.residual else graph.out_degree(node.name)


def _is_squeezed(node: Node, behind: list[Node]) -> bool:
    """Return whether the nodes behind a node are the pool, two dense layers and the scale of squeeze-and-excite."""
    operations = [each.layer.operation for each in behind]
    reads = [each.gate or each.ifmap for each in behind]
    return (
        operations == _SQUEEZE
        and reads == [node.name, *(each.name for each in behind[:3])]
        and behind[-1].ifmap == node.name
    )


@lru_cache(maxsize=4096)
def partitions_of(block: Block) -> tuple[Partition, ...]:
    """Return every way to run a block: which layers run together in bands of which height, and which maps stay on chip.

    With squeeze-and-excite all of the depthwise map is needed twice: to be pooled and to be scaled. One partition keeps
    it in the map memory, the other does not.
    """
    if len(block) < 4:
        return (((block, tuple(_chains(block, 0, 0))),),)
    head, gate, tail = block[:-5], block[-5:-2], block[-2:]
    partitions = []
    for kept_rows in (0, head[-1].out_height):
        placements = (Placement(ifmap_ring=kept_rows), IN_MEMORY, IN_MEMORY)
        options = (tuple(_chains(head, 0, kept_rows)), (placements,), tuple(_chains(tail, kept_rows, 0)))
        partitions.append(tuple(zip((head, gate, tail), options, strict=True)))
    return tuple(partitions)


def _chains(layers: Block, ifmap_ring: int, ofmap_ring: int) -> Iterator[Option]:
    """Yield all ways to run layers, each reading the one before: in groups of one or several, these band by band."""
    if not layers:
        yield ()
    for size in range(1, len(layers) + 1):
        for head in _groups(layers[:size], ifmap_ring, ofmap_ring if size == len(layers) else 0):
            for tail in _chains(layers[size:], 0, ofmap_ring):
                yield (*head, *tail)


def _groups(layers: Block, ifmap_ring: int, ofmap_ring: int) -> Iterator[Option]:
    """Yield the ways to run layers together: one for each number of bands of the last, as even as they can be."""
    if len(layers) == 1:
        yield (Placement(ifmap_ring, ofmap_ring),)
        return
    for height in even_sizes(layers[-1].out_height):
        bands = band_rows(layers, height)
        read = [
            ring_rows(reader, max(end - begin for begin, end in rows))
            for reader, rows in zip(layers[1:], bands[1:], strict=True)
        ]
        sizes = (len(layers), *(0 for _ in read))
        yield tuple(map(Placement, (ifmap_ring, *read), (*read, ofmap_ring), bands, sizes))
