"""The layers that the descriptors of a program tell the engine to run, as the cost model knows them."""

import numpy as np
import numpy.typing as npt

from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.mapping.mapping import LoopOrder, Mapping
from cost_models.mapping.placement import Placement, RowRange, band_rows
from cost_models.workload import Layer, Operation
from hw_templates.conv_engine import isa

_SHAPE = (
    *("in_channels", "out_channels", "in_height", "in_width"),
    *("kernel_height", "kernel_width", "stride", "padding"),
)
_TILE = ("tile_out_channels", "tile_in_channels", "tile_height", "tile_width")


def _numbers(record: np.void, names: tuple[str, ...]) -> dict[str, int]:
    return {name: int(record[name]) for name in names}


def descriptor_layer(record: np.void) -> tuple[Layer, Mapping]:
    """Return the layer that a descriptor makes the engine compute, and its mapping.

    Raises:
        CodesignError, ValueError: no engine could run it.
    """
    layer = Layer(
        operation=Operation.of_code(int(record["operation"])),
        residual=bool(record["residual"]),
        weight_bits=4 if record["four_bit_weights"] else 8,
        **_numbers(record, _SHAPE),
    )
    order = LoopOrder[isa.LoopOrderCode(int(record["loop_order"])).name]
    mapping = Mapping(loop_order=order, **_numbers(record, _TILE))
    return layer, mapping


def mapped_layers(records: npt.NDArray[np.void]) -> list[MappedLayer]:
    """Return the layers of a program as its descriptors tell the engine to run them.

    Raises:
        CodesignError, ValueError: no engine could run them.
    """
    mapped: list[MappedLayer] = []
    while len(mapped) < len(records):
        first = len(mapped)
        size = int(records["group_layers"][first])
        members = records[first : first + max(1, size)]
        shapes = [descriptor_layer(member) for member in members]
        bands: tuple[tuple[RowRange, ...], ...] = ((),)
        if size:
            bands = band_rows(tuple(layer for layer, _ in shapes), int(records["band_height"][first]))
        for member, (layer, mapping), rows in zip(members, shapes, bands, strict=True):
            rings = int(member["ifmap_ring"]), int(member["ofmap_ring"])
            mapped.append(MappedLayer(layer, mapping, Placement(*rings, rows, int(member["group_layers"]))))
    return mapped
