"""What the descriptors of a program say: layers, mappings and placements, as the cost model knows them."""

import numpy as np
import numpy.typing as npt

from cost_models.mapping.mapping import LoopOrder, Mapping
from cost_models.mapping.placement import Placement, Rows, band_rows
from cost_models.workload import Layer, Operation
from hw_templates.conv_engine import isa


def descriptor_layer(record: np.void) -> tuple[Layer, Mapping]:
    """What a descriptor makes the engine compute, and how it is cut.

    Raises:
        CodesignError, ValueError: no engine could run it.
    """
    layer = Layer(
        operation=Operation.of_code(int(record["operation"])),
        in_channels=int(record["in_channels"]),
        out_channels=int(record["out_channels"]),
        in_height=int(record["in_height"]),
        in_width=int(record["in_width"]),
        kernel_height=int(record["kernel_height"]),
        kernel_width=int(record["kernel_width"]),
        stride=int(record["stride"]),
        padding=int(record["padding"]),
        residual=bool(record["residual"]),
        weight_bits=4 if record["four_bit_weights"] else 8,
    )
    mapping = Mapping(
        tile_out_channels=int(record["tile_out_channels"]),
        tile_in_channels=int(record["tile_in_channels"]),
        tile_height=int(record["tile_height"]),
        tile_width=int(record["tile_width"]),
        loop_order=LoopOrder[isa.LoopOrderCode(int(record["loop_order"])).name],
    )
    return layer, mapping


def descriptor_placements(records: npt.NDArray[np.void]) -> list[Placement]:
    """Where the maps of each descriptor's layer are, and in which bands it runs.

    Raises:
        CodesignError, ValueError: no engine could run them.
    """
    placements: list[Placement] = []
    while len(placements) < len(records):
        first = len(placements)
        size = int(records["group_layers"][first])
        members = records[first : first + max(1, size)]
        bands: tuple[tuple[Rows, ...], ...] = ((),)
        if size:
            bands = band_rows(
                tuple(descriptor_layer(member)[0] for member in members), int(records["band_height"][first])
            )
        for member, rows in zip(members, bands, strict=True):
            placements.append(
                Placement(int(member["ifmap_ring"]), int(member["ofmap_ring"]), rows, int(member["group_layers"]))
            )
    return placements
