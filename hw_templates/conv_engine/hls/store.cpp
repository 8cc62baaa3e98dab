#include "border_class.h"
#include "choose.h"
#include "level.h"
#include "map_place.h"
#include "requantise.h"
#include "stages.h"

namespace {

constexpr int ROW_WORDS = ROWS / BYTES;  // memory words of a row group
constexpr int ROW_BITS = ROW_WORDS > 1 ? levels(ROW_WORDS) : 1;
constexpr int LINE_BITS = PA - 1;  // of a line of parameters
constexpr int COUNTER_WORDS = 4 * COUNTERS / BYTES;

// Where the sums and parameters of a trip lie: of a word of results, or of those of all rows where they stay on chip.
//
// Results leave row by row, column by column, the channel words of a column together. The sums of a row group lie one behind the
// other, pixel group by pixel group; `group_sums` addresses further lie those of the next row group. Parameters lie in lines of
// POST_LANES channels, those of an average pool in the line of the border class, for all channels.
class Results {
public:
    U<OA> at;          // in the banks of sums
    U<RW> lane;        // pixel of the array
    U<ROW_BITS> part;  // word of the row group
    PixelWords<CW> words;
    Level<CW> cols;
    bool ends;  // with this trip

    void begin(const StoreCommand& command) {
#pragma HLS INLINE
        by_line = command.on_chip;
        averages = command.averages;
        group_sums = command.group_sums;
        class_shift = wrapped<3>(command.edges >> 16);
        words.begin(command.words, by_line ? U<CW>(ROW_WORDS) : U<CW>(1));
        cols.begin(command.cols);
        rows.begin(command.rows);
        at = pixel_at = 0;
        lane = 0;
        part = 0;
        // Lines of channels beyond the memory are refused before.
        line = first_line = wrapped<LINE_BITS>(command.first_group);
        row_class.begin(command.first_row, command.out_height, wrapped<4>(command.edges),
                        wrapped<4>(command.edges >> 4));
        col_class.begin(command.first_col, command.out_width, wrapped<4>(command.edges >> 8),
                        wrapped<4>(command.edges >> 12));
        tell();
    }

    U<LINE_BITS> parameter_line() const {
#pragma HLS INLINE
        const U<11> of_class =
            EDGES ? U<11>((U<11>(row_class.number) << class_shift) + U<11>(col_class.number)) : U<11>(0);
        return averages ? wrapped<LINE_BITS>(of_class) : line;
    }

    // One adder makes the next address: of the next row group, or of the next pixel group.
    void step() {
#pragma HLS INLINE
        const bool last_word = words.last, last_col = cols.last;
        const bool last_part = ROW_WORDS == 1 || by_line || part == ROW_WORDS - 1;
        const bool next_group = last_col || PIXELS == 1 || lane == PIXELS - 1;
        const U<OA> of_word = last_part ? group_sums : U<OA>(0);
        // The place behind the last sum of a full bank is the first one.
        at = wrapped<OA>((last_word ? pixel_at : at) + (last_word ? U<OA>(next_group) : of_word));
        pixel_at = last_word ? at : pixel_at;
        const U<RW> next_lane = next_group ? U<RW>(0) : U<RW>(lane + U<RW>(1));
        lane = last_word ? next_lane : lane;
        const bool next_line = POST_LANES == BYTES || last_part;
        line = last_word ? first_line : wrapped<LINE_BITS>(line + U<LINE_BITS>(next_line));
        part = last_word || last_part ? U<ROW_BITS>(0) : U<ROW_BITS>(part + U<ROW_BITS>(1));
        if (EDGES) {
            row_class.step(last_word && last_col, false);
            col_class.step(last_word && !last_col, last_word && last_col);
        }
        rows.step(last_word & last_col);
        cols.step(last_word);
        words.step();
        tell();
    }

private:
    bool by_line, averages;
    U<OA> group_sums, pixel_at;
    U<LINE_BITS> line, first_line;
    U<3> class_shift;
    Level<CW> rows;
    BorderClass row_class, col_class;

