#include "load.h"

namespace {

// The part of a map that a tile reads: rows, columns and channel words.
struct InputTile {
    int top, left;  // of the tile; outside the map where there is padding
    int first_row, end_row, first_col, end_col;
    int first_word, words;
};

// Where a column of a tile lies in the ifmap buffer. Neighbouring output pixels read columns one stride apart: these go
// to different banks.
struct ColumnPlace {
    int first_bank;
    int slot;
};

ColumnPlace column_place(const Descriptor& d, const TileShape& shape, int col) {
#pragma HLS INLINE
    const int across = col / d.stride;
    ColumnPlace place;
    place.first_bank = across % PE_PIXELS * WORDS_PER_COL_GROUP;
    place.slot = col % d.stride * shape.slots_per_phase + across / PE_PIXELS;
    return place;
}

uint32_t load_from_memory(const Word* port, const Descriptor& d, const TileShape& shape, const InputTile& input,
                          IfmapBuffer& buffer) {
#pragma HLS INLINE
    const int line = d.stride * shape.slots_per_phase;
    const Bursts bursts = bursts_of(input.end_row - input.first_row, input.end_col - input.first_col, input.words,
                                    d.in_width, shape.in_words);
    Cursor at = {input.first_row, input.first_col, 0};
bursts:
    for (int burst = 0; burst < bursts.count; ++burst) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = IFMAP_DEPTH
        const int source = d.ifmap_word + (at.row * d.in_width + at.col) * shape.in_words + input.first_word;
    words:
        for (int i = 0; i < bursts.words; ++i) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = IFMAP_BANKS * IFMAP_DEPTH
#pragma HLS PIPELINE II = 1  // one bus word a cycle, at addresses that follow each other
            const ColumnPlace place = column_place(d, shape, at.col - input.left);
            const int bank = place.first_bank + at.word % WORDS_PER_COL_GROUP;
            const int group = at.word / WORDS_PER_COL_GROUP;
            buffer[bank][(group * shape.in_rows + at.row - input.top) * line + place.slot] = port[source + i];
            advance(at, 1, input.words, input.first_col, input.end_col);
        }
    }
    return static_cast<uint32_t>(bursts.count * bursts.words);
}

// A line of the ifmap buffer a cycle: the channel words of a pixel lie in banks that follow each other.
uint32_t load_from_map(const MapBuffer& maps, const Descriptor& d, const TileShape& shape, const InputTile& input,
                       IfmapBuffer& buffer) {
#pragma HLS INLINE
    const int line = d.stride * shape.slots_per_phase;
    const int pixel_lines = ceil_div(shape.in_words, MAP_BANKS);
    uint32_t lines = 0;
    int ring_row = input.first_row % d.ifmap_ring;
rows:
    for (int row = input.first_row; row < input.end_row; ++row) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = IFMAP_DEPTH
    cols:
        for (int col = input.first_col; col < input.end_col; ++col) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = IFMAP_DEPTH
            const ColumnPlace place = column_place(d, shape, col - input.left);
            const int source = (ring_row * d.in_width + col) * pixel_lines;
        channels:
            for (int c = 0; c < input.words; c += WORDS_PER_COL_GROUP) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = MAX_CHANNELS / AXI_BYTES / WORDS_PER_COL_GROUP
#pragma HLS LOOP_FLATTEN
#pragma HLS PIPELINE II = 1  // all banks at once
                const int first = input.first_word + c;
                Word fetched[MAP_BANKS];
#pragma HLS ARRAY_PARTITION variable = fetched complete  // registers
                for (int bank = 0; bank < MAP_BANKS; ++bank) {
#pragma HLS UNROLL  // each bank is read once
                    const int word = first + (bank + MAP_BANKS - first % MAP_BANKS) % MAP_BANKS;
                    // Banks whose word is not wanted may stand at the end of the memory.
                    fetched[bank] = maps[bank][lesser(source + word / MAP_BANKS, MAP_DEPTH - 1)];
                }
                const int target = (c / WORDS_PER_COL_GROUP * shape.in_rows + row - input.top) * line + place.slot;
                for (int w = 0; w < WORDS_PER_COL_GROUP; ++w) {
#pragma HLS UNROLL  // each bank of the pixel is written once
                    buffer[place.first_bank + w][target] = fetched[(first + w) % MAP_BANKS];
                }
                ++lines;
            }
        }
        ring_row = ring_row + 1 == d.ifmap_ring ? 0 : ring_row + 1;
    }
    return lines;
}

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

