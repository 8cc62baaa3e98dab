import pytest

from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.mapping.mapping import LoopOrder, Mapping
from cost_models.mapping.placement import IN_MEMORY, Placement
from cost_models.workload import Layer, Operation
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.errors import InvalidValueError, MappingError

ACCELERATOR = Accelerator(
    pe_rows=8,
    pe_cols=8,
    pe_pixels=2,
    pack=1,
    ifmap_kib=8,
    weight_kib=8,
    ofmap_kib=8,
    axi_bits=64,
    clock_mhz=100,
    map_kib=1,
)
LAYER = Layer(operation=Operation.CONV, in_channels=16, out_channels=16, in_height=8, in_width=8)


def tiles(out_channels: int, in_channels: int) -> Mapping:
    return Mapping(
        tile_out_channels=out_channels,
        tile_in_channels=in_channels,
        tile_height=4,
        tile_width=8,
        loop_order=LoopOrder.PIXELS_OUTER,
    )


def test_a_layer_runs_from_memory_to_memory_unless_it_is_placed() -> None:
    assert MappedLayer(LAYER, tiles(8, 8)).placement == IN_MEMORY


def test_tiles_and_on_chip_feature_maps_are_checked_on_the_accelerator() -> None:
    MappedLayer(LAYER, tiles(8, 8), Placement(ifmap_ring=8)).check(ACCELERATOR)
    with pytest.raises(InvalidValueError, match=r"mapping\.tile_out_channels"):
        MappedLayer(LAYER, tiles(9, 8)).check(ACCELERATOR)
    wide = Layer(operation=Operation.CONV, in_channels=64, out_channels=16, in_height=8, in_width=8)
    with pytest.raises(MappingError, match="map_kib"):
        MappedLayer(wide, tiles(8, 8), Placement(ifmap_ring=8)).check(ACCELERATOR)


def test_fields_of_another_type_are_refused() -> None:
    with pytest.raises(InvalidValueError, match=r"mapped_layer\.mapping"):
        MappedLayer(LAYER, None)  # type: ignore[arg-type]
