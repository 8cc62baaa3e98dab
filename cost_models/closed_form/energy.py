"""Dynamic energy of a layer: of its multiply-accumulates, its buffers and the DDR.

E = MACs * e_mac + buffer bytes * e_buffer + DDR bytes * e_ddr, the accounting of Chen et al., "Eyeriss" (ISCA 2016),
with two levels of memory. :func:`cost_models.closed_form.estimate.network_energy_mj` adds the idle power.
"""

from cost_models.closed_form.compiled import compiled
from cost_models.closed_form.latency import setup_words
from cost_models.closed_form.records import EngineRecord, LayerRecord
from cost_models.closed_form.tiling import Inputs, sum_of
from cost_models.closed_form.traffic import Traffic
from hw_templates.conv_engine.accelerator import ACCUMULATOR_BYTES


@compiled
def ddr_bytes(layer: LayerRecord, engine: EngineRecord, moved: Traffic, runs: float) -> float:
    """Return the bytes that pass the DDR, setup of all runs included."""
    map_words = moved.residual_words
    if not layer.reads_map:
        map_words += moved.ifmap_words
    if not layer.writes_map:
        map_words += moved.ofmap_words
    weight_port_words = moved.weight_words + setup_words(layer, engine, runs)
    return map_words * engine.axi_bytes + weight_port_words * engine.weight_port_bytes


@compiled
def buffer_bytes(layer: LayerRecord, engine: EngineRecord, inputs: Inputs, moved: Traffic) -> float:
    """Return the bytes read from and written to the buffers.

    An iteration reads one line of the ifmap and one of the weight buffer; sums stay in registers for all taps and input
    channels of a tile, are then written, and read again by the next tile of input channels or by the store stage.
    """
    taps = layer.taps
    if layer.dense:
        line = engine.pe_cols * (engine.pe_pixels + engine.pe_rows)
        in_groups = sum_of(inputs.tiles, inputs.groups)
        sums = engine.pe_rows * engine.pe_pixels * moved.iterations / (in_groups * taps)
    else:
        line = engine.lanes * (engine.pe_pixels + 1)
        sums = engine.lanes * engine.pe_pixels * moved.iterations / taps
    # Lines of the map memory are read there and written to the ifmap buffer, or written.
    ifmap_bytes = 2 * engine.pe_cols if layer.reads_map else engine.axi_bytes
    ofmap_bytes = engine.pe_rows if layer.writes_map else engine.axi_bytes
    filled = moved.ifmap_words * ifmap_bytes + moved.ofmap_words * ofmap_bytes
    filled += moved.weight_words * engine.weight_port_bytes
    accumulators = (2 * inputs.tiles - 1) * sums + layer.out_channels * layer.out_height * layer.out_width
    return moved.iterations * line + filled + ACCUMULATOR_BYTES * accumulators


@compiled
def dynamic_energy_mj(
    macs: float, buffer: float, ddr: float, mac_pj: float, buffer_pj_per_byte: float, ddr_pj_per_byte: float
) -> float:
    """Return the millijoules of ``macs`` multiply-accumulates, and of bytes through the buffers and the DDR."""
    return (macs * mac_pj + buffer * buffer_pj_per_byte + ddr * ddr_pj_per_byte) * 1e-9