Descriptor load_descriptor(const WeightWord* port, int word) {
    constexpr int WORDS = DESCRIPTOR_FIELDS * 4 / AXI_BYTES;
    Word raw[WORDS];
#pragma HLS ARRAY_PARTITION variable = raw complete  // all fields are unpacked at once
words:
    for (int i = 0; i < WORDS / WEIGHT_PORT_WORDS; ++i) {
#pragma HLS PIPELINE II = 1  // one bus word a cycle
        const WeightWord wide = port[word / WEIGHT_PORT_WORDS + i];
        for (int w = 0; w < WEIGHT_PORT_WORDS; ++w) {
#pragma HLS UNROLL  // wires only
            raw[i * WEIGHT_PORT_WORDS + w] = wide.word[w];
        }
    }
    int32_t fields[DESCRIPTOR_FIELDS];
#pragma HLS ARRAY_PARTITION variable = fields complete  // registers
    for (int i = 0; i < DESCRIPTOR_FIELDS; ++i) {
#pragma HLS UNROLL  // wires only
        fields[i] = int32_at(raw, 4 * i);
    }
    return unpack_descriptor(fields);
}

void load_parameters(const WeightWord* port, const Descriptor& d, ParameterMemory& parameters,
                     ActivationTables& tables) {
    constexpr int RECORD_BYTES = 8;
    const int groups = ceil_div(d.out_channels, AXI_BYTES);
    Word raw[RECORD_BYTES];                          // the records of one word's channels fill exactly this many words
#pragma HLS ARRAY_PARTITION variable = raw complete  // all lanes are unpacked at once
words:
    for (int i = 0; i < groups * RECORD_BYTES / WEIGHT_PORT_WORDS; ++i) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = PARAMETER_DEPTH * POST_WORDS * RECORD_BYTES
#pragma HLS PIPELINE II = 1  // one bus word a cycle, in one burst
        const WeightWord wide = port[d.parameter_word / WEIGHT_PORT_WORDS + i];
        for (int w = 0; w < WEIGHT_PORT_WORDS; ++w) {
#pragma HLS UNROLL  // wires only
            raw[i * WEIGHT_PORT_WORDS % RECORD_BYTES + w] = wide.word[w];
        }
        const int word = i * WEIGHT_PORT_WORDS / RECORD_BYTES;
        if ((i + 1) * WEIGHT_PORT_WORDS % RECORD_BYTES == 0) {
            for (int lane = 0; lane < AXI_BYTES; ++lane) {
#pragma HLS UNROLL  // each lane has its own bank
                const int32_t scaling = int32_at(raw, RECORD_BYTES * lane + 4);
                ChannelParameters& channel = parameters[word % POST_WORDS * AXI_BYTES + lane][word / POST_WORDS];
                channel.bias = int32_at(raw, RECORD_BYTES * lane);
                channel.multiplier = static_cast<uint16_t>(scaling & 0xFFFF);
                channel.shift = static_cast<uint8_t>((scaling >> 16) & 0xFF);
            }
        }
    }
table:
    for (int i = 0; i < 256 / WEIGHT_PORT_BYTES; ++i) {
#pragma HLS PIPELINE II = 1  // one bus word a cycle: each of its bytes has a bank of its own
        const WeightWord wide = port[d.table_word / WEIGHT_PORT_WORDS + i];
        for (int b = 0; b < WEIGHT_PORT_BYTES; ++b) {
            for (int lane = 0; lane < POST_LANES; ++lane) {
                tables[lane][i * WEIGHT_PORT_BYTES + b] = wide.word[b / AXI_BYTES].byte[b % AXI_BYTES];
            }
        }
    }
}

