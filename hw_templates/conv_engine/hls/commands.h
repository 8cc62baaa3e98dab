// What the stages are told of a tile, and the memories between them.
//
// A stage runs where its command says so, and says how much it did. Each memory has halves that are arrays of their own: in a
// slot one stage fills a half while another reads the other one, so every array has one writer and one reader.
#pragma once

#include "engine_config.h"
#include "engine_format.h"
#include "widths.h"

// A word of memory, and of the weight port. All their values are legal, so the host's own integers stand for them.
template <int BITS>
struct WordOf;
#if defined(VENDOR_HEADERS)
template <int BITS>
struct WordOf {
    typedef ap_uint<BITS> type;
};
#else
template <>
struct WordOf<32> {
    typedef uint32_t type;
};
template <>
struct WordOf<64> {
    typedef uint64_t type;
};
template <>
struct WordOf<128> {
    typedef unsigned __int128 type;
};
#endif
typedef WordOf<8 * BYTES>::type Word;
typedef WordOf<8 * BYTES * PORT_WORDS>::type WeightWord;

template <typename Wide>
int8_t byte_of(Wide word, int index) {
    return static_cast<int8_t>(static_cast<uint8_t>(word >> (8 * index)));
}

constexpr int LINE_WORDS = COLS / BYTES;                  // memory words of a line of the ifmap buffer
constexpr int IFMAP_BANKS = PIXELS * LINE_WORDS;          // a line of each pixel lane is read a cycle
constexpr int WEIGHT_BANKS = ROWS * COLS / BYTES;         // a weight of each PE is read a cycle
constexpr int SUM_BANKS = ROWS * PIXELS;                  // one for each PE
constexpr int TAP_LINES = 1 << TW;                        // of the table of tap columns
constexpr int MAP_LINES = MAP_DEPTH > 0 ? MAP_DEPTH : 1;  // of a half; without a map memory its array has one
constexpr int POST_WORDS = POST_LANES / BYTES;            // memory words that are post-processed a cycle

constexpr int COUNTERS = 8;  // of a step, each of 32 bits

typedef Word IfmapBuffer[IFMAP_BANKS][IFMAP_DEPTH];
typedef Word WeightBuffer[WEIGHT_BANKS][WEIGHT_DEPTH];
typedef int32_t SumBuffer[SUM_BANKS][SUM_DEPTH];
typedef Word ResidualBuffer[RESIDUAL_DEPTH];
typedef Word MapMemory[MAP_BANKS][MAP_LINES];                   // a half; a pixel's channel words go round the banks
typedef uint64_t ParameterMemory[POST_LANES][PARAMETER_DEPTH];  // bias 31:0, multiplier 47:32, shift - 12 in 52:48
typedef int8_t TableMemory[POST_LANES][256];

// A counter of cycles outside, of which each stage has a copy of its own. A stage reads it before its first loop and after its
// last, for loops are states of their own, and in each iteration for its deadline.
#if defined(VENDOR_HEADERS) || defined(ENGINE_EXACT_BITS)
typedef const volatile uint32_t CycleClock;
#else
// On the host the counter goes on by `step` when a stage reads its copy; with the usual step of 0 it stands still.
class HostClock {
public:
    static inline uint32_t now = 0, step = 0;

    operator uint32_t() const { return now += step; }
};
typedef const HostClock CycleClock;
#endif

// When a stage stops before its end: a damaged descriptor that is in range may ask for 2^60 iterations. A loop keeps whether it
// has passed in a register and ends a trip later, so that the comparison is in no recurrence.
struct Deadline {
    bool is_set = false;
    uint32_t clock = 0;  // less than 2^31 cycles ahead, as the counter wraps

    bool has_passed(uint32_t now) const {
#pragma HLS INLINE
        return is_set && static_cast<int32_t>(now - clock) >= 0;
    }
};

// What a stage did in a slot.
struct Spent {
    uint32_t count;   // iterations, words, lines of the map memory, or beats
    uint32_t cycles;  // by its clock
    bool beyond;      // it reached outside the arena (ports.h)
    bool uneven;      // a store: its part in memory has another number of words than the tile has results
};

// What of memory a program may reach, in memory words.
struct Arena {
    U<AW> words, protected_words;  // the first ones are not written
};

// A part of a map in memory, in runs of words (rtl/burst_generator.v).
struct Part {
    U<AW> word;
    U<CW> rows, runs;          // runs of a row: one, or one for each pixel
    U<BEATS> beats;            // words of a run
    U<AW> run_step, row_step;  // words from run to run, and from row to row
};

// Of the loader of the input map (rtl/ifmap_loader.v, rtl/map_reader.v).
struct IfmapCommand {
    Deadline deadline;
    bool runs;     // else nothing is fetched
    bool empty;    // the part lies wholly in the padding
    bool on_chip;  // it comes from the map memory
    Part part;
    bool repeat, odd_row, odd_col;  // each row and run is read twice, but for the first copy where odd
    U<CW> rows, cols, words;        // rows and columns of the part, channel words of a pixel
    U<DW> stride;
    U<IA> slots, d_line, d_group;  // words of a bank of a phase, of a row, of a line of channels
    U<IA> place;                   // of the first word, with its lane and phase
    U<RW> lane;
    U<DW> phase;
    U<MA> line, ring, ring_end, col_step, row_step;  // in the map memory: lines
    U<BW> bank;
};

// Of the loader of weights; places count beats of the weight port.
struct WeightCommand {
    Deadline deadline;
    bool runs;  // else no weights are fetched
    U<AW> beat;
    U<BEATS> beats;  // may be 0
    bool describes;  // descriptor, parameters and table of the next step are fetched
    U<AW> descriptor_beat;
};

// Of the loader of the map that is added.
struct ResidualCommand {
    Deadline deadline;
    bool runs;
    Part part;
};

// Of the array (rtl/compute.v).
struct ComputeCommand {
    Deadline deadline;
    bool runs;
    U<3> operation;
    bool four_bit;
    int8_t pad_value;
    U<KW> kernel_rows, kernel_cols;
    U<IA> d_row, d_group, d_out_row;  // words of an ifmap bank: tap row, group of channels, output row
    U<RW> tap_rotate[TAP_LINES];      // of the banks, at each tap column
    U<IA> tap_step[TAP_LINES];        // to the next tap column, modulo 2^IA
    U<DW> stride_rows, stride_cols, dilation_rows, dilation_cols;
    U<CW> x_pixel, width, height;
    U<CW> col_groups, pixel_groups, rows, row_groups;
    S<CW + 1> left, top;  // column and row of the map at which the tile begins
    bool follows;         // sums lie behind those of the tile before
    bool zero;            // sums begin at 0, not at what was kept
};

// Of the store (rtl/store.v).
struct StoreCommand {
    Deadline deadline;
    bool runs;
    bool drains;  // waits for all responses, and does nothing else
    bool counts;  // writes `counters` to `part`, and does nothing else
    uint32_t counters[COUNTERS];
    bool averages;
    U<2> residual;  // 1: added before the activation table, 2: behind it
    U<24> residual_multiplier;
    U<19> edges;
    U<CW> out_height, out_width;
    bool on_chip;
    Part part;
    U<CW> rows, cols, words;
    U<CW> first_group;  // first line of parameters
    U<CW> first_row, first_col;
    U<OA> group_sums;  // sums of a row group
    U<MA> line, ring, ring_end, col_step, row_step;
    U<BW> bank;
};
