"""The steps in which a program's layers run: bands of groups one after the other, and what of each may begin early.

The engine knows no groups: a step is a layer, or a band of its rows, and the steps of a program run in their order. A
row that stays on chip lies in its ring until another one takes its place; what goes to memory can be read once the
engine has waited for the responses of its writes.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from codesign.emit.engine_limits import check_maps
from codesign.emit.engine_reference import EngineNode
from cost_models.engine.bands import band_of, rows_read
from cost_models.engine.tiles import TiledLayer
from cost_models.mapping.placement import RowRange, map_halves
from hw_templates.foundation.errors import InvalidValueError, MappingError, UnsupportedLayerError

EARLY_WEIGHTS, EARLY_IFMAP = 1, 2
"""Values of the descriptor's field ``early``: what of the first tile is fetched beside the last store before it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PlannedStep:
    """A step of a program before anything of it has its place in memory.

    Attributes:
        layer: index of its layer in the program.
        node: the layer.
        tiled: the layer, or the smaller one that its band is.
        rows: output rows that it makes.
        half: half of the map memory that is read; what stays on chip goes to the other.
        early, load_table: as in :class:`cost_models.engine.places.ProgramStep`.
    """

    layer: int
    node: EngineNode
    tiled: TiledLayer
    rows: RowRange
    half: int
    early: int = 0
    load_table: bool = True

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
    return _overlapped(steps)


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


def _overlapped(steps: Sequence[PlannedStep]) -> tuple[PlannedStep, ...]:
    """Return the steps with what of each is fetched while the one before still stores."""
    chosen: list[PlannedStep] = []
    last_made: dict[str, int] = {}
    settled = 0  # results of the steps before this one are all in memory when the last step so far stores its last tile
    for index, step in enumerate(steps):
        node, early, loads_table = step.node, 0, True
        if chosen:
            loads_table = not np.array_equal(node.data.table, chosen[-1].node.data.table)
            gate_made = -1 if node.gate is None else last_made.get(node.gate, -1)
            from_memory = not node.placement.ifmap_ring
            if _ifmap_is_there(step, chosen[-1]) and gate_made < (index - 1 if from_memory else settled):
                early = EARLY_IFMAP
            elif gate_made < settled:
                early = EARLY_WEIGHTS
            # The engine waits for all responses where a map is fetched from memory: before the first tile of this step,
            # or before the last store of the step before.
            if early == 0 or node.residual is not None or (from_memory and early == EARLY_WEIGHTS):
                settled = index
            elif from_memory:
                settled = max(settled, index - 1)
        last_made[node.name] = index
        chosen.append(replace(step, early=early, load_table=loads_table))
    return tuple(chosen)


def _ifmap_is_there(step: PlannedStep, before: PlannedStep) -> bool:
    """Return whether the first tile's part of the input map is there before the last store of the step before.

    All that this step reads is there but what the step before made, and that but for its last tile: on chip, or in
    memory, as the engine waits for it. Tiles behind the first come after that store. On chip its results are there
    then; in memory they may not be, but where the engine waits for them, as it is about to fetch a map that is added.
    """
    if step.node.ifmap != before.node.name:
        return step.half_read is None or step.half_read != before.half_made
    accelerator = step.tiled.shape.accelerator
    if step.half_read is not None and 1 in (accelerator.ifmap_buffers, accelerator.ofmap_buffers):
        return True  # a store has a phase before the loads, or these have one behind it
    waits = step.half_read is not None or step.node.residual is not None
    read = (
        _first_tile_reads(step)
        if waits
        else (step.rows_read[1], step.tiled.layer.in_width, step.tiled.layer.in_channels)
    )
    if step.node.tiled.layer.repeat:
        read = (-(-read[0] // 2), -(-read[1] // 2), read[2])
    return any(end <= begin for end, begin in zip(read, _last_tile_makes(before), strict=True))


def _first_tile_reads(step: PlannedStep) -> tuple[int, int, int]:
    """Return the ends of the rows, columns and channels of the input map that the first tile reads."""
    tiled = step.tiled
    rows, cols = (axis.extent(axis.tile) - axis.padding for axis in (tiled.rows, tiled.cols))
    return step.rows_read[0] + rows, cols, (tiled.in_tiles if tiled.dense else tiled.out_tiles)[0]


def _last_tile_makes(step: PlannedStep) -> tuple[int, int, int]:
    """Return the first row, column and channel that the last tile makes, which makes all behind them."""
    tiled = step.tiled
    rows, cols = ((axis.tiles - 1) * axis.tile for axis in (tiled.rows, tiled.cols))
    return step.rows[0] + rows, cols, 0 if tiled.keeps_sums else tiled.layer.out_channels - tiled.out_tiles[-1]