void load_ifmap(const Word* port, CycleClock& clock, const MapBuffer& maps, const Descriptor& d, const TileShape& shape,
                const Tile& tile, IfmapBuffer& buffer, Spent& spent) {
    spent = Spent();
    if (!tile.valid || !tile.fetch_ifmap) {
        return;
    }
    const uint32_t begin = clock;
    // The part of the tile that lies inside the map; what lies outside is masked when it is read.
    InputTile input;
    input.top = tile.row * d.stride - d.padding;
    input.left = tile.col * d.stride - d.padding;
    input.first_row = greater(0, input.top);
    input.first_col = greater(0, input.left);
    input.end_row = lesser(d.in_height, input.top + (tile.rows - 1) * d.stride + d.kernel_height);
    input.end_col = lesser(d.in_width, input.left + (tile.cols - 1) * d.stride + d.kernel_width);
    input.first_word = tile.in_channel / AXI_BYTES;
    input.words = lesser(shape.in_words - input.first_word, ceil_div(tile.in_channels, AXI_BYTES));
    spent.count = d.ifmap_ring > 0 ? load_from_map(maps, d, shape, input, buffer)
                                   : load_from_memory(port, d, shape, input, buffer);
    spent.cycles = clock - begin;
}

void load_weights(const WeightWord* port, CycleClock& clock, const Descriptor& d, const TileShape& shape,
                  const Tile& tile, WeightBuffer& buffer, Spent& spent) {
    spent = Spent();
    if (!tile.valid || !tile.fetch_weights || d.operation == OPERATION_POOL || d.operation == OPERATION_MAX_POOL) {
        return;
    }
    const uint32_t begin = clock;
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
    const int source = (d.weight_word + tile.weight_word) / WEIGHT_PORT_WORDS;
    const int beats = ceil_div(count, WEIGHT_PORT_WORDS);
words:
    for (int i = 0; i < beats; ++i) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = WEIGHT_BANKS * WEIGHT_DEPTH / WEIGHT_PORT_WORDS
#pragma HLS PIPELINE II = 1  // one bus word a cycle, in one burst
        const WeightWord wide = port[source + i];
        for (int w = 0; w < WEIGHT_PORT_WORDS; ++w) {
#pragma HLS UNROLL  // the words of a bus word go to banks of their own
            const int place = i * WEIGHT_PORT_WORDS + w;
            buffer[place % WEIGHT_BANKS][place / WEIGHT_BANKS] = wide.word[w];
        }
    }
    spent.count = static_cast<uint32_t>(beats);
    spent.cycles = clock - begin;
}

// Fetched while the tile is computed, in the order in which it will be stored.
void load_residual(const Word* port, CycleClock& clock, const Descriptor& d, const TileShape& shape, const Tile& tile,
                   ResidualBuffer& buffer, Spent& spent) {
    spent = Spent();
    if (!tile.valid || !tile.finishes || d.residual == RESIDUAL_NONE) {
        return;
    }
    const uint32_t begin = clock;
    const int first_word = tile.result_channel / AXI_BYTES;
    const int channel_words = lesser(shape.out_words - first_word, ceil_div(tile.results, AXI_BYTES));
    const int end_col = tile.col + tile.cols;
    const Bursts bursts = bursts_of(tile.rows, tile.cols, channel_words, d.out_width, shape.out_words);
    Cursor at = {tile.row, tile.col, 0};
    int place = 0;
bursts:
    for (int burst = 0; burst < bursts.count; ++burst) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = OFMAP_DEPTH * PE_PIXELS
        const int source = d.residual_word + (at.row * d.out_width + at.col) * shape.out_words + first_word;
    words:
        for (int i = 0; i < bursts.words; ++i) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = RESIDUAL_DEPTH
#pragma HLS PIPELINE II = 1  // one bus word a cycle, at addresses that follow each other
            buffer[place++] = port[source + i];
            advance(at, 1, channel_words, tile.col, end_col);
        }
    }
    spent.count = static_cast<uint32_t>(place);
    spent.cycles = clock - begin;
}
