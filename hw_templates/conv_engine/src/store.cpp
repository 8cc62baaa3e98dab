#include "store.h"

namespace {

// value * multiplier / 2^shift, halves rounded towards plus infinity.
int64_t rescale(int32_t value, uint16_t multiplier, int shift) {
#pragma HLS INLINE
    const int64_t product = static_cast<int64_t>(value) * multiplier;
    return (product + (static_cast<int64_t>(1) << (shift - 1))) >> shift;
}

int8_t saturate(int64_t value) {
#pragma HLS INLINE
    return static_cast<int8_t>(value < -128 ? -128 : (value > 127 ? 127 : value));
}

}  // namespace

void store(Word* port, const Descriptor& d, const TileShape& shape, const Tile& tile, const OfmapBuffer& ofmap,
           const ResidualBuffer& residual, const ParameterMemory& parameters, const ActivationTables& tables,
           uint32_t& words) {
    words = 0;
    if (!tile.valid || !tile.last_in) {
        return;
    }
    const int first_word = tile.out_channel / AXI_BYTES;
    const int channel_words = lesser(shape.out_words - first_word, ceil_div(tile.out_channels, AXI_BYTES));
rows:
    for (int row = 0; row < tile.rows; ++row) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = OFMAP_DEPTH
    cols:
        for (int col = 0; col < tile.cols; ++col) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = OFMAP_DEPTH * PE_PIXELS
            const int pixel = (tile.row + row) * d.out_width + tile.col + col;
            const int place = pixel * shape.out_words + first_word;
            const bool last_row = tile.row + row == d.out_height - 1;
            const bool last_col = tile.col + col == d.out_width - 1;
        channels:
            for (int c = 0; c < channel_words; ++c) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = PARAMETER_DEPTH
#pragma HLS LOOP_FLATTEN     // rows that follow each other in memory become one burst
#pragma HLS PIPELINE II = 1  // one word of results a cycle: as fast as the port takes them
                constexpr int WORD_GROUPS = PE_ROWS / AXI_BYTES;
                const int address = (c / WORD_GROUPS * tile.rows + row) * shape.pixel_groups + col / PE_PIXELS;
                const Word addend = residual[words];
                Word result;
                for (int lane = 0; lane < AXI_BYTES; ++lane) {
#pragma HLS UNROLL  // one requantiser for each channel of a word
                    int32_t sum = 0;
                    for (int group = 0; group < WORD_GROUPS; ++group) {
#pragma HLS UNROLL  // every bank is read at once and one is selected
                        for (int p = 0; p < PE_PIXELS; ++p) {
#pragma HLS UNROLL
                            const int32_t candidate = ofmap[(group * AXI_BYTES + lane) * PE_PIXELS + p][address];
                            if (group == c % WORD_GROUPS && p == col % PE_PIXELS) {
                                sum = candidate;
                            }
                        }
                    }
                    // Half a window counts twice, and so has the mean of what is inside the map.
                    sum = last_row && shape.overhangs_below ? 2 * sum : sum;
                    sum = last_col && shape.overhangs_right ? 2 * sum : sum;
                    const ChannelParameters channel = parameters[lane][first_word + c];
                    int64_t added = 0;
                    if (d.residual != RESIDUAL_NONE) {
                        added =
                            rescale(addend.byte[lane], static_cast<uint16_t>(d.residual_multiplier), d.residual_shift);
                    }
                    int64_t value = rescale(sum + channel.bias, channel.multiplier, channel.shift);
                    value += d.residual == RESIDUAL_BEFORE_ACTIVATION ? added : 0;
                    const int8_t activated = tables[lane][saturate(value) + 128];
                    result.byte[lane] =
                        d.residual == RESIDUAL_AFTER_ACTIVATION ? saturate(activated + added) : activated;
                }
                port[d.ofmap_word + place + c] = result;
                ++words;
            }
        }
    }
}