    void tell() {
#pragma HLS INLINE
        ends = words.last & cols.last & rows.last;
    }
};

// Post-processes the results of a trip, each lane one.
void post_process(const StoreCommand& command, const Results& from, const SumBuffer& sums, Word added,
                  const ParameterMemory& parameters, const TableMemory& table, Word (&results)[POST_WORDS]) {
#pragma HLS INLINE
    // Only a part with more words than there are results (`uneven`) reads behind the sums.
    const uint32_t at = static_cast<uint32_t>(any_place_in<SUM_DEPTH>(from.at));
    const uint32_t line = static_cast<uint32_t>(from.parameter_line());
    int32_t rows[ROWS];
#pragma HLS ARRAY_PARTITION variable = rows complete  // registers
    for (int row = 0; row < ROWS; ++row) {
#pragma HLS UNROLL  // all banks are read at once, and one pixel is chosen
        int32_t pixels[PIXELS];
#pragma HLS ARRAY_PARTITION variable = pixels complete  // registers
        for (int pixel = 0; pixel < PIXELS; ++pixel) {
#pragma HLS UNROLL  // as above
            pixels[pixel] = sums[row * PIXELS + pixel][at];
        }
        rows[row] = chosen(pixels, from.lane);
    }
    for (int word = 0; word < POST_WORDS; ++word) {
#pragma HLS UNROLL  // wires
        results[word] = 0;
    }
    for (int lane = 0; lane < POST_LANES; ++lane) {
#pragma HLS UNROLL  // a requantiser each
        int32_t groups[ROWS / POST_LANES];
#pragma HLS ARRAY_PARTITION variable = groups complete  // wires
        for (int group = 0; group < ROWS / POST_LANES; ++group) {
#pragma HLS UNROLL  // wires
            groups[group] = rows[group * POST_LANES + lane];
        }
        const S<11> r = scaled(chosen(groups, from.part), LaneParameters(parameters[lane][line]));
        const S<9> addend_of = addend(byte_of(added, lane % BYTES), command.residual_multiplier);
        const U<8> index = table_index(r, command.residual == 1 ? addend_of : S<9>(0));
        const int8_t activated = table[lane][static_cast<uint32_t>(index)];
        const uint8_t out = static_cast<uint8_t>(result(activated, command.residual == 2 ? addend_of : S<9>(0)));
        results[lane / BYTES] |= static_cast<Word>(out) << (8 * (lane % BYTES));
    }
}

// Puts those words of a row group that are there into the map memory, in banks that follow each other.
void keep(const MapPlace<ROW_WORDS>& place, U<CW> left, const Word (&results)[POST_WORDS], MapMemory& filled) {
#pragma HLS INLINE
    for (int bank = 0; bank < MAP_BANKS; ++bank) {
#pragma HLS UNROLL  // each bank is written at most once
        bool there = false;
        Word word = 0;
        for (int first = 0; first < MAP_BANKS; first += MapPlace<ROW_WORDS>::STEP) {
#pragma HLS UNROLL  // a selection each
            const int of_group = (bank + MAP_BANKS - first) % MAP_BANKS;
            const bool begins_here = place.bank == first;
            if (of_group < POST_WORDS) {
                there = begins_here ? left > of_group : there;
                word = begins_here ? results[of_group] : word;
            }
        }
        const U<MA> line = wrapped<MA>(place.line + U<MA>(place.bank > bank));
        if (there) filled[bank][static_cast<uint32_t>(place_in<MAP_LINES>(line))] = word;
    }
}

void write_counters(WritePort<Word> port, const Arena& arena, const StoreCommand& command, U<BURST_BITS>& pending,
                    bool& beyond) {
#pragma HLS INLINE
    Writing writing;
    writing.begin(arena.words, arena.protected_words, command.part);
    Word words[COUNTER_WORDS];
#pragma HLS ARRAY_PARTITION variable = words complete  // registers
    for (int word = 0; word < COUNTER_WORDS; ++word) {
#pragma HLS UNROLL  // wires
        words[word] = 0;
        for (int i = 0; i < BYTES / 4; ++i) {
#pragma HLS UNROLL  // wires
            words[word] |= static_cast<Word>(command.counters[word * (BYTES / 4) + i]) << (32 * i);
        }
    }
counters:
    for (bool more = true; more;) {
#pragma HLS PIPELINE II = 1  // a word a cycle
        more = !writing.last;
        writing.put(port, pending, words[0]);
        for (int word = 0; word + 1 < COUNTER_WORDS; ++word) {
#pragma HLS UNROLL  // a shift register
            words[word] = words[word + 1];
        }
    }
    beyond = writing.beyond;
}

}  // namespace

void store(WritePort<Word> port, const Arena arena, const StoreCommand command, CycleClock& clock,
           const SumBuffer& sums, const ResidualBuffer& residual, const ParameterMemory& parameters,
           const TableMemory& table, MapMemory& filled, Spent& spent) {
    static U<BURST_BITS> pending = 0;  // bursts without a response
    const uint32_t begin = clock;
    spent.count = 0;
    spent.cycles = 0;
    spent.beyond = spent.uneven = false;
    if (command.drains) {
        drain(port, pending);
    } else if (command.counts) {
        write_counters(port, arena, command, pending, spent.beyond);
    } else if (command.runs) {
        const bool on_chip = MAP_DEPTH > 0 && command.on_chip;
        Results from;
        MapPlace<ROW_WORDS> place;
        Writing writing;
        from.begin(command);
        place.begin(command);
        writing.begin(arena.words, arena.protected_words, command.part);
        U<RA> residual_at = 0;
        uint32_t iterations = 0;  // words, or lines
        bool uneven = false, late = false;
        // One loop for both destinations, so that the lanes are there once.
    results:
        for (bool more = true; more;) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = RESIDUAL_DEPTH
#pragma HLS PIPELINE II = 1  // a word of results a cycle, or those of all rows
            more = on_chip ? !from.ends && !late : !writing.last && !(late && writing.one_left);
            late = command.deadline.has_passed(clock);
            uneven = uneven || from.ends != writing.last;
            Word results[POST_WORDS];
#pragma HLS ARRAY_PARTITION variable = results complete  // registers
            const Word added = residual[static_cast<uint32_t>(any_place_in<RESIDUAL_DEPTH>(residual_at))];
            post_process(command, from, sums, added, parameters, table, results);
            if (on_chip) keep(place, from.words.left, results, filled);
            writing.put(port, pending, POST_WORDS == 1 ? results[0] : chosen(results, from.part), !on_chip);
            place.step(from.words.last, from.cols.last);
            from.step();
            residual_at = wrapped<RA>(residual_at + U<RA>(1));
            ++iterations;
        }
        spent.count = iterations;
        spent.beyond = !on_chip && writing.beyond;
        spent.uneven = !on_chip && uneven;
        spent.cycles = clock - begin;
    }
}
