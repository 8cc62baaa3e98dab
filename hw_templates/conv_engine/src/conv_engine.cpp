#include "conv_engine.h"

#include "compute.h"
#include "load.h"
#include "store.h"

namespace {

struct IfmapMemory {
    IfmapBuffer ping, pong;
};
struct WeightMemory {
    WeightBuffer ping, pong;
};
struct OfmapMemory {
    OfmapBuffer ping, pong;
    ResidualBuffer residual_ping, residual_pong;
};

// One slot: the next tile is fetched, the current one computed and the last one stored, all at the same time.
void run_slot(const Word* ifmap_port, const Word* weight_port, const Word* residual_port, Word* ofmap_port,
              const Descriptor& d, const TileShape& shape, const Tile& fetched, const Tile& computed,
              const Tile& finished, IfmapBuffer& ifmap_filled, const IfmapBuffer& ifmap_read,
              WeightBuffer& weights_filled, const WeightBuffer& weights_read, OfmapBuffer& ofmap_filled,
              const OfmapBuffer& ofmap_read, ResidualBuffer& residual_filled, const ResidualBuffer& residual_read,
              const ParameterMemory& parameters, const ActivationTables& tables, Counters& spent) {
#pragma HLS DATAFLOW  // no stage touches what another does; the slot lasts as long as its slowest stage
    load_ifmap(ifmap_port, d, shape, fetched, ifmap_filled, spent.ifmap_words);
    load_weights(weight_port, d, shape, fetched, weights_filled, spent.weight_words);
    load_residual(residual_port, d, shape, computed, residual_filled);
    compute(d, shape, computed, ifmap_read, weights_read, ofmap_filled, spent.compute_trips);
    store(ofmap_port, d, shape, finished, ofmap_read, residual_read, parameters, tables, spent.ofmap_words);
}

// The three functions below pick which half of each memory is filled and which is read. They are nested, and none is
// inlined, so that there is one copy of the stages with multiplexers in front and not one copy for each combination.
void choose_ofmap_half(const Word* ifmap_port, const Word* weight_port, const Word* residual_port, Word* ofmap_port,
                       const Descriptor& d, const TileShape& shape, const Tile& fetched, const Tile& computed,
                       const Tile& finished, IfmapBuffer& ifmap_filled, const IfmapBuffer& ifmap_read,
                       WeightBuffer& weights_filled, const WeightBuffer& weights_read, OfmapMemory& ofmap,
                       const ParameterMemory& parameters, const ActivationTables& tables, Counters& spent) {
#pragma HLS INLINE off
    if (computed.ofmap_half) {
        run_slot(ifmap_port, weight_port, residual_port, ofmap_port, d, shape, fetched, computed, finished,
                 ifmap_filled, ifmap_read, weights_filled, weights_read, ofmap.pong, ofmap.ping, ofmap.residual_pong,
                 ofmap.residual_ping, parameters, tables, spent);
    } else {
        run_slot(ifmap_port, weight_port, residual_port, ofmap_port, d, shape, fetched, computed, finished,
                 ifmap_filled, ifmap_read, weights_filled, weights_read, ofmap.ping, ofmap.pong, ofmap.residual_ping,
                 ofmap.residual_pong, parameters, tables, spent);
    }
}

void choose_weight_half(const Word* ifmap_port, const Word* weight_port, const Word* residual_port, Word* ofmap_port,
                        const Descriptor& d, const TileShape& shape, const Tile& fetched, const Tile& computed,
                        const Tile& finished, IfmapBuffer& ifmap_filled, const IfmapBuffer& ifmap_read,
                        WeightMemory& weights, OfmapMemory& ofmap, const ParameterMemory& parameters,
                        const ActivationTables& tables, Counters& spent) {
#pragma HLS INLINE off
    if (computed.weight_half) {
        choose_ofmap_half(ifmap_port, weight_port, residual_port, ofmap_port, d, shape, fetched, computed, finished,
                          ifmap_filled, ifmap_read, weights.ping, weights.pong, ofmap, parameters, tables, spent);
    } else {
        choose_ofmap_half(ifmap_port, weight_port, residual_port, ofmap_port, d, shape, fetched, computed, finished,
                          ifmap_filled, ifmap_read, weights.pong, weights.ping, ofmap, parameters, tables, spent);
    }
}

void choose_ifmap_half(const Word* ifmap_port, const Word* weight_port, const Word* residual_port, Word* ofmap_port,
                       const Descriptor& d, const TileShape& shape, const Tile& fetched, const Tile& computed,
                       const Tile& finished, IfmapMemory& ifmap, WeightMemory& weights, OfmapMemory& ofmap,
                       const ParameterMemory& parameters, const ActivationTables& tables, Counters& spent) {
#pragma HLS INLINE off
    if (computed.ifmap_half) {
        choose_weight_half(ifmap_port, weight_port, residual_port, ofmap_port, d, shape, fetched, computed, finished,
                           ifmap.ping, ifmap.pong, weights, ofmap, parameters, tables, spent);
    } else {
        choose_weight_half(ifmap_port, weight_port, residual_port, ofmap_port, d, shape, fetched, computed, finished,
                           ifmap.pong, ifmap.ping, weights, ofmap, parameters, tables, spent);
    }
}

TileShape tile_shape(const Descriptor& d) {
    const int in_cols = (d.tile_width - 1) * d.stride + d.kernel_width;
    TileShape shape;
    shape.in_rows = (d.tile_height - 1) * d.stride + d.kernel_height;
    shape.slots_per_phase = ceil_div(ceil_div(in_cols, d.stride), PE_PIXELS);
    shape.pixel_groups = ceil_div(d.tile_width, PE_PIXELS);
    shape.in_words = ceil_div(d.in_channels, AXI_BYTES);
    shape.out_words = ceil_div(d.out_channels, AXI_BYTES);
    const bool averages = d.operation == OPERATION_POOL;
    shape.overhangs_below = averages && (d.out_height - 1) * d.stride + d.kernel_height > d.in_height;
    shape.overhangs_right = averages && (d.out_width - 1) * d.stride + d.kernel_width > d.in_width;
    return shape;
}

// Where a tile's weights start: tiles follow each other in memory, output channels outermost.
int weight_word_of(const Descriptor& d, const Tile& tile) {
    const int taps = d.kernel_height * d.kernel_width;
    if (d.operation == OPERATION_CONV) {
        const int before = tile.out_channel / PE_ROWS * ceil_div(d.in_channels, PE_COLS);
        const int beside = ceil_div(tile.out_channels, PE_ROWS) * (tile.in_channel / PE_COLS);
        return weight_words(d, taps * (before + beside) * PE_ROWS * PE_COLS);
    }
    return tile.out_tile * weight_words(d, taps * d.tile_out_channels);
}

// The tile after `last` in the layer's loop order; with an invalid `last`, the first.
Tile next_tile(const Descriptor& d, const Tile& last, bool first) {
    const bool dense = d.operation == OPERATION_CONV;
    Tile tile = last;
    if (first) {
        tile.row = tile.col = tile.out_channel = tile.in_channel = tile.out_tile = 0;
        tile.valid = true;
    } else if (dense && last.in_channel + d.tile_in_channels < d.in_channels) {
        tile.in_channel += d.tile_in_channels;
    } else {
        tile.in_channel = 0;
        const bool pixels_outer = d.loop_order == LOOP_ORDER_PIXELS_OUTER;
        const int next_channel = last.out_channel + d.tile_out_channels;
        const bool more_channels = next_channel < d.out_channels;
        const bool more_cols = last.col + d.tile_width < d.out_width;
        const bool more_rows = last.row + d.tile_height < d.out_height;
        const bool step_channels = pixels_outer ? more_channels : !more_cols && !more_rows;
        const bool step_pixels = pixels_outer ? !more_channels : more_cols || more_rows;
        if (step_channels) {
            tile.out_channel = next_channel;
            ++tile.out_tile;
        } else if (pixels_outer) {
            tile.out_channel = tile.out_tile = 0;
        }
        if (step_pixels) {
            tile.col = more_cols ? last.col + d.tile_width : 0;
            tile.row = more_cols ? last.row : last.row + d.tile_height;
        } else if (!pixels_outer) {
            tile.col = tile.row = 0;
        }
        tile.valid = last.valid && tile.out_channel < d.out_channels && tile.row < d.out_height;
    }
    tile.rows = lesser(d.tile_height, d.out_height - tile.row);
    tile.cols = lesser(d.tile_width, d.out_width - tile.col);
    tile.out_channels = lesser(d.tile_out_channels, d.out_channels - tile.out_channel);
    if (!dense) {
        tile.in_channel = tile.out_channel;
    }
    tile.in_channels = lesser(d.tile_in_channels, d.in_channels - tile.in_channel);
    tile.first_in = !dense || tile.in_channel == 0;
    tile.last_in = !dense || tile.in_channel + d.tile_in_channels >= d.in_channels;
    const bool moved = first || tile.row != last.row || tile.col != last.col;
    const bool other_inputs = first || tile.in_channel != last.in_channel;
    const bool other_outputs = first || tile.out_channel != last.out_channel;
    // What a buffer already holds is not fetched again; what is fetched goes to the other half.
    tile.fetch_ifmap = moved || other_inputs;
    tile.fetch_weights = other_inputs || other_outputs;
    tile.ifmap_half = last.ifmap_half != tile.fetch_ifmap;
    tile.weight_half = last.weight_half != tile.fetch_weights;
    tile.ofmap_half = last.ofmap_half != last.last_in;
    tile.weight_word = weight_word_of(d, tile);
    return tile;
}

void store_counters(Word* port, int word, const Counters& counters) {
    const uint32_t values[4] = {counters.compute_trips, counters.ifmap_words, counters.weight_words,
                                counters.ofmap_words};
    for (int i = 0; i < 16 / AXI_BYTES; ++i) {
        Word out;
        for (int b = 0; b < AXI_BYTES; ++b) {
#pragma HLS UNROLL  // wires only
            const int at = i * AXI_BYTES + b;
            out.byte[b] = static_cast<int8_t>((values[at / 4] >> (8 * (at % 4))) & 0xFF);
        }
        port[word + i] = out;
    }
}

}  // namespace

