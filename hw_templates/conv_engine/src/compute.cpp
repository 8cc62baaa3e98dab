#include "compute.h"

namespace {

constexpr int LINE_WEIGHTS = PE_ROWS * PE_COLS;  // what the array takes in a cycle

// Byte of a weight-buffer line: the bytes of all its banks, in order.
int8_t line_byte(const Word (&line)[WEIGHT_BANKS], int position) {
#pragma HLS INLINE
    return line[position / AXI_BYTES].byte[position % AXI_BYTES];
}

// The lower or upper half of a byte as a number of 4 bits.
int8_t half_byte(int8_t byte, bool upper) {
#pragma HLS INLINE
    const int bits = (static_cast<uint8_t>(byte) >> (upper ? 4 : 0)) & 15;
    return static_cast<int8_t>((bits ^ 8) - 8);
}

// A line's worth of weights, unpacked here in front of the multipliers: where they have 4 bits, two such steps share a
// line of the buffer, the first in the lower half of its banks.
void read_weights(const WeightBuffer& weights, bool four_bit, int step, int8_t (&unpacked)[LINE_WEIGHTS]) {
#pragma HLS INLINE
    const int address = four_bit ? step / 2 : step;
    const bool second = step % 2 != 0;
    Word line[WEIGHT_BANKS];
#pragma HLS ARRAY_PARTITION variable = line complete  // registers
    for (int bank = 0; bank < WEIGHT_BANKS; ++bank) {
#pragma HLS UNROLL  // every bank is read each cycle
        line[bank] = weights[bank][address];
    }
    for (int i = 0; i < LINE_WEIGHTS; ++i) {
#pragma HLS UNROLL  // one multiplexer a weight
        const int8_t first_pair = line_byte(line, i / 2);
        const int8_t second_pair = line_byte(line, (LINE_WEIGHTS + i) / 2);
        unpacked[i] = four_bit ? half_byte(second ? second_pair : first_pair, i % 2 != 0) : line_byte(line, i);
    }
}

// The activations that one tap needs: a line of IFMAP_COLS channels of each of PE_PIXELS output pixels; `outside` outside
// the map.
void read_activations(const Descriptor& d, const TileShape& shape, const Tile& tile, const IfmapBuffer& ifmap,
                      int channel_line, int out_row, int pixel_group, int tap_row, int tap_col, int8_t outside,
                      int8_t (&activations)[PE_PIXELS][IFMAP_COLS]) {
#pragma HLS INLINE
    const int row = out_row * d.stride + tap_row;
    const int map_row = tile.row * d.stride - d.padding + row;
    const bool row_inside = map_row >= 0 && map_row < d.in_height;
    const int shift = tap_col / d.stride;
    const int phase = tap_col % d.stride;
    const int line = (channel_line * shape.in_rows + row) * d.stride * shape.slots_per_phase;

    Word fetched[IFMAP_BANKS];
#pragma HLS ARRAY_PARTITION variable = fetched complete  // registers
    for (int across = 0; across < PE_PIXELS; ++across) {
#pragma HLS UNROLL  // each bank is read once: by the pixel lane that the tap rotates onto it
        const int lane = (across + PE_PIXELS - shift % PE_PIXELS) % PE_PIXELS;
        const int slot = phase * shape.slots_per_phase + pixel_group + (lane + shift) / PE_PIXELS;
        const int address = lesser(line + slot, IFMAP_DEPTH - 1);  // idle lanes of a last group stay in the buffer
        for (int w = 0; w < WORDS_PER_COL_GROUP; ++w) {
#pragma HLS UNROLL  // as above
            fetched[across * WORDS_PER_COL_GROUP + w] = ifmap[across * WORDS_PER_COL_GROUP + w][address];
        }
    }
    for (int lane = 0; lane < PE_PIXELS; ++lane) {
#pragma HLS UNROLL  // the rotation back
        const int across = (lane + shift) % PE_PIXELS;
        const int map_col = (tile.col + pixel_group * PE_PIXELS + lane) * d.stride - d.padding + tap_col;
        const bool inside = row_inside && map_col >= 0 && map_col < d.in_width;
        for (int c = 0; c < IFMAP_COLS; ++c) {
#pragma HLS UNROLL  // wires and a mask
            const Word& word = fetched[across * WORDS_PER_COL_GROUP + c / AXI_BYTES];
            activations[lane][c] = inside ? word.byte[c % AXI_BYTES] : outside;
        }
    }
}

// Dense layers: sums over PE_COLS input channels for PE_ROWS x PE_PIXELS results each cycle.
void accumulate_dense(const int8_t (&activations)[PE_PIXELS][IFMAP_COLS], int first_col,
                      const int8_t (&weights)[LINE_WEIGHTS], int32_t (&sums)[PE_ROWS][PE_PIXELS]) {
#pragma HLS INLINE
    for (int row = 0; row < PE_ROWS; row += PACK) {
#pragma HLS UNROLL  // the PE array
        for (int pixel = 0; pixel < PE_PIXELS; ++pixel) {
#pragma HLS UNROLL
            for (int col = 0; col < PE_COLS; ++col) {
#pragma HLS UNROLL
                const int8_t activation = activations[pixel][first_col + col];
                const int8_t weight = weights[row * PE_COLS + col];
                if (PACK == 1) {
                    sums[row][pixel] += weight * activation;
                } else {  // two output channels share the activation
                    int32_t first = 0;
                    int32_t second = 0;
                    multiply_pair(weight, weights[(row + PACK - 1) * PE_COLS + col], activation, first, second);
                    sums[row][pixel] += first;
                    sums[row + PACK - 1][pixel] += second;
                }
            }
        }
    }
}

uint32_t compute_dense(const Descriptor& d, const TileShape& shape, const Tile& tile, const IfmapBuffer& ifmap,
                       const WeightBuffer& weights, OfmapBuffer& ofmap) {
#pragma HLS INLINE
    const int row_groups = ceil_div(tile.out_channels, PE_ROWS);
    const int col_groups = ceil_div(tile.in_channels, PE_COLS);
    const int pixel_groups = ceil_div(tile.cols, PE_PIXELS);
    const int taps = col_groups * d.kernel_height * d.kernel_width;
    const int trips = row_groups * tile.rows * pixel_groups * taps;
    int32_t sums[PE_ROWS][PE_PIXELS] = {};
#pragma HLS ARRAY_PARTITION variable = sums complete dim = 0  // one register a PE
    int row_group = 0, out_row = 0, pixel_group = 0, col_group = 0, tap_row = 0, tap_col = 0, tap = 0;
pe_loop:
    for (int trip = 0; trip < trips; ++trip) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = WEIGHT_DEPTH * OFMAP_DEPTH
#pragma HLS PIPELINE II = 1  // one merged loop: it never drains between channels, pixels and taps
#pragma HLS DEPENDENCE variable = ofmap inter false  // each sum is read and written once a tile
        const int target = ((tile.first_group + row_group) * tile.rows + out_row) * shape.pixel_groups + pixel_group;
        const int channel = col_group * PE_COLS;
        int8_t activations[PE_PIXELS][IFMAP_COLS];
#pragma HLS ARRAY_PARTITION variable = activations complete dim = 0  // registers
        int8_t operands[LINE_WEIGHTS];
#pragma HLS ARRAY_PARTITION variable = operands complete  // registers
        read_activations(d, shape, tile, ifmap, channel / IFMAP_COLS, out_row, pixel_group, tap_row, tap_col, 0,
                         activations);
        read_weights(weights, d.four_bit_weights != 0, row_group * taps + tap, operands);
        if (tap == 0) {
            for (int row = 0; row < PE_ROWS; ++row) {
#pragma HLS UNROLL  // registers
                for (int pixel = 0; pixel < PE_PIXELS; ++pixel) {
#pragma HLS UNROLL
                    sums[row][pixel] = tile.first_in ? 0 : ofmap[row * PE_PIXELS + pixel][target];
                }
            }
        }
        accumulate_dense(activations, channel % IFMAP_COLS, operands, sums);
        if (tap == taps - 1) {
            for (int row = 0; row < PE_ROWS; ++row) {
#pragma HLS UNROLL  // every bank is written at once
                for (int pixel = 0; pixel < PE_PIXELS; ++pixel) {
#pragma HLS UNROLL
                    ofmap[row * PE_PIXELS + pixel][target] = sums[row][pixel];
                }
            }
        }
        // Counters in place of divisions, innermost first.
        ++tap;
        if (++tap_col == d.kernel_width) {
            tap_col = 0;
            if (++tap_row == d.kernel_height) {
                tap_row = 0;
                if (++col_group == col_groups) {
                    col_group = 0;
                    tap = 0;
                    if (++pixel_group == pixel_groups) {
                        pixel_group = 0;
                        if (++out_row == tile.rows) {
                            out_row = 0;
                            ++row_group;
                        }
                    }
                }
            }
        }
    }
    return static_cast<uint32_t>(trips);
}

