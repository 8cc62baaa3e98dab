#include "choose.h"
#include "level.h"
#include "map_place.h"
#include "stages.h"

namespace {

constexpr int LINE_BITS = LINE_WORDS > 1 ? levels(LINE_WORDS) : 1;  // of the place of a word in its line

// Where the words of a part go, STEP of them a trip.
//
// Words come row by row, column by column, the channel words of a column together; LINE_WORDS of them fill a line. Column j of a
// tile belongs to pixel lane (j div stride) mod PIXELS and to slot (j mod stride) * slots + (j div stride) div PIXELS of its row;
// a row takes d_line, a line of channels d_group words of a bank. The part's first word goes to `place` with its lane and
// phase, and each row begins there again: what lies outside the map is left as it was, for the window masks it.
template <int STEP>
class IfmapPlace {
public:
    U<IA> at;
    U<RW> lane;
    U<LINE_BITS> word;  // of the line
    PixelWords<CW> words;
    Level<CW> cols;

    void begin(const IfmapCommand& command) {
#pragma HLS INLINE
        words.begin(command.words, STEP);
        cols.begin(command.cols);
        at = col_at = row_at = command.place;
        lane = first_lane = command.lane;
        phase = first_phase = command.phase;
        last_phase = wrapped<DW>(command.stride - 1);
        slots = command.slots;
        d_line = command.d_line;
        d_group = command.d_group;
        to_lane = wrapped<IA>(command.slots - command.d_line);
        to_slot = wrapped<IA>(to_lane + 1);
        word = 0;
    }

    // One adder makes the next address: of the line behind, of the next phase, of the next lane or slot, of the next row.
    void step() {
#pragma HLS INLINE
        const bool last_of_line = STEP == LINE_WORDS || word == LINE_WORDS - 1;
        const bool phase_wraps = phase == last_phase, lane_wraps = PIXELS == 1 || lane == PIXELS - 1;
        const bool last_word = words.last, ends_row = last_word & cols.last;
        const U<IA> in_pixel = last_of_line ? d_group : U<IA>(0);
        const U<IA> in_row = !phase_wraps ? slots : lane_wraps ? to_slot : to_lane;
        const U<IA> from = !last_word ? at : ends_row ? row_at : col_at;
        const U<IA> by = !last_word ? in_pixel : ends_row ? d_line : in_row;
        at = wrapped<IA>(from + by);
        col_at = last_word ? at : col_at;
        row_at = ends_row ? at : row_at;
        const U<RW> next_lane = !phase_wraps ? lane : lane_wraps ? U<RW>(0) : U<RW>(lane + U<RW>(1));
        const U<DW> next_phase = phase_wraps ? U<DW>(0) : U<DW>(phase + U<DW>(1));
        lane = ends_row ? first_lane : last_word ? next_lane : lane;
        phase = ends_row ? first_phase : last_word ? next_phase : phase;
        word = last_word || last_of_line ? U<LINE_BITS>(0) : U<LINE_BITS>(word + U<LINE_BITS>(1));
        cols.step(last_word);
        words.step();
    }

private:
    U<IA> col_at, row_at;
    U<IA> slots, d_line, d_group;
    U<IA> to_lane,
        to_slot;  // back from the last phase to the first: of the next lane, and of the first lane in the next slot
    U<RW> first_lane;
    U<DW> phase, first_phase, last_phase;
};

// Writes the words of a trip: one, whose place in the line is `word`, or a line of them.
template <int STEP>
void write(const IfmapPlace<STEP>& place, const Word (&words)[LINE_WORDS], IfmapBuffer& filled) {
#pragma HLS INLINE
    for (int lane = 0; lane < PIXELS; ++lane) {
#pragma HLS UNROLL  // each bank has an enable of its own
        for (int word = 0; word < LINE_WORDS; ++word) {
#pragma HLS UNROLL  // as above
            if (place.lane == lane && (STEP == LINE_WORDS || place.word == word)) {
                filled[lane * LINE_WORDS + word][static_cast<uint32_t>(place_in<IFMAP_DEPTH>(place.at))] = words[word];
            }
        }
    }
}

// Words of a memory port, in the order in which they come.
uint32_t load_from_memory(ReadPort<Word> port, const Arena& arena, const IfmapCommand& command, CycleClock& clock,
                          IfmapBuffer& filled, bool& beyond) {
#pragma HLS INLINE
    Reading reading;
    IfmapPlace<1> place;
    place.begin(command);
    reading.begin(port, arena.words, command.part, command.repeat, command.odd_row, command.odd_col);
    uint32_t count = 0;
    bool late = false;
words:
    for (bool more = true; more;) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = IFMAP_BANKS * IFMAP_DEPTH
#pragma HLS PIPELINE II = 1  // a word a cycle
        more = !reading.last;
        const Word taken = reading.take(port, late);
        late = command.deadline.has_passed(clock);
        Word words[LINE_WORDS];
#pragma HLS ARRAY_PARTITION variable = words complete  // wires
        for (int word = 0; word < LINE_WORDS; ++word) {
#pragma HLS UNROLL  // wires
            words[word] = taken;
        }
        write(place, words, filled);
        place.step();
        ++count;
    }
    beyond = reading.beyond;
    return count;
}

