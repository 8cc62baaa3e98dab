"""Where a layer's maps, weights and parameters lie in memory."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cost_models.engine.tiles import TiledLayer


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


@dataclass(frozen=True, kw_only=True)
class PlacedLayer:
    """A layer in its tiles and in memory.

    Attributes:
        descriptor_word: where its descriptor lies.
        edges: the descriptor's field of the border classes of an average pool.
    """

    tiled: TiledLayer
    places: Places
    descriptor_word: int
    edges: int = 0


def placed_layers(
    layers: Sequence[TiledLayer], records: npt.NDArray[np.void], program_word: int = 0
) -> list[PlacedLayer]:
    """Return the layers of a program where their descriptors say.

    Args:
        layers: the program's layers in their tiles.
        records: their descriptors, [layers] of :data:`hw_templates.conv_engine.isa5.DESCRIPTOR`.
        program_word: where the first descriptor lies.
    """
    return [
        PlacedLayer(
            tiled=tiled,
            places=Places(
                ifmap=MapPlace(word=int(record["ifmap_word"]), pixel_words=int(record["in_words"])),
                ofmap=MapPlace(word=int(record["ofmap_word"]), pixel_words=int(record["out_words"])),
                residual=MapPlace(word=int(record["residual_word"]), pixel_words=int(record["res_words"]))
                if tiled.layer.residual
                else None,
                weight_word=int(record["weight_word"]),
                parameter_word=int(record["parameter_word"]),
                table_word=int(record["table_word"]),
                counter_word=int(record["counter_word"]),
            ),
            descriptor_word=program_word + index * records.itemsize // tiled.shape.accelerator.axi_bytes,
            edges=int(record["edges"]),
        )
        for index, (tiled, record) in enumerate(zip(layers, records, strict=True))
    ]
