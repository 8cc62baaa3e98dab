#include "choose.h"
#include "stages.h"
#include "window.h"

namespace {

constexpr int CHAINS = COLS / CHAIN;
constexpr int CHAIN_BITS = PACK == 2 ? FIELD : 16 + levels(CHAIN);  // of a chain's sum
constexpr int TOTAL_BITS = CHAIN_BITS + levels(CHAINS);

// What a layer does to the operands.
struct Kind {
    bool channel_wise, maximum, ones, four_bit;
    int8_t padding;  // of lanes outside the map
};

Kind kind_of(const ComputeCommand& command) {
#pragma HLS INLINE
    const bool maximum = command.operation == OPERATION_MAX_POOL;
    const bool averages = command.operation == OPERATION_POOL;
    const int8_t least = maximum ? -128 : 0;
    return {command.operation != OPERATION_CONV, maximum, averages || maximum, command.four_bit,
            ZERO_POINT ? command.pad_value : least};
}

// Whether the column that each lane reads lies in the map; lane l reads `offsets[l]` columns behind the first one.
void lanes_inside(const Window& window, const ComputeCommand& command, const S<CW + 2> (&offsets)[PIXELS],
                  bool (&inside)[PIXELS]) {
#pragma HLS INLINE
    const bool row_inside = window.y >= 0 && S<CW + 2>(window.y) < S<CW + 2>(command.height);
    for (int lane = 0; lane < PIXELS; ++lane) {
#pragma HLS UNROLL  // each lane has a column
        const S<CW + 2> column = S<CW + 2>(window.x) + offsets[lane];
        inside[lane] = row_inside && column >= 0 && column < S<CW + 2>(command.width);
    }
}

// A line of channels for each pixel lane, turned out of the banks; outside the map the padding.
void read_activations(const Window& window, const IfmapBuffer& ifmap, const bool (&inside)[PIXELS], int8_t padding,
                      int8_t (&activations)[PIXELS][COLS]) {
#pragma HLS INLINE
    Word banks[IFMAP_BANKS];
#pragma HLS ARRAY_PARTITION variable = banks complete  // registers
    for (int bank = 0; bank < PIXELS; ++bank) {
#pragma HLS UNROLL  // all banks are read at once
        const U<IA> at = wrapped<IA>(window.at + U<IA>(window.rotate > bank));
        for (int word = 0; word < LINE_WORDS; ++word) {
#pragma HLS UNROLL  // as above
            // Idle lanes of a last pixel group may stand behind the buffer's end.
            const int from = bank * LINE_WORDS + word;
            banks[from] = ifmap[from][static_cast<uint32_t>(any_place_in<IFMAP_DEPTH>(at))];
        }
    }
    for (int lane = 0; lane < PIXELS; ++lane) {
#pragma HLS UNROLL  // a multiplexer a lane
        for (int word = 0; word < LINE_WORDS; ++word) {
#pragma HLS UNROLL  // as above
            Word turns[PIXELS];
#pragma HLS ARRAY_PARTITION variable = turns complete  // wires
            for (int turn = 0; turn < PIXELS; ++turn) {
#pragma HLS UNROLL  // wires
                turns[turn] = banks[(lane + turn) % PIXELS * LINE_WORDS + word];
            }
            const Word turned = chosen(turns, window.rotate);
            for (int byte = 0; byte < BYTES; ++byte) {
#pragma HLS UNROLL  // a mask
                activations[lane][word * BYTES + byte] = inside[lane] ? byte_of(turned, byte) : padding;
            }
        }
    }
}

// In a max pool the greatest value of a window so far stands in place of each activation.
void take_greatest(bool maximum, bool first, int8_t (&activations)[PIXELS][COLS], int8_t (&greatest)[PIXELS][COLS]) {
#pragma HLS INLINE
    for (int lane = 0; lane < PIXELS; ++lane) {
#pragma HLS UNROLL  // a comparison a byte
        for (int channel = 0; channel < COLS; ++channel) {
#pragma HLS UNROLL
            const int8_t value = activations[lane][channel], kept = greatest[lane][channel];
            const bool takes = !maximum || first || value > kept;
            greatest[lane][channel] = takes ? value : kept;
            activations[lane][channel] = greatest[lane][channel];
        }
    }
}

// Half of a byte as a number of 4 bits.
int8_t half_of(int8_t both, bool upper) {
#pragma HLS INLINE
    const uint8_t half = static_cast<uint8_t>(upper ? static_cast<uint8_t>(both) >> 4 : both & 15);
    return static_cast<int8_t>(static_cast<int8_t>(half << 4) >> 4);
}

// The weights of an iteration. A channel-wise layer works on the array's diagonal: of the line's groups of LANES weights one
// counts, whose weight l stands where row and column are l in the parts row_part and line_part; all others are 0. The last
// iteration of a maximum has weight 1, so that it carries the greatest value, and the others have 0.
void read_weights(const Window& window, const WeightBuffer& weights, const Kind& kind, int8_t (&operands)[ROWS][COLS]) {
#pragma HLS INLINE
    const bool odd = (window.weight & U<WA>(1)) != 0;
    const U<WA> line_at = kind.four_bit ? U<WA>(window.weight >> 1) : window.weight;
    Word line[WEIGHT_BANKS];
#pragma HLS ARRAY_PARTITION variable = line complete  // registers
    for (int bank = 0; bank < WEIGHT_BANKS; ++bank) {
#pragma HLS UNROLL  // all banks are read at once
        // Those of a pool are not looked at.
        line[bank] = weights[bank][static_cast<uint32_t>(any_place_in<WEIGHT_DEPTH>(line_at))];
    }
    int8_t diagonal[LANES];
#pragma HLS ARRAY_PARTITION variable = diagonal complete  // registers
    for (int lane = 0; lane < LANES; ++lane) {
#pragma HLS UNROLL  // a multiplexer a lane
        int8_t groups[WEIGHT_PARTS];
#pragma HLS ARRAY_PARTITION variable = groups complete  // wires
        for (int part = 0; part < WEIGHT_PARTS; ++part) {
#pragma HLS UNROLL  // wires
            const int at = part * LANES + lane;
            groups[part] = byte_of(line[at / BYTES], at % BYTES);
        }
        const int8_t both = chosen(groups, window.weight_part);
        const int8_t weight = kind.four_bit ? half_of(both, odd) : both;
        const int8_t one = window.last || !kind.maximum ? 1 : 0;
        diagonal[lane] = kind.ones ? one : weight;
    }
    for (int row = 0; row < ROWS; ++row) {
#pragma HLS UNROLL  // a weight for each PE
        for (int col = 0; col < COLS; ++col) {
#pragma HLS UNROLL
            const int at = row * COLS + col;
            const int8_t both = byte_of(line[at / BYTES], at % BYTES);
            const int8_t dense = kind.four_bit ? half_of(both, odd) : both;
            const bool meets =
                row % LANES == col % LANES && window.row_part == row / LANES && window.line_part == col / LANES;
            const int8_t alone = meets ? diagonal[row % LANES] : static_cast<int8_t>(0);
            operands[row][col] = kind.channel_wise ? alone : dense;
        }
    }
}

// A slice of a chain: with PACK 2 it yields the products of two weights with one activation. The lower FIELD bits hold the sum of
// those of `low`, the bits above that of `high`.
S<48> slice(S<48> chain, int8_t low, int8_t high, int8_t x) {
#pragma HLS INLINE
    const S<FIELD + 8> above = PACK == 2 ? static_cast<int32_t>(high) * (1 << FIELD) : 0;
    const S<FIELD + 8> pair = above + S<FIELD + 8>(low);
    const S<48> next = chain + S<48>(product<FIELD + 8, 8>(pair, x));
#pragma HLS BIND_OP variable = next op = mul impl = dsp  // two products in one slice, and its adder, are the point
    return next;
}

// The sums of the columns' products. Columns stand in chains of slices, which begin with 2^(FIELD-1) where they hold two sums: that
// keeps the lower field from borrowing from the upper one, and is taken off the lower one with its top bit.
void multiply(const int8_t (&weights)[ROWS][COLS], const int8_t (&activations)[PIXELS][COLS],
              S<TOTAL_BITS> (&totals)[ROWS][PIXELS]) {
#pragma HLS INLINE
    constexpr int64_t HALF = static_cast<int64_t>(1) << (FIELD - 1);
    for (int row = 0; row < ROWS; row += PACK) {
#pragma HLS UNROLL  // the array
        for (int pixel = 0; pixel < PIXELS; ++pixel) {
#pragma HLS UNROLL
            S<TOTAL_BITS> low = 0, high = 0;
            for (int first = 0; first < COLS; first += CHAIN) {
#pragma HLS UNROLL
                S<48> chain = PACK == 2 ? HALF : 0;
                for (int col = first; col < first + CHAIN; ++col) {
#pragma HLS UNROLL  // a slice each
                    chain = slice(chain, weights[row][col], weights[row + PACK - 1][col], activations[pixel][col]);
                }
                if (PACK == 2) {
                    low = low + S<TOTAL_BITS>(S<FIELD + 1>(wrapped<FIELD>(chain)) - S<FIELD + 1>(HALF));
                    high = high + S<TOTAL_BITS>(chain >> FIELD);
                } else {
                    high = high + S<TOTAL_BITS>(chain);
                }
            }
            totals[row][pixel] = PACK == 2 ? low : high;
            totals[row + PACK - 1][pixel] = high;
        }
    }
}

// Accumulators: a sum begins at 0 or at what was kept, and goes on from itself.
int32_t plus(int32_t sum, S<TOTAL_BITS> total) {
#pragma HLS INLINE
    return static_cast<int32_t>(static_cast<uint32_t>(sum) + static_cast<uint32_t>(static_cast<int32_t>(total)));
}

}  // namespace

