#include "load.h"

namespace {

// Little-endian 32-bit value at a byte position within consecutive words.
template <int WORDS>
int32_t int32_at(const Word (&words)[WORDS], int position) {
#pragma HLS INLINE
    uint32_t value = 0;
    for (int i = 0; i < 4; ++i) {
#pragma HLS UNROLL  // wires only
        const int at = position + i;
        value |= static_cast<uint32_t>(static_cast<uint8_t>(words[at / AXI_BYTES].byte[at % AXI_BYTES])) << (8 * i);
    }
    return static_cast<int32_t>(value);
}

}  // namespace

Descriptor load_descriptor(const Word* port, int word) {
    constexpr int WORDS = DESCRIPTOR_FIELDS * 4 / AXI_BYTES;
    Word raw[WORDS];
#pragma HLS ARRAY_PARTITION variable = raw complete  // all fields are unpacked at once
words:
    for (int i = 0; i < WORDS; ++i) {
#pragma HLS PIPELINE II = 1  // one bus word a cycle
        raw[i] = port[word + i];
    }
    int32_t fields[DESCRIPTOR_FIELDS];
#pragma HLS ARRAY_PARTITION variable = fields complete  // registers
    for (int i = 0; i < DESCRIPTOR_FIELDS; ++i) {
#pragma HLS UNROLL  // wires only
        fields[i] = int32_at(raw, 4 * i);
    }
    return unpack_descriptor(fields);
}

void load_parameters(const Word* port, const Descriptor& d, ParameterMemory& parameters, ActivationTables& tables) {
    constexpr int RECORD_BYTES = 8;
    const int groups = ceil_div(d.out_channels, AXI_BYTES);
    Word raw[RECORD_BYTES];                          // the records of one word's channels fill exactly this many words
#pragma HLS ARRAY_PARTITION variable = raw complete  // all lanes are unpacked at once
words:
    for (int i = 0; i < groups * RECORD_BYTES; ++i) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = PARAMETER_DEPTH * RECORD_BYTES
#pragma HLS PIPELINE II = 1  // one bus word a cycle, in one burst
        raw[i % RECORD_BYTES] = port[d.parameter_word + i];
        if (i % RECORD_BYTES == RECORD_BYTES - 1) {
            for (int lane = 0; lane < AXI_BYTES; ++lane) {
#pragma HLS UNROLL  // each lane has its own bank
                const int32_t scaling = int32_at(raw, RECORD_BYTES * lane + 4);
                ChannelParameters& channel = parameters[lane][i / RECORD_BYTES];
                channel.bias = int32_at(raw, RECORD_BYTES * lane);
                channel.multiplier = static_cast<uint16_t>(scaling & 0xFFFF);
                channel.shift = static_cast<uint8_t>((scaling >> 16) & 0xFF);
            }
        }
    }
table:
    for (int i = 0; i < 256 / AXI_BYTES; ++i) {
#pragma HLS PIPELINE II = 1  // one bus word a cycle: each of its bytes has a bank of its own
        const Word word = port[d.table_word + i];
        for (int b = 0; b < AXI_BYTES; ++b) {
            for (int lane = 0; lane < AXI_BYTES; ++lane) {
                tables[lane][i * AXI_BYTES + b] = word.byte[b];
            }
        }
    }
}

