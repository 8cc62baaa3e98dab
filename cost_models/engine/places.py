"""Where a layer's maps, weights and parameters lie in memory."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class MapPlace:
    """Place of a map in memory: its first word, and the words from pixel to pixel.

    A part of a wider map, as a concatenation makes it, begins at its first word of the first pixel.
    """

    word: int
    pixel_words: int


@dataclass(frozen=True, kw_only=True)
class Places:
    """Places of everything of a layer, in memory words; ``residual`` is None where no map is added."""

    ifmap: MapPlace
    ofmap: MapPlace
    residual: MapPlace | None = None
    weight_word: int = 0
    parameter_word: int = 0
    table_word: int = 0
    counter_word: int = 0
