"""The steps in which a program's layers run: the bands of groups, one after the other.

The engine knows no groups: a step is a layer, or a band of its rows, and the steps of a program run in their order. A
row that stays on chip lies in its ring until another one takes its place.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from codesign.emit.engine_reference import EngineNode
from codesign.emit.limits import check_maps
from cost_models.engine.bands import band_of, rows_read
from cost_models.engine.tiles import TiledLayer
from cost_models.mapping.placement import RowRange, map_halves
from hw_templates.foundation.errors import InvalidValueError, MappingError, UnsupportedLayerError


@dataclass(frozen=True, kw_only=True, eq=False)
class PlannedStep:
    """A step of a program before anything of it has its place in memory.

    Attributes:
        layer: index of its layer in the program.
        node: the layer.
        tiled: the layer, or the smaller one that its band is.
        rows: output rows that it makes.
        half: half of the map memory that is read; what stays on chip goes to the other.
    """

    layer: int
    node: EngineNode
    tiled: TiledLayer
    rows: RowRange
    half: int

    @property
    def rows_read(self) -> RowRange:
        """Rows of the input map under its windows; of a repeated one as it is after repeating."""
        return rows_read(self.node.tiled.layer, self.rows)

    @property
    def half_read(self) -> int | None:
        """Half of the map memory that it reads, if it does."""
        return self.half if self.node.placement.ifmap_ring else None

    @property
    def half_made(self) -> int | None:
        """Half of the map memory that its results go to, if they do."""
        return 1 - self.half if self.node.placement.ofmap_ring else None


def plan_steps(nodes: Sequence[EngineNode], given: Collection[str]) -> tuple[PlannedStep, ...]:
    """Return the steps of a program in their order.

    Args:
        nodes: its layers in the order in which they run; those of a group run together, band by band.
        given: names of the maps that lie in memory before it runs.

    Raises:
        InvalidValueError: rings, groups or bands do not go together.
        MappingError: a ring does not fit the map memory, or a row is not there when it is read.
        UnsupportedLayerError: the engine cannot run a layer in bands.
    """
    placements = [node.placement for node in nodes]
    for node in nodes:
        check_maps(node)
    halves = map_halves(nodes, placements)
    steps = [
        PlannedStep(
            layer=layer, node=nodes[layer], tiled=band_of(nodes[layer].tiled, rows), rows=rows, half=halves[layer]
        )
        for layer, rows in _order(nodes)
    ]
    _check_rows(steps, given)
    return tuple(steps)


def _order(nodes: Sequence[EngineNode]) -> Iterator[tuple[int, RowRange]]:
    """Yield index of the layer and output rows of each step: the bands of a group, and in each its layers."""
    first = 0
    while first < len(nodes):
        size = max(1, nodes[first].placement.group_layers)
        members = range(first, first + size)
        if members.stop > len(nodes):
            raise InvalidValueError(f"{nodes[first].name}.group_layers", size, f"at most {len(nodes) - first}")
        bands = [_bands_of(nodes[member]) for member in members]
        for member, its_bands in zip(members, bands, strict=True):
            if member > first and nodes[member].placement.group_layers:
                raise InvalidValueError(
                    f"{nodes[member].name}.group_layers", nodes[member].placement.group_layers, "0 within a group"
                )
            if len(its_bands) != len(bands[-1]):
                raise InvalidValueError(
                    f"{nodes[member].name}.bands", its_bands, f"{len(bands[-1])} bands, as the last layer of its group"
                )
        for band in zip(*bands, strict=True):
            for member, rows in zip(members, band, strict=True):
                if rows[0] < rows[1]:
                    yield member, rows
        first += size


def _bands_of(node: EngineNode) -> tuple[RowRange, ...]:
    """Return the output rows that a layer makes in each of its bands, checked."""
    height, bands = node.tiled.layer.out_height, node.placement.bands
    if not bands:
        return ((0, height),)
    ends = (0, *(end for _, end in bands))
    consecutive = all(begin == before <= end for before, (begin, end) in zip(ends, bands, strict=False))
    if not consecutive or ends[-1] > height or (ends[-1] < height and not node.placement.ofmap_ring):
        raise InvalidValueError(
            f"{node.name}.bands", bands, f"each from the end of the one before, {height} rows in all"
        )
    if len(bands) > 1 and (node.tiled.layer.repeat or any(node.data.edges)):
        what = "a repeated map" if node.tiled.layer.repeat else "an average pool with border classes"
        raise UnsupportedLayerError(f"{node.name}.bands: must be one band in a layer of {what}, got {bands}")
    return bands


def _check_rows(steps: Sequence[PlannedStep], given: Collection[str]) -> None:
    """Check that each row that a step reads was made, and is not overwritten yet."""
    made = dict.fromkeys(given, 1 << 30)
    held: list[dict[int, tuple[str, int]]] = [{}, {}]
    held_names = ["", ""]
    for step in steps:
        node, (begin, end) = step.node, step.rows_read
        placement = node.placement
        if begin == end:
            raise MappingError(f"{node.name}: rows {step.rows} read no row of its input map, but padding alone")
        if node.tiled.layer.repeat:
            end = -(-end // 2)
        if placement.ifmap_ring:
            rows = ((row, held[step.half].get(row % placement.ifmap_ring)) for row in range(begin, end))
            missing = [row for row, there in rows if there != (node.ifmap, row)]
            if missing:
                raise MappingError(
                    f"{node.name}.ifmap_ring: row {missing[0]} of {node.ifmap} is not in the map memory when rows "
                    f"{step.rows} are made; {placement.ifmap_ring} rows stay there"
                )
        needs = [] if placement.ifmap_ring else [(node.ifmap, end)]
        needs += [] if node.gate is None else [(node.gate, 1)]
        needs += [] if node.residual is None else [(node.residual, step.rows[1])]
        for name, height in needs:
            if made.get(name, 0) < height:
                raise MappingError(
                    f"{node.name}: row {made.get(name, 0)} of {name} is not in memory when rows {step.rows} are made"
                )
        if placement.ofmap_ring:
            if step.rows[1] - step.rows[0] > placement.ofmap_ring:
                raise MappingError(
                    f"{node.name}.ofmap_ring: must be at least the {step.rows[1] - step.rows[0]} rows of a band, got "
                    f"{placement.ofmap_ring}"
                )
            half = 1 - step.half
            if held_names[half] != node.name:  # whose ring lies over what was there
                held_names[half] = node.name
                held[half].clear()
            held[half].update({row % placement.ofmap_ring: (node.name, row) for row in range(*step.rows)})
        else:
            made[node.name] = step.rows[1]