void load_ifmap(const Word* port, const Descriptor& d, const TileShape& shape, const Tile& tile, IfmapBuffer& buffer,
                uint32_t& words) {
    words = 0;
    if (!tile.valid || !tile.fetch_ifmap) {
        return;
    }
    // The part of the tile that lies inside the map; what lies outside is masked when it is read.
    const int top = tile.row * d.stride - d.padding;
    const int left = tile.col * d.stride - d.padding;
    const int first_row = greater(0, top);
    const int first_col = greater(0, left);
    const int end_row = lesser(d.in_height, top + (tile.rows - 1) * d.stride + d.kernel_height);
    const int end_col = lesser(d.in_width, left + (tile.cols - 1) * d.stride + d.kernel_width);
    const int first_word = tile.in_channel / AXI_BYTES;
    const int channel_words = lesser(shape.in_words - first_word, ceil_div(tile.in_channels, AXI_BYTES));
rows:
    for (int row = first_row; row < end_row; ++row) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = IFMAP_DEPTH
    cols:
        for (int col = first_col; col < end_col; ++col) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = IFMAP_DEPTH
            // Neighbouring output pixels read columns one stride apart: these go to different banks.
            const int across = (col - left) / d.stride;
            const int phase = (col - left) % d.stride;
            const int slot = phase * shape.slots_per_phase + across / PE_PIXELS;
            const int line = d.stride * shape.slots_per_phase;
            const int source = d.ifmap_word + (row * d.in_width + col) * shape.in_words + first_word;
        channels:
            for (int c = 0; c < channel_words; ++c) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = PARAMETER_DEPTH
#pragma HLS LOOP_FLATTEN     // rows that follow each other in memory become one burst
#pragma HLS PIPELINE II = 1  // one bus word a cycle
                const int bank = (across % PE_PIXELS) * WORDS_PER_COL_GROUP + c % WORDS_PER_COL_GROUP;
                const int group = c / WORDS_PER_COL_GROUP;
                buffer[bank][(group * shape.in_rows + row - top) * line + slot] = port[source + c];
                ++words;
            }
        }
    }
}

void load_weights(const Word* port, const Descriptor& d, const TileShape& shape, const Tile& tile, WeightBuffer& buffer,
                  uint32_t& words) {
    words = 0;
    if (!tile.valid || !tile.fetch_weights || d.operation == OPERATION_POOL || d.operation == OPERATION_MAX_POOL) {
        return;
    }
    const int taps = d.kernel_height * d.kernel_width;
    int count = 0;
    if (d.operation == OPERATION_CONV) {
        const int groups = ceil_div(tile.out_channels, PE_ROWS) * ceil_div(tile.in_channels, PE_COLS);
        count = weight_words(d, taps * groups * PE_ROWS * PE_COLS);
    } else if (d.operation == OPERATION_DEPTHWISE) {
        const int channels = ceil_div(tile.out_channels, DEPTHWISE_LANES) * DEPTHWISE_LANES;
        count = weight_words(d, taps * channels);
    } else {  // the gate of a scale is a map of one pixel
        count = lesser(shape.out_words - tile.out_channel / AXI_BYTES, ceil_div(tile.out_channels, AXI_BYTES));
    }
    const int source = d.weight_word + tile.weight_word;
words:
    for (int i = 0; i < count; ++i) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = WEIGHT_BANKS * WEIGHT_DEPTH
#pragma HLS PIPELINE II = 1  // one bus word a cycle, in one burst
        buffer[i % WEIGHT_BANKS][i / WEIGHT_BANKS] = port[source + i];
    }
    words = static_cast<uint32_t>(count);
}

// Fetched while the tile is computed, in the order in which it will be stored.
void load_residual(const Word* port, const Descriptor& d, const TileShape& shape, const Tile& tile,
                   ResidualBuffer& buffer) {
    if (!tile.valid || !tile.last_in || d.residual == RESIDUAL_NONE) {
        return;
    }
    const int first_word = tile.out_channel / AXI_BYTES;
    const int channel_words = lesser(shape.out_words - first_word, ceil_div(tile.out_channels, AXI_BYTES));
    int place = 0;
rows:
    for (int row = 0; row < tile.rows; ++row) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = OFMAP_DEPTH
    cols:
        for (int col = 0; col < tile.cols; ++col) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = OFMAP_DEPTH * PE_PIXELS
            const int pixel = (tile.row + row) * d.out_width + tile.col + col;
            const int source = d.residual_word + pixel * shape.out_words + first_word;
        channels:
            for (int c = 0; c < channel_words; ++c) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = PARAMETER_DEPTH
#pragma HLS LOOP_FLATTEN     // rows that follow each other in memory become one burst
#pragma HLS PIPELINE II = 1  // one bus word a cycle
                buffer[place++] = port[source + c];
            }
        }
    }
}
