"""Where a layer's maps, weights and parameters lie, and the steps of a program that use them."""

from dataclasses import dataclass

from cost_models.engine.tiles import TiledLayer


@dataclass(frozen=True, kw_only=True)
class Ring:
    """A ring of whole rows in the map memory: ``lines`` of it, of which the last lies before line ``end``."""

    lines: int
    end: int


@dataclass(frozen=True, kw_only=True)
class MapPlace:
    """Place of a map, or of the rows of it that a step reads or makes.

    A part of a wider map, as a concatenation makes it, begins at its first word of the first pixel.

    Attributes:
        word: the memory word of the first pixel; with a ring, its line of the map memory.
        pixel_words: memory words from pixel to pixel; with a ring, lines.
        ring: where in the map memory the map lies; None where it lies in memory.
    """

    word: int
    pixel_words: int
    ring: Ring | None = None


@dataclass(frozen=True, kw_only=True)
class Places:
    """Places of everything of a step, in memory words; ``residual`` is None where no map is added."""

    ifmap: MapPlace
    ofmap: MapPlace
    residual: MapPlace | None = None
    weight_word: int = 0
    parameter_word: int = 0
    table_word: int = 0
    counter_word: int = 0


@dataclass(frozen=True, kw_only=True)
class ProgramStep:
    """A step of a program: a layer, or a band of its rows, in its tiles and in memory; one descriptor.

    Attributes:
        layer: which layer of the program it belongs to, from 0 on.
        tiled: the layer, or the smaller one that a band is.
        descriptor_word: where its descriptor lies.
        edges: the descriptor's field of the border classes of an average pool.
        early: what of the first tile is fetched during the last store of the step before: 0 nothing, 1 its weights,
            2 weights and ifmap.
        waits: what of it waits until all results before are in memory: bit 0 the ifmap, bit 1 the map that is added,
            bit 2 the gate.
        load_table: whether its activation table is fetched; else that of the step before stays.
    """

    layer: int = 0
    tiled: TiledLayer
    places: Places
    descriptor_word: int
    edges: int = 0
    early: int = 0
    waits: int = 0
    load_table: bool = True
