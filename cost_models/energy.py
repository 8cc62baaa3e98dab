"""Dynamic energy of a layer: what its multiply-accumulates, its buffers and the DDR take.

E = MACs * e_mac + buffer bytes * e_buffer + DDR bytes * e_ddr, the accounting of Chen et al., "Eyeriss" (ISCA 2016),
with two levels of memory. Idle power is the network's matter (:func:`cost_models.estimate.network_energy_mj`).
"""

import numpy as np

from cost_models.coefficients import EnergyCoefficients
from cost_models.latency import setup_words
from cost_models.layer_columns import LayerColumns
from cost_models.tiling import Array, ChannelTiling, Engine
from cost_models.visits import Traffic
from hw_templates.accelerator import ACCUMULATOR_BYTES


def ddr_bytes(layers: LayerColumns, engine: Engine, traffic: Traffic, runs: Array | int = 1) -> Array:
    """Bytes that pass the DDR, setup of all runs included."""
    weight_port_words = traffic.weight_words + setup_words(layers, engine, runs)
    return traffic.map_words * engine.word + weight_port_words * engine.weight_word


def buffer_bytes(layers: LayerColumns, engine: Engine, channels: ChannelTiling, traffic: Traffic) -> Array:
    """Bytes read from and written to the buffers.

    A trip reads one line of the ifmap and one of the weight buffer; sums stay in registers for all taps and input
    channels of a tile, are then written, and read again by the next tile of input channels or by the store stage.
    """
    if layers.dense:
        inputs = channels.inputs.count
        line = engine.cols * (engine.pixels + engine.rows)
        sums = engine.rows * engine.pixels * traffic.trips / (channels.inputs.total * layers.taps)
    else:
        inputs = np.ones(1)
        line = engine.lanes * (engine.pixels + 1)
        sums = engine.lanes * engine.pixels * traffic.trips / layers.taps
    # Lines of the map memory are read there and written to the ifmap buffer, or written.
    ifmap_bytes = 2 * engine.line if traffic.reads_map else engine.word
    ofmap_bytes = engine.rows if traffic.writes_map else engine.word
    filled = traffic.ifmap_words * ifmap_bytes + traffic.ofmap_words * ofmap_bytes
    filled = filled + traffic.weight_words * engine.weight_word
    accumulators = (2 * inputs - 1) * sums + layers.out_channels * layers.out_height * layers.out_width
    total: Array = traffic.trips * line + filled + ACCUMULATOR_BYTES * accumulators
    return total


def dynamic_energy_mj(macs: Array, buffer: Array, ddr: Array, coefficients: EnergyCoefficients) -> Array:
    """Millijoules of ``macs`` multiply-accumulates, and of bytes through the buffers and the DDR."""
    picojoules: Array = (
        macs * coefficients.mac_pj + buffer * coefficients.buffer_pj_per_byte + ddr * coefficients.ddr_pj_per_byte
    )
    return picojoules * 1e-9