void compute(const ComputeCommand command, CycleClock& clock, const IfmapBuffer& ifmap, const WeightBuffer& weights,
             SumBuffer& sums, Spent& spent, U<OA>& group_sums) {
#pragma HLS ARRAY_PARTITION variable = command.tap_rotate complete  // registers
#pragma HLS ARRAY_PARTITION variable = command.tap_step complete    // registers
    // Behind the last sum of the latest tile, and of how many addresses its row groups were.
    static U<OA> next_sum = 0, latest_group_sums = 0;
    const uint32_t begin = clock;
    const Kind kind = kind_of(command);
    S<CW + 2> offsets[PIXELS];
#pragma HLS ARRAY_PARTITION variable = offsets complete  // registers
    S<CW + 2> offset = 0;
    for (int lane = 0; lane < PIXELS; ++lane) {
#pragma HLS UNROLL  // once a tile
        offsets[lane] = offset;
        offset = offset + S<CW + 2>(command.stride_cols);
    }
    int8_t greatest[PIXELS][COLS] = {};
#pragma HLS ARRAY_PARTITION variable = greatest complete dim = 0  // one register a byte
    int32_t accumulators[ROWS][PIXELS] = {};
#pragma HLS ARRAY_PARTITION variable = accumulators complete dim = 0  // one register a PE
    Window window;
    window.begin(command, command.follows ? next_sum : U<OA>(0));
    uint32_t iterations = 0;
    bool more = command.runs, late = false;
iterations:
    while (more) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = WEIGHT_DEPTH * SUM_DEPTH
#pragma HLS PIPELINE II = 1                         // one loop, flat: it never drains between channels, pixels and taps
#pragma HLS DEPENDENCE variable = sums inter false  // the address of a sum occurs once a tile
        bool inside[PIXELS];
#pragma HLS ARRAY_PARTITION variable = inside complete  // registers
        int8_t activations[PIXELS][COLS];
#pragma HLS ARRAY_PARTITION variable = activations complete dim = 0  // registers
        int8_t operands[ROWS][COLS];
#pragma HLS ARRAY_PARTITION variable = operands complete dim = 0  // registers
        S<TOTAL_BITS> totals[ROWS][PIXELS];
#pragma HLS ARRAY_PARTITION variable = totals complete dim = 0  // registers
        lanes_inside(window, command, offsets, inside);
        read_activations(window, ifmap, inside, kind.padding, activations);
        take_greatest(kind.maximum, window.first, activations, greatest);
        read_weights(window, weights, kind, operands);
        multiply(operands, activations, totals);
        for (int row = 0; row < ROWS; ++row) {
#pragma HLS UNROLL  // all banks at once; of a channel-wise group those of its rows
            const bool here = !kind.channel_wise || window.row_part == row / LANES;
            for (int pixel = 0; pixel < PIXELS; ++pixel) {
#pragma HLS UNROLL
                const int bank = row * PIXELS + pixel;
                const uint32_t place = static_cast<uint32_t>(place_in<SUM_DEPTH>(window.sum));
                const int32_t kept = command.zero ? 0 : sums[bank][place];
                const int32_t sum = plus(window.first ? kept : accumulators[row][pixel], totals[row][pixel]);
                accumulators[row][pixel] = sum;
                if (window.last && here) sums[bank][place] = sum;
            }
        }
        more = !window.ends && !late;
        late = command.deadline.has_passed(clock);
        window.next(command);
        ++iterations;
    }
    if (command.runs) {
        next_sum = window.sum_end;
        latest_group_sums = window.group_sums;
    }
    group_sums = latest_group_sums;
    spent.count = iterations;
    spent.beyond = spent.uneven = false;
    spent.cycles = command.runs ? clock - begin : 0;
}
