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
struct MapMemory {
    MapBuffer ping, pong;
};

// One slot: the next tile is fetched, the current one computed and the last one stored, all at the same time.
void run_slot(const Word* ifmap_port, const WeightWord* weight_port, const Word* residual_port, Word* ofmap_port,
              const Descriptor& d, const TileShape& shape, const Tile& fetched, const Tile& computed,
              const Tile& finished, const MapBuffer& map_read, MapBuffer& map_filled, IfmapBuffer& ifmap_filled,
              const IfmapBuffer& ifmap_read, WeightBuffer& weights_filled, const WeightBuffer& weights_read,
              OfmapBuffer& ofmap_filled, const OfmapBuffer& ofmap_read, ResidualBuffer& residual_filled,
              const ResidualBuffer& residual_read, const ParameterMemory& parameters, const ActivationTables& tables,
              uint32_t& trips, uint32_t& ifmap_words, uint32_t& weight_words, uint32_t& ofmap_words) {
#pragma HLS DATAFLOW  // no stage touches what another does; the slot lasts as long as its slowest stage
    load_ifmap(ifmap_port, map_read, d, shape, fetched, ifmap_filled, ifmap_words);
    load_weights(weight_port, d, shape, fetched, weights_filled, weight_words);
    load_residual(residual_port, d, shape, computed, residual_filled);
    compute(d, shape, computed, ifmap_read, weights_read, ofmap_filled, trips);
    store(ofmap_port, map_filled, d, shape, finished, ofmap_read, residual_read, parameters, tables, ofmap_words);
}

// The four functions below pick which half of each memory is filled and which is read. They are nested, and none is
// inlined, so that there is one copy of the stages with multiplexers in front and not one copy for each combination.
void choose_ofmap_half(const Word* ifmap_port, const WeightWord* weight_port, const Word* residual_port,
                       Word* ofmap_port, const Descriptor& d, const TileShape& shape, const Tile& fetched,
                       const Tile& computed, const Tile& finished, const MapBuffer& map_read, MapBuffer& map_filled,
                       IfmapBuffer& ifmap_filled, const IfmapBuffer& ifmap_read, WeightBuffer& weights_filled,
                       const WeightBuffer& weights_read, OfmapMemory& ofmap, const ParameterMemory& parameters,
                       const ActivationTables& tables, uint32_t& trips, uint32_t& ifmap_words, uint32_t& weight_words,
                       uint32_t& ofmap_words) {
#pragma HLS INLINE off
    if (computed.ofmap_half) {
        run_slot(ifmap_port, weight_port, residual_port, ofmap_port, d, shape, fetched, computed, finished, map_read,
                 map_filled, ifmap_filled, ifmap_read, weights_filled, weights_read, ofmap.pong, ofmap.ping,
                 ofmap.residual_pong, ofmap.residual_ping, parameters, tables, trips, ifmap_words, weight_words,
                 ofmap_words);
    } else {
        run_slot(ifmap_port, weight_port, residual_port, ofmap_port, d, shape, fetched, computed, finished, map_read,
                 map_filled, ifmap_filled, ifmap_read, weights_filled, weights_read, ofmap.ping, ofmap.pong,
                 ofmap.residual_ping, ofmap.residual_pong, parameters, tables, trips, ifmap_words, weight_words,
                 ofmap_words);
    }
}

void choose_weight_half(const Word* ifmap_port, const WeightWord* weight_port, const Word* residual_port,
                        Word* ofmap_port, const Descriptor& d, const TileShape& shape, const Tile& fetched,
                        const Tile& computed, const Tile& finished, const MapBuffer& map_read, MapBuffer& map_filled,
                        IfmapBuffer& ifmap_filled, const IfmapBuffer& ifmap_read, WeightMemory& weights,
                        OfmapMemory& ofmap, const ParameterMemory& parameters, const ActivationTables& tables,
                        uint32_t& trips, uint32_t& ifmap_words, uint32_t& weight_words, uint32_t& ofmap_words) {
#pragma HLS INLINE off
    if (computed.weight_half) {
        choose_ofmap_half(ifmap_port, weight_port, residual_port, ofmap_port, d, shape, fetched, computed, finished,
                          map_read, map_filled, ifmap_filled, ifmap_read, weights.ping, weights.pong, ofmap, parameters,
                          tables, trips, ifmap_words, weight_words, ofmap_words);
    } else {
        choose_ofmap_half(ifmap_port, weight_port, residual_port, ofmap_port, d, shape, fetched, computed, finished,
                          map_read, map_filled, ifmap_filled, ifmap_read, weights.pong, weights.ping, ofmap, parameters,
                          tables, trips, ifmap_words, weight_words, ofmap_words);
    }
}

