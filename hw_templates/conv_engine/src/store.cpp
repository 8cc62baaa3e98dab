#include "store.h"

namespace {

constexpr int WORD_GROUPS = PE_ROWS / AXI_BYTES;

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

// Where the sums of some results of one pixel lie, and what is done with them.
struct Sums {
    int address, group, pixel;  // in the banks; word of the array's rows; among PE_PIXELS
    bool doubles_row, doubles_col;
    int parameter_line;
};

Sums sums_of(const Descriptor& d, const TileShape& shape, const Tile& tile, const Cursor& at, int first_word) {
#pragma HLS INLINE
    const int row = at.row - tile.row;
    const int col = at.col - tile.col;
    Sums sums;
    sums.address = (at.word / WORD_GROUPS * tile.rows + row) * shape.pixel_groups + col / PE_PIXELS;
    sums.group = at.word % WORD_GROUPS;
    sums.pixel = col % PE_PIXELS;
    sums.doubles_row = at.row == d.out_height - 1 && shape.overhangs_below;
    sums.doubles_col = at.col == d.out_width - 1 && shape.overhangs_right;
    sums.parameter_line = (first_word + at.word) / POST_WORDS;
    return sums;
}

// POST_WORDS words of results of one pixel: those of all rows of the array, or one word of them. A residual is added only
// where a single word is wanted.
void post_process(const Descriptor& d, const OfmapBuffer& ofmap, const Sums& place, const Word& addend,
                  const ParameterMemory& parameters, const ActivationTables& tables, Word (&results)[POST_WORDS]) {
#pragma HLS INLINE off
#pragma HLS PIPELINE II = 1  // both loops of the store stage share it
    for (int lane = 0; lane < POST_LANES; ++lane) {
#pragma HLS UNROLL  // one requantiser for each lane
        int32_t sum = 0;
        for (int row = lane; row < PE_ROWS; row += POST_LANES) {
#pragma HLS UNROLL  // every bank is read at once and one is selected
            for (int p = 0; p < PE_PIXELS; ++p) {
#pragma HLS UNROLL
                const int32_t candidate = ofmap[row * PE_PIXELS + p][place.address];
                if ((POST_LANES == PE_ROWS || row / POST_LANES == place.group) && p == place.pixel) {
                    sum = candidate;
                }
            }
        }
        // Half a window counts twice, and so has the mean of what is inside the map.
        sum = place.doubles_row ? 2 * sum : sum;
        sum = place.doubles_col ? 2 * sum : sum;
        const ChannelParameters channel = parameters[lane][place.parameter_line];
        const int shift = greater(1, channel.shift);  // idle lanes of a pixel's last line have no parameters
        int64_t added = 0;
        if (d.residual != RESIDUAL_NONE) {
            added =
                rescale(addend.byte[lane % AXI_BYTES], static_cast<uint16_t>(d.residual_multiplier), d.residual_shift);
        }
        int64_t value = rescale(sum + channel.bias, channel.multiplier, shift);
        value += d.residual == RESIDUAL_BEFORE_ACTIVATION ? added : 0;
        const int8_t activated = tables[lane][saturate(value) + 128];
        results[lane / AXI_BYTES].byte[lane % AXI_BYTES] =
            d.residual == RESIDUAL_AFTER_ACTIVATION ? saturate(activated + added) : activated;
    }
}

// Up to POST_WORDS channel words of a pixel into the map memory, in banks that follow each other.
void keep(MapBuffer& maps, int place, int first_word, int count, const Word (&results)[POST_WORDS]) {
#pragma HLS INLINE
    for (int bank = 0; bank < MAP_BANKS; ++bank) {
#pragma HLS UNROLL  // each bank is written once
        const int offset = (bank + MAP_BANKS - first_word % MAP_BANKS) % MAP_BANKS;
        if (offset < count) {
            maps[bank][place + (first_word + offset) / MAP_BANKS] = results[lesser(offset, POST_WORDS - 1)];
        }
    }
}

}  // namespace

void store(Word* port, CycleClock& clock, MapBuffer& maps, const Descriptor& d, const TileShape& shape,
           const Tile& tile, const OfmapBuffer& ofmap, const ResidualBuffer& residual,
           const ParameterMemory& parameters, const ActivationTables& tables, Spent& spent) {
    spent = Spent();
    if (!tile.valid || !tile.finishes) {
        return;
    }
    const uint32_t begin = clock;
    const int first_word = tile.result_channel / AXI_BYTES;
    const int channel_words = lesser(shape.out_words - first_word, ceil_div(tile.results, AXI_BYTES));
    const int end_col = tile.col + tile.cols;
    Cursor at = {tile.row, tile.col, 0};
    Word results[POST_WORDS];
#pragma HLS ARRAY_PARTITION variable = results complete             // registers
#pragma HLS ALLOCATION function instances = post_process limit = 1  // one of the two loops runs
    if (d.ofmap_ring > 0) {
        const int pixel_lines = ceil_div(shape.out_words, MAP_BANKS);
        const int lines = tile.rows * tile.cols * ceil_div(channel_words, POST_WORDS);
        int ring_row = tile.row % d.ofmap_ring;
    lines:
        for (int i = 0; i < lines; ++i) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = OFMAP_DEPTH * PE_PIXELS
#pragma HLS PIPELINE II = 1  // as many results a cycle as the array has rows
            post_process(d, ofmap, sums_of(d, shape, tile, at, first_word), residual[0], parameters, tables, results);
            keep(maps, (ring_row * d.out_width + at.col) * pixel_lines, first_word + at.word,
                 lesser(POST_WORDS, channel_words - at.word), results);
            const int row = at.row;
            advance(at, POST_WORDS, channel_words, tile.col, end_col);
            ring_row += at.row - row;
            ring_row = ring_row == d.ofmap_ring ? 0 : ring_row;
        }
        spent.count = static_cast<uint32_t>(lines);
        spent.cycles = clock - begin;
        return;
    }
    uint32_t place = 0;
    const Bursts bursts = bursts_of(tile.rows, tile.cols, channel_words, d.out_width, shape.out_words);
bursts:
    for (int burst = 0; burst < bursts.count; ++burst) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = OFMAP_DEPTH * PE_PIXELS
        const int target = d.ofmap_word + (at.row * d.out_width + at.col) * shape.out_words + first_word;
    words:
        for (int i = 0; i < bursts.words; ++i) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = RESIDUAL_DEPTH
#pragma HLS PIPELINE II = 1  // one word of results a cycle, at addresses that follow each other
            post_process(d, ofmap, sums_of(d, shape, tile, at, first_word), residual[place], parameters, tables,
                         results);
            port[target + i] = results[at.word % POST_WORDS];
            ++place;
            advance(at, 1, channel_words, tile.col, end_col);
        }
    }
    spent.count = place;
    spent.cycles = clock - begin;
}