// Channel-wise layers: DEPTHWISE_LANES channels of PE_PIXELS results each cycle.
void accumulate_channelwise(const int8_t (&activations)[PE_PIXELS][IFMAP_COLS], const int8_t (&weights)[LINE_WEIGHTS],
                            int first_col, int first_weight, bool weightless,
                            int32_t (&sums)[DEPTHWISE_LANES][PE_PIXELS]) {
#pragma HLS INLINE
    for (int lane = 0; lane < DEPTHWISE_LANES; ++lane) {
#pragma HLS UNROLL  // the depthwise unit
        const int8_t weight = weightless ? static_cast<int8_t>(1) : weights[first_weight + lane];
        for (int pixel = 0; pixel < PE_PIXELS; pixel += PACK) {
#pragma HLS UNROLL
            const int8_t activation = activations[pixel][first_col + lane];
            if (PACK == 1 || pixel + PACK > PE_PIXELS) {
                sums[lane][pixel] += weight * activation;
            } else {  // two pixels share the weight
                const int other = lesser(pixel + PACK, PE_PIXELS) - 1;
                int32_t first = 0;
                int32_t second = 0;
                multiply_pair(activation, activations[other][first_col + lane], weight, first, second);
                sums[lane][pixel] += first;
                sums[lane][other] += second;
            }
        }
    }
}