void choose_ifmap_half(const Word* ifmap_port, const WeightWord* weight_port, const Word* residual_port,
                       Word* ofmap_port, const Descriptor& d, const TileShape& shape, const Tile& fetched,
                       const Tile& computed, const Tile& finished, const MapBuffer& map_read, MapBuffer& map_filled,
                       IfmapMemory& ifmap, WeightMemory& weights, OfmapMemory& ofmap, const ParameterMemory& parameters,
                       const ActivationTables& tables, uint32_t& trips, uint32_t& ifmap_words, uint32_t& weight_words,
                       uint32_t& ofmap_words) {
#pragma HLS INLINE off
    if (computed.ifmap_half) {
        choose_weight_half(ifmap_port, weight_port, residual_port, ofmap_port, d, shape, fetched, computed, finished,
                           map_read, map_filled, ifmap.ping, ifmap.pong, weights, ofmap, parameters, tables, trips,
                           ifmap_words, weight_words, ofmap_words);
    } else {
        choose_weight_half(ifmap_port, weight_port, residual_port, ofmap_port, d, shape, fetched, computed, finished,
                           map_read, map_filled, ifmap.pong, ifmap.ping, weights, ofmap, parameters, tables, trips,
                           ifmap_words, weight_words, ofmap_words);
    }
}

void choose_map_half(const Word* ifmap_port, const WeightWord* weight_port, const Word* residual_port, Word* ofmap_port,
                     const Descriptor& d, const TileShape& shape, const Tile& fetched, const Tile& computed,
                     const Tile& finished, MapMemory& maps, IfmapMemory& ifmap, WeightMemory& weights,
                     OfmapMemory& ofmap, const ParameterMemory& parameters, const ActivationTables& tables,
                     uint32_t& trips, uint32_t& ifmap_words, uint32_t& weight_words, uint32_t& ofmap_words) {
#pragma HLS INLINE off
    if (d.map_half) {
        choose_ifmap_half(ifmap_port, weight_port, residual_port, ofmap_port, d, shape, fetched, computed, finished,
                          maps.pong, maps.ping, ifmap, weights, ofmap, parameters, tables, trips, ifmap_words,
                          weight_words, ofmap_words);
    } else {
        choose_ifmap_half(ifmap_port, weight_port, residual_port, ofmap_port, d, shape, fetched, computed, finished,
                          maps.ping, maps.pong, ifmap, weights, ofmap, parameters, tables, trips, ifmap_words,
                          weight_words, ofmap_words);
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

// The tile after `last` in the layer's loop order, of those that make the rows of the window; or the first of them.
Tile next_tile(const Descriptor& d, const Window& window, const Tile& last, bool first) {
    const bool dense = d.operation == OPERATION_CONV;
    Tile tile = last;
    if (first) {
        tile.row = window.begin;
        tile.col = tile.out_channel = tile.in_channel = tile.out_tile = 0;
        tile.valid = window.begin < window.end;
    } else if (dense && last.in_channel + d.tile_in_channels < d.in_channels) {
        tile.in_channel += d.tile_in_channels;
    } else {
        tile.in_channel = 0;
        const bool pixels_outer = d.loop_order == LOOP_ORDER_PIXELS_OUTER;
        const int next_channel = last.out_channel + d.tile_out_channels;
        const bool more_channels = next_channel < d.out_channels;
        const bool more_cols = last.col + d.tile_width < d.out_width;
        const bool more_rows = last.row + d.tile_height < window.end;
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
            tile.col = 0;
            tile.row = window.begin;
        }
        tile.valid = last.valid && tile.out_channel < d.out_channels && tile.row < window.end;
    }
    tile.rows = lesser(d.tile_height, window.end - tile.row);
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

// The descriptors of a layer and of those that run together with it, and how many these are.
int load_group(const WeightWord* port, int program_word, int first, Descriptor (&group)[MAX_GROUP_LAYERS]) {
    constexpr int DESCRIPTOR_WORDS = DESCRIPTOR_FIELDS * 4 / AXI_BYTES;
    int size = 1;
descriptors:
    for (int layer = 0; layer < size; ++layer) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = MAX_GROUP_LAYERS
        group[layer] = load_descriptor(port, program_word + (first + layer) * DESCRIPTOR_WORDS);
        if (layer == 0) {
            size = lesser(greater(1, group[0].group_layers), MAX_GROUP_LAYERS);
        }
    }
    return size;
}

// The rows that each layer of a group makes in a band: the last makes the band's, those before it what that needs and
// bands before have not made.
void next_windows(const Descriptor (&group)[MAX_GROUP_LAYERS], int size, int band_height, int band,
                  Window (&windows)[MAX_GROUP_LAYERS]) {
    int end = (band + 1) * band_height;
layers:
    for (int layer = size - 1; layer >= 0; --layer) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = MAX_GROUP_LAYERS
        const Descriptor& d = group[layer];
        windows[layer].begin = band == 0 ? 0 : windows[layer].end;
        windows[layer].end = lesser(end, d.out_height);
        end = (windows[layer].end - 1) * d.stride - d.padding + d.kernel_height;
    }
}

