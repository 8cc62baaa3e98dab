"""The place of a layer's feature maps while it runs, and the bands of rows in which it runs."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cost_models.workload import Layer, Node
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.errors import InvalidValueError, MappingError
from hw_templates.foundation.json_records import check_fields

RowRange = tuple[int, int]

MAX_GROUP_LAYERS = 4
"""Layers that run together band by band at most."""


@dataclass(frozen=True)
class Placement:
    """Way in which a layer runs together with its neighbours; by default alone, from memory to memory.

    A map in the map memory is a ring of rows: row r of the map lies in row r mod the ring's.

    Attributes:
        ifmap_ring: rows of the input map that the map memory holds; 0 where the map lies in memory.
        ofmap_ring: rows of the output map that the map memory holds; 0 where the map goes to memory.
        bands: (first, end) output rows of each run, in order; empty for a single run that makes all.
        group_layers: layers from this one on that run together band by band; 0 for any that is not the first of them.

    Raises:
        InvalidValueError: a field is of another type or negative.
    """

    ifmap_ring: int = 0
    ofmap_ring: int = 0
    bands: tuple[RowRange, ...] = ()
    group_layers: int = 0

    def __post_init__(self) -> None:
        check_fields(self, "placement")
        for name in ("ifmap_ring", "ofmap_ring", "group_layers"):
            if getattr(self, name) < 0:
                raise InvalidValueError(f"placement.{name}", getattr(self, name), "zero or more")
        if any(row < 0 for band in self.bands for row in band):
            raise InvalidValueError("placement.bands", self.bands, "pairs of rows, first and end, from 0 on")

    def runs(self, layer: Layer) -> Counter[tuple[int, int, int]]:
        """Return how many runs of the layer make as many output rows, read as much padding above and input rows."""
        bands = self.bands or ((0, layer.out_height),)
        return Counter((end - begin, *input_rows(layer, (begin, end))) for begin, end in bands if begin < end)

    def tables(self, layer: Layer) -> int:
        """Return how often the layer's activation table is loaded where the layers around it have other tables.

        Those of a group take turns, so each band loads its own; the bands of a layer alone share one. In a program, a
        table that the step before had is not loaded, which a layer by itself cannot know.
        """
        takes_turns = self.group_layers != 1
        return self.runs(layer).total() if takes_turns else 1

    def check(self, layer: Layer, accelerator: Accelerator) -> None:
        """Check that the map memory holds the on-chip feature maps.

        Raises:
            InvalidValueError: a ring is none of the map, or a residual is to be added to what stays on chip.
            MappingError: a map does not fit; says the least size that would do.
        """
        if layer.residual and self.ofmap_ring:
            raise InvalidValueError("placement.ofmap_ring", self.ofmap_ring, "0 where a residual is added")
        maps = (
            ("ifmap_ring", self.ifmap_ring, layer.in_height, layer.in_width, layer.in_channels),
            ("ofmap_ring", self.ofmap_ring, layer.out_height, layer.out_width, layer.out_channels),
        )
        for name, ring, height, width, channels in maps:
            if not 0 <= ring <= height:
                raise InvalidValueError(f"placement.{name}", ring, f"at most the {height} rows of the map")
            least_kib = kept_kib(channels, ring * width, accelerator)
            if least_kib > accelerator.map_kib:
                raise MappingError(
                    f"map_kib: {ring} rows of a map of {layer} stay on chip, which takes {least_kib} KiB; "
                    f"it has {accelerator.map_kib}"
                )


IN_MEMORY = Placement()


def kept_kib(channels: int, pixels: int, accelerator: Accelerator) -> int:
    """Return the least map memory, in whole KiB of a half, that holds ``pixels`` pixels of ``channels`` channels."""
    word, banks = accelerator.axi_bytes, accelerator.map_banks
    lines = pixels * math.ceil(math.ceil(channels / word) / banks)
    return math.ceil(lines * banks * word / 1024)


def input_rows(layer: Layer, rows: RowRange) -> tuple[int, int]:
    """Return (rows of padding above, rows of the input map) that output rows ``rows`` read."""
    first = rows[0] * layer.stride - layer.padding
    end = min(layer.in_height, (rows[1] - 1) * layer.stride - layer.padding + layer.kernel_height)
    return max(0, -first), end - max(0, first)


def band_rows(layers: tuple[Layer, ...], band_height: int) -> tuple[tuple[RowRange, ...], ...]:
    """Return the output rows that each of several layers, each reading the one before, makes in each band.

    The last makes ``band_height`` rows a band; those before it make what that needs and was not made before. So every
    row is made once.
    """
    bands = []
    ends = [min(end + band_height, layers[-1].out_height) for end in range(0, layers[-1].out_height, band_height)]
    for layer in reversed(layers):
        ends = [min(end, layer.out_height) for end in ends]
        bands.append(tuple(zip([0, *ends[:-1]], ends, strict=True)))
        ends = [(end - 1) * layer.stride - layer.padding + layer.kernel_height for end in ends]
    return tuple(reversed(bands))


def ring_rows(reader: Layer, band_height: int) -> int:
    """RowRange of its input map that a layer reads for ``band_height`` rows of its own, at most."""
    return min(reader.in_height, (band_height - 1) * reader.stride + reader.kernel_height)


def check_groups(nodes: Sequence[Node], placements: Sequence[Placement]) -> None:
    """Check that layers of a program that are to run together can.

    Raises:
        InvalidValueError: a group goes beyond the program or is too large for the engine, a member does not read the
            one before, or bands are not those of the group.
    """
    first = 0
    while first < len(nodes):
        size = max(1, placements[first].group_layers)
        members = range(first, first + size)
        if members.stop > len(nodes) or size > MAX_GROUP_LAYERS:
            raise InvalidValueError(
                f"{nodes[first].name}.group_layers",
                size,
                f"at most {MAX_GROUP_LAYERS}, and no more than there are",
            )
        expected: tuple[tuple[RowRange, ...], ...] = ((),)
        if placements[first].group_layers:
            last = placements[members.stop - 1].bands
            layers = tuple(nodes[member].layer for member in members)
            expected = band_rows(layers, last[0][1] - last[0][0] if last else layers[-1].out_height)
        for member, bands in zip(members, expected, strict=True):
            node, placement = nodes[member], placements[member]
            if placement.bands != bands:
                raise InvalidValueError(f"{node.name}.bands", placement.bands, f"{bands}, those of its group")
            if member > first and (node.ifmap != nodes[member - 1].name or placement.group_layers):
                raise InvalidValueError(f"{node.name}.ifmap", node.ifmap, "the result of the layer before in its group")
        first += size


class Reader(Protocol):
    """A layer of a program by its name, which reads a map that has another one."""

    @property
    def name(self) -> str:
        """Name of the layer and of the map that it makes."""

    @property
    def ifmap(self) -> str:
        """Name of the map that it reads."""


def map_halves(nodes: Sequence[Reader], placements: Sequence[Placement]) -> tuple[int, ...]:
    """Return the half of the map memory that each layer reads; its result goes to the other.

    Raises:
        InvalidValueError: a layer reads a map that is not there, not in that many rows or no longer.
    """
    held: list[tuple[str, int] | None] = [None, None]
    halves = []
    for node, placement in zip(nodes, placements, strict=True):
        half = 0
        if placement.ifmap_ring:
            wanted = (node.ifmap, placement.ifmap_ring)
            if wanted not in held:
                raise InvalidValueError(f"{node.name}.ifmap_ring", placement.ifmap_ring, f"0 where {node.ifmap} is not")
            half = held.index(wanted)
        halves.append(half)
        if placement.ofmap_ring:
            held[1 - half] = (node.name, placement.ofmap_ring)
    return tuple(halves)
