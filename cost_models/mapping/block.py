"""Inverted residuals: blocks of layers whose maps may stay on chip, and the ways to run them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from cost_models.mapping.mapping import even_sizes
from cost_models.mapping.placement import IN_MEMORY, Placement, band_rows, ring_rows
from cost_models.workload import Layer, Node, Operation

SQUEEZE_LAYERS = 4
"""Pool, squeeze, excite and scale."""

# Placements of layers that follow each other in a block.
Option = tuple[Placement, ...]


@dataclass(frozen=True)
class Block:
    """An inverted residual: a depthwise layer between two dense ones, with squeeze-and-excite or not.

    Attributes:
        expand: the layer before; None where the block does not expand.
        depthwise: in the middle.
        squeeze: pool, squeeze, excite and scale, or nothing.
        project: the layer behind.
    """

    expand: Layer | None
    depthwise: Layer
    squeeze: tuple[Layer, ...]
    project: Layer

    @property
    def layers(self) -> tuple[Layer, ...]:
        """In the order they run."""
        expand = () if self.expand is None else (self.expand,)
        return (*expand, self.depthwise, *self.squeeze, self.project)


@dataclass(frozen=True)
class Plan:
    """Ways to run a block that share what is read between its parts: any option of each part goes with any other.

    Attributes:
        parts: for layers that follow each other, and together are the block's, their options.
    """

    parts: tuple[tuple[Option, ...], ...]

    def parts_of(self, block: Block) -> Iterator[tuple[tuple[Option, ...], tuple[Layer, ...]]]:
        """Each part with its layers of the block."""
        first = 0
        for part in self.parts:
            end = first + len(part[0])
            yield part, block.layers[first:end]
            first = end


def find_blocks(nodes: Sequence[Node]) -> list[tuple[int, Block]]:
    """The blocks among nodes that run in this order, each with the index of its first node."""
    readers = Counter(producer for node in nodes for _, producer in node.reads)
    blocks, first = [], 0
    while first < len(nodes):
        block = _block_at(nodes[first:], readers)
        if block is not None:
            blocks.append((first, block))
        first += 1 if block is None else len(block.layers)
    return blocks


def _block_at(nodes: Sequence[Node], readers: Counter[str]) -> Block | None:
    """The block that the first of some nodes begin, if they do: nothing else reads what may stay on chip."""
    expands = nodes[0].layer.operation == Operation.CONV and not nodes[0].layer.residual
    rest = nodes[1:] if expands else nodes
    if len(rest) < 2 or rest[0].layer.operation != Operation.DEPTHWISE or rest[0].layer.residual:
        return None
    if expands and (rest[0].ifmap != nodes[0].name or readers[nodes[0].name] != 1):
        return None
    depthwise, squeeze = rest[0], rest[1 : 1 + SQUEEZE_LAYERS]
    operations = tuple(node.layer.operation for node in squeeze)
    if operations == (Operation.POOL, Operation.CONV, Operation.CONV, Operation.SCALE):
        pool, reduce, excite, scale = squeeze
        chained = (pool.ifmap, reduce.ifmap, excite.ifmap, scale.ifmap, scale.gate) == (
            *(depthwise.name, pool.name, reduce.name, depthwise.name, excite.name),
        )
        before, behind, wanted = scale, rest[1 + SQUEEZE_LAYERS :], 2
        if not chained or readers[scale.name] != 1:
            return None
    else:
        before, behind, squeeze, wanted = depthwise, rest[1:], (), 1
    if not behind or behind[0].layer.operation != Operation.CONV or behind[0].ifmap != before.name:
        return None
    if readers[depthwise.name] != wanted or behind[0].residual in (before.name, depthwise.name):
        return None
    return Block(
        nodes[0].layer if expands else None,
        depthwise.layer,
        tuple(node.layer for node in squeeze),
        behind[0].layer,
    )


@lru_cache(maxsize=4096)
def plans_of(block: Block) -> tuple[Plan, ...]:
    """Every way to run a block: which layers run together in bands of which height, and which maps stay on chip.

    With squeeze-and-excite all of the depthwise map is needed twice: to be pooled and to be scaled. One plan keeps it
    in the map memory, the other does not.
    """
    head = block.layers[: 1 if block.expand is None else 2]
    if not block.squeeze:
        return (Plan((tuple(_chains((*head, block.project), 0, 0)),)),)
    plans = []
    for kept_rows in (0, block.depthwise.out_height):
        gate = (Placement(ifmap_ring=kept_rows), IN_MEMORY, IN_MEMORY)
        tail = (block.squeeze[-1], block.project)
        plans.append(Plan((tuple(_chains(head, 0, kept_rows)), (gate,), tuple(_chains(tail, kept_rows, 0)))))
    return tuple(plans)


def _chains(layers: tuple[Layer, ...], ifmap_ring: int, ofmap_ring: int) -> list[Option]:
    """All ways to run layers, each reading the one before: in groups of one or several, these band by band."""
    options: list[Option] = []
    for size in range(1, len(layers) + 1):
        is_last = size == len(layers)
        heads = _groups(layers[:size], ifmap_ring, ofmap_ring if is_last else 0)
        tails = [()] if is_last else _chains(layers[size:], 0, ofmap_ring)
        options += [(*head, *tail) for head in heads for tail in tails]
    return options


def _groups(layers: tuple[Layer, ...], ifmap_ring: int, ofmap_ring: int) -> list[Option]:
    """The ways to run layers together: one for each number of bands of the last, as even as they can be."""
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
