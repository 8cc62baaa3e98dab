// Words, buffers, and the tile that travels through the three stages.
#pragma once

#include <cstdint>

#include "config.h"
#include "isa.h"

// What a memory port moves in one cycle. HLS packs the struct into one AXI word.
struct Word {
    int8_t byte[AXI_BYTES];
};

// One half of each ping-pong buffer. Both halves exist as arrays of their own, so that a stage that fills one
// and a stage that reads the other share nothing.
typedef Word IfmapBuffer[IFMAP_BANKS][IFMAP_DEPTH];
typedef Word WeightBuffer[WEIGHT_BANKS][WEIGHT_DEPTH];
typedef int32_t OfmapBuffer[OFMAP_BANKS][OFMAP_DEPTH];
typedef Word ResidualBuffer[RESIDUAL_DEPTH];

// Post-processing of one output channel: (sum + bias) * multiplier >> shift, rounded.
struct ChannelParameters {
    int32_t bias;
    uint16_t multiplier;
    uint8_t shift;
};

// One copy of the activation table and one bank of parameters for each channel of a word.
typedef ChannelParameters ParameterMemory[AXI_BYTES][PARAMETER_DEPTH];
typedef int8_t ActivationTables[AXI_BYTES][256];

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
    bool first_in, last_in;           // position in the sum over input channels
    bool fetch_ifmap, fetch_weights;  // differs from what the buffers hold
    bool ifmap_half, weight_half, ofmap_half;
};

// Trip counts of the stages, written back after each layer; they are what the cost model states.
struct Counters {
    uint32_t compute_trips;
    uint32_t ifmap_words;
    uint32_t weight_words;
    uint32_t ofmap_words;
};

inline int ceil_div(int a, int b) { return (a + b - 1) / b; }
inline int lesser(int a, int b) { return a < b ? a : b; }
inline int greater(int a, int b) { return a > b ? a : b; }

// Words that hold so many weights.
inline int weight_words(const Descriptor& d, int weights) {
    return d.four_bit_weights ? ceil_div(weights, 2 * AXI_BYTES) : ceil_div(weights, AXI_BYTES);
}