extern "C" void conv_engine(const Word* ifmap_port, const Word* weight_port, const Word* residual_port,
                            Word* ofmap_port, int program_word, int layer_count) {
// Four ports, so that the two loads, the residual and the results do not wait for each other. Depth is for co-simulation.
#pragma HLS INTERFACE m_axi port = ifmap_port bundle = ifmap offset = slave max_read_burst_length = 64 depth = 1048576
#pragma HLS INTERFACE m_axi port = weight_port bundle = weights offset = slave max_read_burst_length = 64 depth = \
    1048576
#pragma HLS INTERFACE m_axi port = residual_port bundle = residual offset = slave max_read_burst_length = 64 depth = \
    1048576
#pragma HLS INTERFACE m_axi port = ofmap_port bundle = ofmap offset = slave max_write_burst_length = 64 depth = 1048576
// The register map of hw_templates/registers.py.
#pragma HLS INTERFACE s_axilite port = ifmap_port bundle = control offset = 0x10
#pragma HLS INTERFACE s_axilite port = weight_port bundle = control offset = 0x1c
#pragma HLS INTERFACE s_axilite port = residual_port bundle = control offset = 0x28
#pragma HLS INTERFACE s_axilite port = ofmap_port bundle = control offset = 0x34
#pragma HLS INTERFACE s_axilite port = program_word bundle = control offset = 0x40
#pragma HLS INTERFACE s_axilite port = layer_count bundle = control offset = 0x48
#pragma HLS INTERFACE s_axilite port = return bundle = control
    // Static: on-chip memories, not a stack.
    static IfmapMemory ifmap;
    static WeightMemory weights;
    static OfmapMemory ofmap;
    static ParameterMemory parameters;
    static ActivationTables tables;
#pragma HLS ARRAY_PARTITION variable = ifmap.ping complete dim = 1  // one bank for each word the array reads a cycle
#pragma HLS ARRAY_PARTITION variable = ifmap.pong complete dim = 1
#pragma HLS ARRAY_PARTITION variable = weights.ping complete dim = 1  // as above
#pragma HLS ARRAY_PARTITION variable = weights.pong complete dim = 1
#pragma HLS ARRAY_PARTITION variable = ofmap.ping complete dim = 1  // one bank a PE
#pragma HLS ARRAY_PARTITION variable = ofmap.pong complete dim = 1
#pragma HLS ARRAY_PARTITION variable = parameters complete dim = 1               // one bank a requantiser
#pragma HLS ARRAY_PARTITION variable = tables cyclic factor = AXI_BYTES dim = 2  // a bus word is written at once
#pragma HLS ARRAY_PARTITION variable = tables complete dim = 1                   // one copy a requantiser
#pragma HLS BIND_STORAGE variable = tables type = ram_1p impl = lutram           // 256 bytes would waste a block RAM

layers:
    for (int layer = 0; layer < layer_count; ++layer) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 256
        constexpr int DESCRIPTOR_WORDS = DESCRIPTOR_FIELDS * 4 / AXI_BYTES;
        const Descriptor d = load_descriptor(weight_port, program_word + layer * DESCRIPTOR_WORDS);
        load_parameters(weight_port, d, parameters, tables);
        const TileShape shape = tile_shape(d);
        Counters total = {};
        Tile computed = {};
        Tile finished = {};
        Tile fetched = next_tile(d, computed, true);
        slots:
        while (fetched.valid || computed.valid || finished.valid) {
#pragma HLS LOOP_TRIPCOUNT min = 3 max = 65536
            Counters spent = {};
            choose_ifmap_half(ifmap_port, weight_port, residual_port, ofmap_port, d, shape, fetched, computed, finished,
                              ifmap, weights, ofmap, parameters, tables, spent);
            total.compute_trips += spent.compute_trips;
            total.ifmap_words += spent.ifmap_words;
            total.weight_words += spent.weight_words;
            total.ofmap_words += spent.ofmap_words;
            finished = computed;
            computed = fetched;
            fetched = next_tile(d, fetched, false);
        }
        store_counters(ofmap_port, d.counter_word, total);
    }
}