// Lines of channels of the map memory: each bank is read once, and its word turned into its place.
uint32_t load_from_map(const MapMemory& map, const IfmapCommand& command, CycleClock& clock, IfmapBuffer& filled) {
#pragma HLS INLINE
    MapPlace<LINE_WORDS> from;
    IfmapPlace<LINE_WORDS> place;
    Level<CW> rows;
    from.begin(command);
    place.begin(command);
    rows.begin(command.rows);
    uint32_t count = 0;
    bool late = false;
lines:
    for (bool more = true; more;) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = IFMAP_DEPTH * PIXELS
#pragma HLS PIPELINE II = 1  // a line a cycle
        Word banks[MAP_BANKS], words[LINE_WORDS];
#pragma HLS ARRAY_PARTITION variable = banks complete  // registers
#pragma HLS ARRAY_PARTITION variable = words complete  // registers
        for (int bank = 0; bank < MAP_BANKS; ++bank) {
#pragma HLS UNROLL  // all banks are read at once
            // Banks of a pixel's last line that hold none of its words may stand behind the memory's end.
            const U<MA> line = wrapped<MA>(from.line + U<MA>(from.bank > bank));
            banks[bank] = map[bank][static_cast<uint32_t>(any_place_in<MAP_LINES>(line))];
        }
        for (int word = 0; word < LINE_WORDS; ++word) {
#pragma HLS UNROLL  // a multiplexer a word
            words[word] = banks[word % MAP_BANKS];
            for (int first = 0; first < MAP_BANKS; first += MapPlace<LINE_WORDS>::STEP) {
#pragma HLS UNROLL  // a selection each
                words[word] = from.bank == first ? banks[(first + word) % MAP_BANKS] : words[word];
            }
        }
        write(place, words, filled);
        const bool last_word = place.words.last, last_col = place.cols.last;
        more = !(last_word & last_col & rows.last) && !late;
        late = command.deadline.has_passed(clock);
        from.step(last_word, last_col);
        rows.step(last_word & last_col);
        place.step();
        ++count;
    }
    return count;
}

}  // namespace

void load_ifmap(ReadPort<Word> port, const Arena arena, const IfmapCommand command, CycleClock& clock,
                const MapMemory& map, IfmapBuffer& filled, Spent& spent) {
    const uint32_t begin = clock;
    const bool runs = command.runs && !command.empty;
    spent.count = 0;
    spent.beyond = spent.uneven = false;
    if (runs && MAP_DEPTH > 0 && command.on_chip) {
        spent.count = load_from_map(map, command, clock, filled);
    } else if (runs) {
        spent.count = load_from_memory(port, arena, command, clock, filled, spent.beyond);
    }
    spent.cycles = runs ? clock - begin : 0;
}
