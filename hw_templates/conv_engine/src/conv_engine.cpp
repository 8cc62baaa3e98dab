#include "conv_engine.h"

#include "compute.h"
#include "load.h"
#include "store.h"

namespace {

// What works at the same time as the computation: whatever fills or empties the other of two buffers. No stage touches
// what another does. The conditions are constants.
void overlap(const Word* ifmap_port, const WeightWord* weight_port, const Word* residual_port, Word* ofmap_port,
             CycleClock clocks[CLOCKS], const Descriptor& d, const TileShape& shape, const Slot& slot,
             const MapBuffer& map_read, MapBuffer& map_filled, IfmapBuffer& ifmap_filled, const IfmapBuffer& ifmap_read,
             WeightBuffer& weights_filled, const WeightBuffer& weights_read, OfmapBuffer& ofmap_filled,
             const OfmapBuffer& ofmap_read, ResidualBuffer& residual_filled, const ResidualBuffer& residual_read,
             const ParameterMemory& parameters, const ActivationTables& tables, SlotSpent& spent) {
#pragma HLS DATAFLOW  // lasts as long as its slowest stage
    if (IFMAP_BUFFERS == 2) {
        load_ifmap(ifmap_port, clocks[IFMAP_CLOCK], map_read, d, shape, slot.fetched, ifmap_filled, spent.ifmap);
    }
    if (WEIGHT_BUFFERS == 2) {
        load_weights(weight_port, clocks[WEIGHT_CLOCK], d, shape, slot.fetched, weights_filled, spent.weights);
    }
    load_residual(residual_port, clocks[RESIDUAL_CLOCK], d, shape, slot.computed, residual_filled, spent.residual);
    compute(clocks[COMPUTE_CLOCK], d, shape, slot.computed, ifmap_read, weights_read, ofmap_filled, spent.compute);
    if (OFMAP_BUFFERS == 2) {
        store(ofmap_port, clocks[STORE_CLOCK], map_filled, d, shape, slot.finished, ofmap_read, residual_read,
              parameters, tables, spent.store);
    }
}

// What overwrites a single buffer waits for the computation that reads it.
void refill(const Word* ifmap_port, const WeightWord* weight_port, CycleClock clocks[CLOCKS], const Descriptor& d,
            const TileShape& shape, const Slot& slot, const MapBuffer& map_read, IfmapBuffer& ifmap_filled,
            WeightBuffer& weights_filled, SlotSpent& spent) {
#pragma HLS DATAFLOW  // both loads at the same time
    if (IFMAP_BUFFERS == 1) {
        load_ifmap(ifmap_port, clocks[IFMAP_CLOCK], map_read, d, shape, slot.fetched, ifmap_filled, spent.ifmap);
    }
    if (WEIGHT_BUFFERS == 1) {
        load_weights(weight_port, clocks[WEIGHT_CLOCK], d, shape, slot.fetched, weights_filled, spent.weights);
    }
}

// One slot: the next tile is fetched, the current one computed and the last one stored.
void run_slot(const Word* ifmap_port, const WeightWord* weight_port, const Word* residual_port, Word* ofmap_port,
              CycleClock clocks[CLOCKS], const Descriptor& d, const TileShape& shape, const Slot& slot,
              const MapBuffer& map_read, MapBuffer& map_filled, IfmapBuffer& ifmap_filled,
              const IfmapBuffer& ifmap_read, WeightBuffer& weights_filled, const WeightBuffer& weights_read,
              OfmapBuffer& ofmap_filled, const OfmapBuffer& ofmap_read, ResidualBuffer& residual_filled,
              const ResidualBuffer& residual_read, const ParameterMemory& parameters, const ActivationTables& tables,
              SlotSpent& spent) {
    // Results leave a single buffer before the computation overwrites them.
    if (OFMAP_BUFFERS == 1) {
        store(ofmap_port, clocks[STORE_CLOCK], map_filled, d, shape, slot.finished, ofmap_read, residual_read,
              parameters, tables, spent.store);
    }
    overlap(ifmap_port, weight_port, residual_port, ofmap_port, clocks, d, shape, slot, map_read, map_filled,
            ifmap_filled, ifmap_read, weights_filled, weights_read, ofmap_filled, ofmap_read, residual_filled,
            residual_read, parameters, tables, spent);
    if (IFMAP_BUFFERS == 1 || WEIGHT_BUFFERS == 1) {
        refill(ifmap_port, weight_port, clocks, d, shape, slot, map_read, ifmap_filled, weights_filled, spent);
    }
}

// The four functions below pick which half of each memory is filled and which is read. They are nested, and none is
// inlined, so that there is one copy of the stages with multiplexers in front and not one copy for each combination.
void choose_ofmap_half(const Word* ifmap_port, const WeightWord* weight_port, const Word* residual_port,
                       Word* ofmap_port, CycleClock clocks[CLOCKS], const Descriptor& d, const TileShape& shape,
                       const Slot& slot, const MapBuffer& map_read, MapBuffer& map_filled, IfmapBuffer& ifmap_filled,
                       const IfmapBuffer& ifmap_read, WeightBuffer& weights_filled, const WeightBuffer& weights_read,
                       OfmapBuffer (&ofmap)[OFMAP_BUFFERS], ResidualBuffer (&residual)[OFMAP_BUFFERS],
                       const ParameterMemory& parameters, const ActivationTables& tables, SlotSpent& spent) {
#pragma HLS INLINE off
    constexpr int OTHER = OFMAP_BUFFERS - 1;
    if (slot.computed.ofmap_half) {
        run_slot(ifmap_port, weight_port, residual_port, ofmap_port, clocks, d, shape, slot, map_read, map_filled,
                 ifmap_filled, ifmap_read, weights_filled, weights_read, ofmap[OTHER], ofmap[0], residual[OTHER],
                 residual[0], parameters, tables, spent);
    } else {
        run_slot(ifmap_port, weight_port, residual_port, ofmap_port, clocks, d, shape, slot, map_read, map_filled,
                 ifmap_filled, ifmap_read, weights_filled, weights_read, ofmap[0], ofmap[OTHER], residual[0],
                 residual[OTHER], parameters, tables, spent);
    }
}

void choose_weight_half(const Word* ifmap_port, const WeightWord* weight_port, const Word* residual_port,
                        Word* ofmap_port, CycleClock clocks[CLOCKS], const Descriptor& d, const TileShape& shape,
                        const Slot& slot, const MapBuffer& map_read, MapBuffer& map_filled, IfmapBuffer& ifmap_filled,
                        const IfmapBuffer& ifmap_read, WeightBuffer (&weights)[WEIGHT_BUFFERS],
                        OfmapBuffer (&ofmap)[OFMAP_BUFFERS], ResidualBuffer (&residual)[OFMAP_BUFFERS],
                        const ParameterMemory& parameters, const ActivationTables& tables, SlotSpent& spent) {
#pragma HLS INLINE off
    constexpr int OTHER = WEIGHT_BUFFERS - 1;
    if (slot.computed.weight_half) {
        choose_ofmap_half(ifmap_port, weight_port, residual_port, ofmap_port, clocks, d, shape, slot, map_read,
                          map_filled, ifmap_filled, ifmap_read, weights[0], weights[OTHER], ofmap, residual, parameters,
                          tables, spent);
    } else {
        choose_ofmap_half(ifmap_port, weight_port, residual_port, ofmap_port, clocks, d, shape, slot, map_read,
                          map_filled, ifmap_filled, ifmap_read, weights[OTHER], weights[0], ofmap, residual, parameters,
                          tables, spent);
    }
}

void choose_ifmap_half(const Word* ifmap_port, const WeightWord* weight_port, const Word* residual_port,
                       Word* ofmap_port, CycleClock clocks[CLOCKS], const Descriptor& d, const TileShape& shape,
                       const Slot& slot, const MapBuffer& map_read, MapBuffer& map_filled,
                       IfmapBuffer (&ifmap)[IFMAP_BUFFERS], WeightBuffer (&weights)[WEIGHT_BUFFERS],
                       OfmapBuffer (&ofmap)[OFMAP_BUFFERS], ResidualBuffer (&residual)[OFMAP_BUFFERS],
                       const ParameterMemory& parameters, const ActivationTables& tables, SlotSpent& spent) {
#pragma HLS INLINE off
    constexpr int OTHER = IFMAP_BUFFERS - 1;
    if (slot.computed.ifmap_half) {
        choose_weight_half(ifmap_port, weight_port, residual_port, ofmap_port, clocks, d, shape, slot, map_read,
                           map_filled, ifmap[0], ifmap[OTHER], weights, ofmap, residual, parameters, tables, spent);
    } else {
        choose_weight_half(ifmap_port, weight_port, residual_port, ofmap_port, clocks, d, shape, slot, map_read,
                           map_filled, ifmap[OTHER], ifmap[0], weights, ofmap, residual, parameters, tables, spent);
    }
}

void choose_map_half(const Word* ifmap_port, const WeightWord* weight_port, const Word* residual_port, Word* ofmap_port,
                     CycleClock clocks[CLOCKS], const Descriptor& d, const TileShape& shape, const Slot& slot,
                     MapBuffer (&maps)[2], IfmapBuffer (&ifmap)[IFMAP_BUFFERS], WeightBuffer (&weights)[WEIGHT_BUFFERS],
                     OfmapBuffer (&ofmap)[OFMAP_BUFFERS], ResidualBuffer (&residual)[OFMAP_BUFFERS],
                     const ParameterMemory& parameters, const ActivationTables& tables, SlotSpent& spent) {
#pragma HLS INLINE off
    if (d.map_half) {
        choose_ifmap_half(ifmap_port, weight_port, residual_port, ofmap_port, clocks, d, shape, slot, maps[1], maps[0],
                          ifmap, weights, ofmap, residual, parameters, tables, spent);
    } else {
        choose_ifmap_half(ifmap_port, weight_port, residual_port, ofmap_port, clocks, d, shape, slot, maps[0], maps[1],
                          ifmap, weights, ofmap, residual, parameters, tables, spent);
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
    const bool keeps_sums = d.loop_order == LOOP_ORDER_INPUTS_OUTER;
    Tile tile = last;
    if (first) {
        tile.row = window.begin;
        tile.col = tile.out_channel = tile.in_channel = tile.out_tile = 0;
        tile.valid = window.begin < window.end;
    } else {
        const int next_channel = last.out_channel + d.tile_out_channels;
        const bool more_inputs = dense && last.in_channel + d.tile_in_channels < d.in_channels;
        const bool more_outputs = next_channel < d.out_channels;
        const bool more_cols = last.col + d.tile_width < d.out_width;
        const bool more_pixels = more_cols || last.row + d.tile_height < window.end;
        const bool pixels_inside = d.loop_order == LOOP_ORDER_CHANNELS_OUTER;
        // Of the three loops, the innermost that has another tile steps; those inside it begin again.
        const bool step_inputs = more_inputs && !(keeps_sums && more_outputs);
        const bool step_outputs =
            keeps_sums ? more_outputs : !more_inputs && (pixels_inside ? !more_pixels : more_outputs);
        const bool step_pixels = !step_inputs && !step_outputs;
        if (step_inputs) {
            tile.in_channel += d.tile_in_channels;
        } else if (!keeps_sums || step_pixels) {
            tile.in_channel = 0;
        }
        if (step_outputs) {
            tile.out_channel = next_channel;
            ++tile.out_tile;
        } else if (keeps_sums || (step_pixels && !pixels_inside)) {
            tile.out_channel = tile.out_tile = 0;
        }
        if (step_pixels) {
            tile.col = more_cols ? last.col + d.tile_width : 0;
            tile.row = more_cols ? last.row : last.row + d.tile_height;
        } else if (step_outputs && pixels_inside) {
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
    const bool last_in = !dense || tile.in_channel + d.tile_in_channels >= d.in_channels;
    const bool last_out = tile.out_channel + d.tile_out_channels >= d.out_channels;
    tile.first_in = !dense || tile.in_channel == 0;
    tile.first_group = keeps_sums ? tile.out_channel / PE_ROWS : 0;
    tile.finishes = last_in && (last_out || !keeps_sums);
    tile.result_channel = keeps_sums ? 0 : tile.out_channel;
    tile.results = keeps_sums ? d.out_channels : tile.out_channels;
    const bool moved = first || tile.row != last.row || tile.col != last.col;
    const bool other_inputs = first || tile.in_channel != last.in_channel;
    const bool other_outputs = first || tile.out_channel != last.out_channel;
    // What a buffer already holds is not fetched again; what is fetched goes to the other half, if there is one.
    tile.fetch_ifmap = moved || other_inputs;
    tile.fetch_weights = other_inputs || other_outputs;
    tile.ifmap_half = IFMAP_BUFFERS == 2 && last.ifmap_half != tile.fetch_ifmap;
    tile.weight_half = WEIGHT_BUFFERS == 2 && last.weight_half != tile.fetch_weights;
    tile.ofmap_half = OFMAP_BUFFERS == 2 && last.ofmap_half != last.finishes;
    tile.weight_word = weight_word_of(d, tile);
    return tile;
}

// The descriptors of a layer and of those that run together with it, and how many these are.
int load_group(const WeightWord* port, int program_word, int first, Descriptor (&group)[MAX_GROUP_LAYERS]) {
#pragma HLS INLINE
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

// What a slot adds to its layer's counters.
void count(const SlotSpent& spent, Counters& total) {
#pragma HLS INLINE
    const int computed = static_cast<int>(spent.compute.cycles);
    const int ifmap = static_cast<int>(spent.ifmap.cycles);
    const int weights = static_cast<int>(spent.weights.cycles);
    const int stored = static_cast<int>(spent.store.cycles);
    // Beside the computation, and after it.
    int beside = static_cast<int>(spent.residual.cycles);
    beside = IFMAP_BUFFERS == 2 ? greater(beside, ifmap) : beside;
    beside = WEIGHT_BUFFERS == 2 ? greater(beside, weights) : beside;
    int after = 0;
    after = IFMAP_BUFFERS == 1 ? greater(after, ifmap) : after;
    after = WEIGHT_BUFFERS == 1 ? greater(after, weights) : after;
    const int longest = greater(computed, beside);
    total.trips.compute_trips += spent.compute.count;
    total.trips.ifmap_words += spent.ifmap.count;
    total.trips.weight_words += spent.weights.count;
    total.trips.ofmap_words += spent.store.count;
    total.compute_cycles += computed;
    total.load_wait_cycles += longest - computed + after;
    total.store_wait_cycles += OFMAP_BUFFERS == 1 ? stored : greater(stored, longest) - longest;
}

// One layer, or the rows of it that a window holds: slot after slot, until the last tile is stored.
void run_layer(const Word* ifmap_port, const WeightWord* weight_port, const Word* residual_port, Word* ofmap_port,
               CycleClock clocks[CLOCKS], const Descriptor& d, const Window& window, MapBuffer (&maps)[2],
               IfmapBuffer (&ifmap)[IFMAP_BUFFERS], WeightBuffer (&weights)[WEIGHT_BUFFERS],
               OfmapBuffer (&ofmap)[OFMAP_BUFFERS], ResidualBuffer (&residual)[OFMAP_BUFFERS],
               const ParameterMemory& parameters, const ActivationTables& tables, Counters& total) {
    const TileShape shape = tile_shape(d);
    Slot slot = {};
    slot.fetched = next_tile(d, window, slot.computed, true);
    slots:
    while (slot.fetched.valid || slot.computed.valid || slot.finished.valid) {
#pragma HLS LOOP_TRIPCOUNT min = 3 max = 65536
        SlotSpent spent = {};
        choose_map_half(ifmap_port, weight_port, residual_port, ofmap_port, clocks, d, shape, slot, maps, ifmap,
                        weights, ofmap, residual, parameters, tables, spent);
        count(spent, total);
        slot.finished = slot.computed;
        slot.computed = slot.fetched;
        slot.fetched = next_tile(d, window, slot.fetched, false);
    }
}

void store_counters(Word* port, int word, const Counters& counters) {
    constexpr int VALUES = sizeof(Counters) / 4;
    const Trips& trips = counters.trips;
    const uint32_t values[VALUES] = {trips.compute_trips,       trips.ifmap_words,         trips.weight_words,
                                     trips.ofmap_words,         counters.total_cycles,     counters.compute_cycles,
                                     counters.load_wait_cycles, counters.store_wait_cycles};
    for (int i = 0; i < VALUES * 4 / AXI_BYTES; ++i) {
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
                            Word* ofmap_port, int program_word, int layer_count, CycleClock clocks[CLOCKS]) {
// Four ports, so that the two loads, the residual and the results do not wait for each other. Depth is for co-simulation.
#pragma HLS INTERFACE m_axi port = ifmap_port bundle = ifmap offset = slave max_read_burst_length = 64 depth = 1048576
#pragma HLS INTERFACE m_axi port = weight_port bundle = weights offset = slave max_read_burst_length = 64 depth = \
    1048576
#pragma HLS INTERFACE m_axi port = residual_port bundle = residual offset = slave max_read_burst_length = 64 depth = \
    1048576
#pragma HLS INTERFACE m_axi port = ofmap_port bundle = ofmap offset = slave max_write_burst_length = 64 depth = 1048576
// The register map of hw_templates/conv_engine/registers.py.
#pragma HLS INTERFACE s_axilite port = ifmap_port bundle = control offset = 0x10
#pragma HLS INTERFACE s_axilite port = weight_port bundle = control offset = 0x1c
#pragma HLS INTERFACE s_axilite port = residual_port bundle = control offset = 0x28
#pragma HLS INTERFACE s_axilite port = ofmap_port bundle = control offset = 0x34
#pragma HLS INTERFACE s_axilite port = program_word bundle = control offset = 0x40
#pragma HLS INTERFACE s_axilite port = layer_count bundle = control offset = 0x48
#pragma HLS INTERFACE s_axilite port = return bundle = control
// A wire for each stage that looks at the time.
#pragma HLS ARRAY_PARTITION variable = clocks complete
#pragma HLS INTERFACE ap_none port = clocks
    // Static: on-chip memories, not a stack.
    static IfmapBuffer ifmap[IFMAP_BUFFERS];
    static WeightBuffer weights[WEIGHT_BUFFERS];
    static OfmapBuffer ofmap[OFMAP_BUFFERS];
    static ResidualBuffer residual[OFMAP_BUFFERS];
    static MapBuffer maps[2];
    static ParameterMemory parameters;
    static ActivationTables tables;
#pragma HLS ARRAY_PARTITION variable = ifmap complete dim = 1    // each buffer is an array of its own
#pragma HLS ARRAY_PARTITION variable = ifmap complete dim = 2    // one bank for each word the array reads a cycle
#pragma HLS ARRAY_PARTITION variable = weights complete dim = 1  // as above
#pragma HLS ARRAY_PARTITION variable = weights complete dim = 2
#pragma HLS ARRAY_PARTITION variable = ofmap complete dim = 1
#pragma HLS ARRAY_PARTITION variable = ofmap complete dim = 2  // one bank a PE
#pragma HLS ARRAY_PARTITION variable = residual complete dim = 1
#pragma HLS ARRAY_PARTITION variable = maps complete dim = 1
#pragma HLS ARRAY_PARTITION variable = maps complete dim = 2        // a line is read and a line written a cycle
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
        const uint32_t asked = clocks[LAYER_CLOCK];
        const int size = load_group(weight_port, program_word, first, group);
        const uint32_t described = clocks[LAYER_CLOCK] - asked;
        const Descriptor& last = group[size - 1];
        const int bands = size > 1 ? ceil_div(last.out_height, group[0].band_height) : 1;
    bands:
        for (int band = 0; band < bands; ++band) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 256
            next_windows(group, size, size > 1 ? group[0].band_height : last.out_height, band, windows);
        layers:
            for (int layer = 0; layer < size; ++layer) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = MAX_GROUP_LAYERS
                if (band == 0) {
                    totals[layer] = Counters();
                    totals[layer].total_cycles = layer == 0 ? described : 0;
                }
                const uint32_t begin = clocks[LAYER_CLOCK];
                if (windows[layer].begin < windows[layer].end) {
                    load_parameters(weight_port, group[layer], parameters, tables);
                    run_layer(ifmap_port, weight_port, residual_port, ofmap_port, clocks, group[layer], windows[layer],
                              maps, ifmap, weights, ofmap, residual, parameters, tables, totals[layer]);
                }
                totals[layer].total_cycles += clocks[LAYER_CLOCK] - begin;
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