// One layer, or the rows of it that a window holds: slot after slot, until the last tile is stored.
void run_layer(const Word* ifmap_port, const WeightWord* weight_port, const Word* residual_port, Word* ofmap_port,
               const Descriptor& d, const Window& window, MapMemory& maps, IfmapMemory& ifmap, WeightMemory& weights,
               OfmapMemory& ofmap, const ParameterMemory& parameters, const ActivationTables& tables, Counters& total) {
    const TileShape shape = tile_shape(d);
    Tile computed = {};
    Tile finished = {};
    Tile fetched = next_tile(d, window, computed, true);
    slots:
    while (fetched.valid || computed.valid || finished.valid) {
#pragma HLS LOOP_TRIPCOUNT min = 3 max = 65536
        uint32_t trips = 0, ifmap_words = 0, weight_words = 0, ofmap_words = 0;
        choose_map_half(ifmap_port, weight_port, residual_port, ofmap_port, d, shape, fetched, computed, finished, maps,
                        ifmap, weights, ofmap, parameters, tables, trips, ifmap_words, weight_words, ofmap_words);
        total.compute_trips += trips;
        total.ifmap_words += ifmap_words;
        total.weight_words += weight_words;
        total.ofmap_words += ofmap_words;
        finished = computed;
        computed = fetched;
        fetched = next_tile(d, window, fetched, false);
    }
}

void add(bool first, const Counters& spent, Counters& total) {
    total.compute_trips = spent.compute_trips + (first ? 0 : total.compute_trips);
    total.ifmap_words = spent.ifmap_words + (first ? 0 : total.ifmap_words);
    total.weight_words = spent.weight_words + (first ? 0 : total.weight_words);
    total.ofmap_words = spent.ofmap_words + (first ? 0 : total.ofmap_words);
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

extern "C" void conv_engine(const Word* ifmap_port, const WeightWord* weight_port, const Word* residual_port,
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
    static MapMemory maps;
    static ParameterMemory parameters;
    static ActivationTables tables;
#pragma HLS ARRAY_PARTITION variable = ifmap.ping complete dim = 1  // one bank for each word the array reads a cycle
#pragma HLS ARRAY_PARTITION variable = ifmap.pong complete dim = 1
#pragma HLS ARRAY_PARTITION variable = weights.ping complete dim = 1  // as above
#pragma HLS ARRAY_PARTITION variable = weights.pong complete dim = 1
#pragma HLS ARRAY_PARTITION variable = ofmap.ping complete dim = 1  // one bank a PE
#pragma HLS ARRAY_PARTITION variable = ofmap.pong complete dim = 1
#pragma HLS ARRAY_PARTITION variable = maps.ping complete dim = 1  // a line is read and a line written a cycle
#pragma HLS ARRAY_PARTITION variable = maps.pong complete dim = 1
#pragma HLS ARRAY_PARTITION variable = parameters complete dim = 1  // one bank a requantiser
#pragma HLS ARRAY_PARTITION variable = tables cyclic factor = WEIGHT_PORT_BYTES dim = \
    2                                                                   // a bus word is written at once
#pragma HLS ARRAY_PARTITION variable = tables complete dim = 1          // one copy a requantiser
#pragma HLS BIND_STORAGE variable = tables type = ram_1p impl = lutram  // 256 bytes would waste a block RAM

    Descriptor group[MAX_GROUP_LAYERS];
    Counters totals[MAX_GROUP_LAYERS];
    Window windows[MAX_GROUP_LAYERS];
    int first = 0;
groups:
    while (first < layer_count) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 256
        const int size = load_group(weight_port, program_word, first, group);
        const Descriptor& last = group[size - 1];
        const int bands = size > 1 ? ceil_div(last.out_height, group[0].band_height) : 1;
    bands:
        for (int band = 0; band < bands; ++band) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 256
            next_windows(group, size, size > 1 ? group[0].band_height : last.out_height, band, windows);
        layers:
            for (int layer = 0; layer < size; ++layer) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = MAX_GROUP_LAYERS
                Counters spent = {};
                if (windows[layer].begin < windows[layer].end) {
                    load_parameters(weight_port, group[layer], parameters, tables);
                    run_layer(ifmap_port, weight_port, residual_port, ofmap_port, group[layer], windows[layer], maps,
                              ifmap, weights, ofmap, parameters, tables, spent);
                }
                add(band == 0, spent, totals[layer]);
            }
        }
    counters:
        for (int layer = 0; layer < size; ++layer) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = MAX_GROUP_LAYERS
            store_counters(ofmap_port, group[layer].counter_word, totals[layer]);
        }
        first += size;
    }
}
