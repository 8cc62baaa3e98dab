// Words, buffers, and the tile that travels through the three stages.
#pragma once

#include <cstdint>

#include "config.h"
#include "isa.h"

// What a memory port moves in one cycle. HLS packs the struct into one AXI word.
struct Word {
    int8_t byte[AXI_BYTES];
};

// What the weight port moves in one cycle; it fills neighbouring banks.
struct WeightWord {
    Word word[WEIGHT_PORT_WORDS];
};

// One buffer of each kind. Where there are two, for ping-pong, they are arrays of their own, so that a stage that fills
// one and a stage that reads the other share nothing.
typedef Word IfmapBuffer[IFMAP_BANKS][IFMAP_DEPTH];
typedef Word WeightBuffer[WEIGHT_BANKS][WEIGHT_DEPTH];
typedef int32_t OfmapBuffer[OFMAP_BANKS][OFMAP_DEPTH];
typedef Word ResidualBuffer[RESIDUAL_DEPTH];
// Maps that stay on chip, pixel by pixel: the channel words of a pixel go round the banks.
typedef Word MapBuffer[MAP_BANKS][MAP_DEPTH];

// Post-processing of one output channel: (sum + bias) * multiplier >> shift, rounded.
struct ChannelParameters {
    int32_t bias;
    uint16_t multiplier;
    uint8_t shift;
};

// One copy of the activation table and one bank of parameters for each requantiser.
typedef ChannelParameters ParameterMemory[POST_LANES][PARAMETER_DEPTH];
typedef int8_t ActivationTables[POST_LANES][256];

// Rows of a layer's result that one run of it makes; all of them unless it runs band by band.
struct Window {
    int begin, end;
};

// Shape of one layer's tiles that every stage needs; fixed while a layer runs.
struct TileShape {
    int in_rows;                            // padded input rows of a full tile
    int slots_per_phase;                    // ifmap words of one row, one column phase and one bank
    int pixel_groups;                       // groups of PE_PIXELS output columns in a full tile
    int in_words;                           // words of all input channels of a pixel
    int out_words;                          // words of all output channels of a pixel
    bool overhangs_below, overhangs_right;  // whether the last windows of an average lie half outside the map
};

// One step of a layer: the part of each map it touches, and what must be fetched for it.
struct Tile {
    bool valid;
    int row, col, rows, cols;         // output pixels
    int out_channel, out_channels;    // first and number
    int out_tile;                     // tiles of output channels before this one
    int in_channel, in_channels;      // first and number; those of the result in channel-wise layers
    int weight_word;                  // where this tile's weights start, relative to the layer's
    int first_group;                  // of PE_ROWS sums in the ofmap buffer: where this tile's begin
    bool first_in;                    // whether sums begin with this tile
    bool finishes;                    // whether results can be stored after it
    int result_channel, results;      // first and number of the channels that are then stored
    bool fetch_ifmap, fetch_weights;  // differs from what the buffers hold
    bool ifmap_half, weight_half, ofmap_half;
};

// The three tiles of a slot.
struct Slot {
    Tile fetched, computed, finished;
};

// What a stage did in a slot: trips, words or lines, and the cycles that it took.
struct Spent {
    uint32_t count, cycles;
};

// What all stages did in a slot.
struct SlotSpent {
    Spent ifmap, weights, residual, compute, store;
};

// Who reads which copy of the cycle counter: each stage has one of its own, so that stages share nothing.
enum Clock { IFMAP_CLOCK, WEIGHT_CLOCK, RESIDUAL_CLOCK, COMPUTE_CLOCK, STORE_CLOCK, LAYER_CLOCK, CLOCKS };

// It counts cycles outside. A stage reads it before its first loop and after its last: loops are states of their own.
typedef const volatile uint32_t CycleClock;

// What the cost model states exactly. Where a map stays on chip, lines of the map memory count instead of words of a port.
struct Trips {
    uint32_t compute_trips;
    uint32_t ifmap_words;
    uint32_t weight_words;
    uint32_t ofmap_words;
};

// Written back after each layer: trips, and the cycles that the cost model is calibrated with.
struct Counters {
    Trips trips;
    uint32_t total_cycles;       // with the setup of each run
    uint32_t compute_cycles;     // in which the array or the depthwise unit worked
    uint32_t load_wait_cycles;   // by which slots lasted longer because of what was loaded
    uint32_t store_wait_cycles;  // and because of what was stored
};

inline int ceil_div(int a, int b) { return (a + b - 1) / b; }
inline int lesser(int a, int b) { return a < b ? a : b; }
inline int greater(int a, int b) { return a > b ? a : b; }

// Memory words that hold so many weights of a tile, which ends with a whole word of the weight port.
inline int weight_words(const Descriptor& d, int weights) {
    const int bytes = d.four_bit_weights ? ceil_div(weights, 2) : weights;
    return ceil_div(bytes, AXI_BYTES * WEIGHT_PORT_WORDS) * WEIGHT_PORT_WORDS;
}

// Words of a part of a map that follow each other in memory, and how many such bursts make the part.
struct Bursts {
    int count, words;
};

// A part of so many rows, columns and channel words; its rows are one burst where it has all channels of its pixels, and
// all of it is one where it has all columns too.
inline Bursts bursts_of(int rows, int cols, int words, int map_cols, int map_words) {
    const bool whole_pixels = words == map_words;
    const bool whole_rows = whole_pixels && cols == map_cols;
    Bursts bursts;
    bursts.count = whole_rows ? 1 : (whole_pixels ? rows : rows * cols);
    bursts.words = whole_rows ? rows * cols * words : (whole_pixels ? cols * words : words);
    return bursts;
}

// A word of a part of a map: row, column and channel word.
struct Cursor {
    int row, col, word;
};

// To the next word, or some words on: channels innermost, then the columns first_col to end_col.
inline void advance(Cursor& at, int step, int words, int first_col, int end_col) {
    at.word += step;
    if (at.word >= words) {
        at.word = 0;
        if (++at.col == end_col) {
            at.col = first_col;
            ++at.row;
        }
    }
}
