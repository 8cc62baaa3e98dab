"""Inverted residuals: blocks of layers whose maps may stay on chip, and the ways to run them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from cost_models.mapping.mapping import even_sizes
from cost_models.mapping.placement import IN_MEMORY, Placement, band_rows, ring_rows
from cost_models.workload import Layer, LayerGraph, Node, Operation

# Placements of layers that follow each other in a block.
Option = tuple[Placement, ...]


@dataclass(frozen=True)
class Block:
    """An inverted residual: a depthwise layer between two dense ones, with squeeze-and-excite or not.

    Attributes:
        expand: the dense layer before; None where the block does not expand.
        depthwise: the layer in the middle.
        squeeze: pool, squeeze, excite and scale, or nothing.
        project: the dense layer behind.
    """

    expand: Layer | None
    depthwise: Layer
    squeeze: tuple[Layer, ...]
    project: Layer

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers in the order they run."""
        expand = () if self.expand is None else (self.expand,)
        return (*expand, self.depthwise, *self.squeeze, self.project)


@dataclass(frozen=True)
class Partition:
    """A block cut into parts that share only maps in a fixed place, so that their options are independent.

    Attributes:
        parts: for layers that follow each other, and together are the block's, their options.
    """

    parts: tuple[tuple[Option, ...], ...]

    def parts_of(self, block: Block) -> Iterator[tuple[tuple[Option, ...], tuple[Layer, ...]]]:
        """Yield each part with its layers of the block."""
        first = 0
        for part in self.parts:
            end = first + len(part[0])
            yield part, block.layers[first:end]
            first = end


def find_blocks(graph: LayerGraph) -> list[tuple[tuple[str, ...], Block]]:
    """Return the blocks of a network, each with the names of its nodes, which run one after the other."""
    nodes: dict[str, Node] = {name: node for name, node in graph.nodes(data="node") if node is not None}
    places = {name: place for place, name in enumerate(nodes)}
    blocks: dict[tuple[str, ...], Block] = {}
    taken: set[str] = set()
    for node in nodes.values():
        if node.layer.operation == Operation.DEPTHWISE and not node.layer.residual:
            names = _names_of_block(graph, nodes, node, taken)
            if [places[name] - places[names[0]] for name in names] == [*range(len(names))] and names:
                blocks[names] = _block_of([nodes[name].layer for name in names])
                taken.update(names)
    return list(blocks.items())


def _names_of_block(graph: LayerGraph, nodes: dict[str, Node], depthwise: Node, taken: set[str]) -> tuple[str, ...]:
    """Return the nodes of the block around a depthwise layer; none where no map may stay on chip.

    Nothing else may read a map that stays on chip, and nothing is added to it. The layer before is part of the block
    unless it is ``taken`` by another.
    """
    squeeze = _squeeze_of(graph, nodes, depthwise.name)
    last = squeeze[-1] if squeeze else depthwise.name
    if graph.out_degree(depthwise.name) != (2 if squeeze else 1) or graph.out_degree(last) != 1:
        return ()
    (project,) = graph.successors(last)
    if nodes[project].ifmap != last or nodes[project].layer.operation != Operation.CONV:
        return ()
    before = nodes.get(depthwise.ifmap)
    expands = before is not None and before.layer.operation == Operation.CONV and not before.layer.residual
    if expands and depthwise.ifmap not in taken and graph.out_degree(depthwise.ifmap) == 1:
        return (depthwise.ifmap, depthwise.name, *squeeze, project)
    return (depthwise.name, *squeeze, project)


def _squeeze_of(graph: LayerGraph, nodes: dict[str, Node], name: str) -> tuple[str, ...]:
    """Return the pool, the two dense layers and the scale of squeeze-and-excite on a map; none where it has none."""
    for scale in graph.successors(name):
        excite = nodes.get(nodes[scale].gate or "")
        reduce = excite and nodes.get(excite.ifmap)
        pool = reduce and nodes.get(reduce.ifmap)
        if excite and reduce and pool and pool.ifmap == name:
            operations = [node.layer.operation for node in (pool, reduce, excite)]
            if operations == [Operation.POOL, Operation.CONV, Operation.CONV]:
                return (pool.name, reduce.name, excite.name, scale)
    return ()


def _block_of(layers: list[Layer]) -> Block:
    expand = None if layers[0].operation == Operation.DEPTHWISE else layers.pop(0)
    return Block(expand, layers[0], tuple(layers[1:-1]), layers[-1])


@lru_cache(maxsize=4096)
def partitions_of(block: Block) -> tuple[Partition, ...]:
    """Return every way to run a block: which layers run together in bands of which height, and which maps stay on chip.

    With squeeze-and-excite all of the depthwise map is needed twice: to be pooled and to be scaled. One partition keeps
    it in the map memory, the other does not.
    """
    head = block.layers[: 1 if block.expand is None else 2]
    if not block.squeeze:
        return (Partition((tuple(_chains((*head, block.project), 0, 0)),)),)
    partitions = []
    for kept_rows in (0, block.depthwise.out_height):
        gate = (Placement(ifmap_ring=kept_rows), IN_MEMORY, IN_MEMORY)
        tail = (block.squeeze[-1], block.project)
        partitions.append(Partition((tuple(_chains(head, 0, kept_rows)), (gate,), tuple(_chains(tail, kept_rows, 0)))))
    return tuple(partitions)


def _chains(layers: tuple[Layer, ...], ifmap_ring: int, ofmap_ring: int) -> list[Option]:
    """Return all ways to run layers, each reading the one before: in groups of one or several, these band by band."""
    options: list[Option] = []
    for size in range(1, len(layers) + 1):
        is_last = size == len(layers)
        heads = _groups(layers[:size], ifmap_ring, ofmap_ring if is_last else 0)
        tails = [()] if is_last else _chains(layers[size:], 0, ofmap_ring)
        options += [(*head, *tail) for head in heads for tail in tails]
    return options


def _groups(layers: tuple[Layer, ...], ifmap_ring: int, ofmap_ring: int) -> list[Option]:
    """Return the ways to run layers together: one for each number of bands of the last, as even as they can be."""
    if len(layers) == 1:
        return [(Placement(ifmap_ring, ofmap_ring),)]
    options = []
    for height in even_sizes(layers[-1].out_height):
        bands = band_rows(layers, height)
        most = [max(end - begin for begin, end in rows) for rows in bands]
        rings = [
            ifmap_ring,
            *(ring_rows(reader, rows) for reader, rows in zip(layers[1:], most[1:], strict=True)),
            ofmap_ring,
        ]
        members = zip(rings[:-1], rings[1:], bands, strict=True)
        option = [Placement(into, out, rows) for into, out, rows in members]
        options.append((replace(option[0], group_layers=len(layers)), *option[1:]))
    return options