// Max pool: the greater of what was found so far and of each activation, in place of sums.
void take_greater(const int8_t (&activations)[PE_PIXELS][IFMAP_COLS], int first_col,
                  int32_t (&greatest)[DEPTHWISE_LANES][PE_PIXELS]) {
#pragma HLS INLINE
    for (int lane = 0; lane < DEPTHWISE_LANES; ++lane) {
#pragma HLS UNROLL  // beside the multipliers of the depthwise unit
        for (int pixel = 0; pixel < PE_PIXELS; ++pixel) {
#pragma HLS UNROLL
            greatest[lane][pixel] = greater(greatest[lane][pixel], activations[pixel][first_col + lane]);
        }
    }
}

uint32_t compute_channelwise(const Descriptor& d, const TileShape& shape, const Tile& tile, const IfmapBuffer& ifmap,
                             const WeightBuffer& weights, OfmapBuffer& ofmap) {
#pragma HLS INLINE
    const int lane_groups = ceil_div(tile.out_channels, DEPTHWISE_LANES);
    const int pixel_groups = ceil_div(tile.cols, PE_PIXELS);
    const int taps = d.kernel_height * d.kernel_width;
    const bool maximum = d.operation == OPERATION_MAX_POOL;
    const bool weightless = maximum || d.operation == OPERATION_POOL;
    const int8_t least = maximum ? -128 : 0;  // what lies outside the map changes no maximum and no sum
    const int trips = lane_groups * tile.rows * pixel_groups * taps;
    int32_t sums[DEPTHWISE_LANES][PE_PIXELS] = {};
#pragma HLS ARRAY_PARTITION variable = sums complete dim = 0  // one register a lane
    int lane_group = 0, out_row = 0, pixel_group = 0, tap_row = 0, tap_col = 0, tap = 0;
lane_loop:
    for (int trip = 0; trip < trips; ++trip) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = IFMAP_DEPTH * OFMAP_DEPTH
#pragma HLS PIPELINE II = 1  // one merged loop, as in the PE array
        const int channel = lane_group * DEPTHWISE_LANES;
        const int weight_at = (lane_group * taps + tap) * DEPTHWISE_LANES;
        int8_t activations[PE_PIXELS][IFMAP_COLS];
#pragma HLS ARRAY_PARTITION variable = activations complete dim = 0  // registers
        int8_t operands[LINE_WEIGHTS];
#pragma HLS ARRAY_PARTITION variable = operands complete  // registers
        const int step = weightless ? 0 : weight_at / LINE_WEIGHTS;
        read_activations(d, shape, tile, ifmap, channel / IFMAP_COLS, out_row, pixel_group, tap_row, tap_col, least,
                         activations);
        read_weights(weights, d.four_bit_weights != 0, step, operands);
        if (tap == 0) {
            for (int lane = 0; lane < DEPTHWISE_LANES; ++lane) {
#pragma HLS UNROLL  // registers
                for (int pixel = 0; pixel < PE_PIXELS; ++pixel) {
#pragma HLS UNROLL
                    sums[lane][pixel] = least;
                }
            }
        }
        if (maximum) {
            take_greater(activations, channel % IFMAP_COLS, sums);
        } else {
            accumulate_channelwise(activations, operands, channel % IFMAP_COLS, weight_at % LINE_WEIGHTS, weightless,
                                   sums);
        }
        if (tap == taps - 1) {
            const int target = (channel / PE_ROWS * tile.rows + out_row) * shape.pixel_groups + pixel_group;
            for (int row = 0; row < PE_ROWS; ++row) {
#pragma HLS UNROLL  // only the banks of this group's channels are enabled
                if (row / DEPTHWISE_LANES == channel % PE_ROWS / DEPTHWISE_LANES) {
                    for (int pixel = 0; pixel < PE_PIXELS; ++pixel) {
#pragma HLS UNROLL
                        ofmap[row * PE_PIXELS + pixel][target] = sums[row % DEPTHWISE_LANES][pixel];
                    }
                }
            }
        }
        ++tap;
        if (++tap_col == d.kernel_width) {
            tap_col = 0;
            if (++tap_row == d.kernel_height) {
                tap_row = 0;
                tap = 0;
                if (++pixel_group == pixel_groups) {
                    pixel_group = 0;
                    if (++out_row == tile.rows) {
                        out_row = 0;
                        ++lane_group;
                    }
                }
            }
        }
    }
    return static_cast<uint32_t>(trips);
}

}  // namespace

void multiply_pair(int8_t first, int8_t second, int8_t shared, int32_t& first_product, int32_t& second_product) {
#pragma HLS INLINE
    // second sits 16 bits above first: 25 bits in all, the DSP slice's wide operand. The lower product borrows from
    // the upper one when it is negative; its sign bit gives that back.
    const int32_t packed = second * 65536 + first;
    const int32_t product = packed * shared;
#pragma HLS BIND_OP variable = product op = mul impl = dsp  // two products in one slice is the point
    first_product = static_cast<int16_t>(product & 0xFFFF);
    second_product = (product >> 16) + ((product >> 15) & 1);
}

void compute(CycleClock& clock, const Descriptor& d, const TileShape& shape, const Tile& tile, const IfmapBuffer& ifmap,
             const WeightBuffer& weights, OfmapBuffer& ofmap, Spent& spent) {
    spent = Spent();
    if (!tile.valid) {
        return;
    }
    const uint32_t begin = clock;
    spent.count = d.operation == OPERATION_CONV ? compute_dense(d, shape, tile, ifmap, weights, ofmap)
                                                : compute_channelwise(d, shape, tile, ifmap, weights, ofmap);
    spent.cycles = clock - begin;
}
