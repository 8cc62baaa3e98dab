#include "load_weights.h"

namespace {

constexpr int PORT_BYTES = BYTES * PORT_WORDS;
constexpr int PORT_SHIFT = PORT_WORDS == 2 ? 1 : 0;  // memory words of a beat, as a power of two
constexpr int FIELDS_A_BEAT = PORT_BYTES / 4;
constexpr int TABLE_ENTRIES = 256;
constexpr int WEIGHT_GROUPS = WEIGHT_BANKS / PORT_WORDS;  // beats of a line of the weight buffer

// Beats that lie one behind the other.
Part run_of(U<AW> beat, U<BEATS> beats) {
#pragma HLS INLINE
    Part part;
    part.word = beat;
    part.rows = 1;
    part.runs = 1;
    part.beats = beats;
    part.run_step = 0;
    part.row_step = 0;
    return part;
}

// A field a cycle, as the registers of all fields share one bus.
void load_descriptor(ReadPort<WeightWord> port, U<AW> limit, U<AW> first_beat, NextStep& next) {
    Reading reading;
    reading.begin(port, limit, run_of(first_beat, 4 * DESCRIPTOR_FIELDS / PORT_BYTES));
    WeightWord beat = 0;
    next.sound = true;
fields:
    for (U<8> index = 0; index != DESCRIPTOR_FIELDS; ++index) {
#pragma HLS PIPELINE II = 1
        const int part = static_cast<int>(index & (FIELDS_A_BEAT - 1));
        if (part == 0) beat = reading.take(port);
        next.sound = take_field(next.descriptor, static_cast<int>(index), static_cast<uint32_t>(beat >> (32 * part))) &&
                     next.sound;
    }
    next.beyond = reading.beyond;
}

// Units of 8 bytes, one a channel: a beat is half a unit, one, or two. They go to the lanes one after the other, line by line.
void load_parameters(ReadPort<WeightWord> port, U<AW> limit, const Part part, const Deadline& deadline,
                     CycleClock& clock, ParameterMemory& parameters, bool& beyond) {
    constexpr bool HALF_UNITS = PORT_BYTES == 4, TWO_UNITS = PORT_BYTES == 16;
    constexpr int UPPER = TWO_UNITS ? 64 : 0;
    Reading reading;
    reading.begin(port, limit, part);
    WeightWord beat = 0;
    uint64_t lower = 0;  // half of a unit that has come
    bool second = false, last_beat = false, late = false;
    U<PA> lane = 0;
    U<PA - 1> line = 0;
units:
    for (bool more = true; more;) {
#pragma HLS LOOP_TRIPCOUNT min = 8 max = 4096
#pragma HLS PIPELINE II = 1
        if (!TWO_UNITS || !second) {
            last_beat = reading.last;
            beat = reading.take(port, late);
        }
        const uint64_t low = static_cast<uint64_t>(beat), high = static_cast<uint64_t>(beat >> UPPER);
        const uint64_t unit = HALF_UNITS ? low << 32 | lower : second ? high : low;
        lower = low;
        if (!HALF_UNITS || second) {
        lanes:
            for (int l = 0; l < POST_LANES; ++l) {
#pragma HLS UNROLL  // each lane has a memory
                if (lane == l) parameters[l][place_in<PARAMETER_DEPTH>(line)] = unit;
            }
            const bool last_lane = lane == POST_LANES - 1;
            line = wrapped<PA - 1>(line + last_lane);
            lane = last_lane ? U<PA>(0) : U<PA>(lane + 1);
        }
        more = !last_beat || (TWO_UNITS && !second);
        late = deadline.has_passed(clock);
        second = !second;
    }
    beyond = beyond || reading.beyond;
}

// An entry a cycle, the same into the memories of all lanes, which have one port each.
void load_table(ReadPort<WeightWord> port, U<AW> limit, U<AW> first_beat, TableMemory& table, bool& beyond) {
    Reading reading;
    reading.begin(port, limit, run_of(first_beat, TABLE_ENTRIES / PORT_BYTES));
    WeightWord beat = 0;
entries:
    for (U<9> entry = 0; entry != TABLE_ENTRIES; ++entry) {
#pragma HLS PIPELINE II = 1
        const int part = static_cast<int>(entry & (PORT_BYTES - 1));
        if (part == 0) beat = reading.take(port);
        const int8_t value = byte_of(beat, part);
    lanes:
        for (int lane = 0; lane < POST_LANES; ++lane) {
#pragma HLS UNROLL  // each lane has a memory
            table[lane][place_in<TABLE_ENTRIES>(entry)] = value;
        }
    }
    beyond = beyond || reading.beyond;
}

}  // namespace

void describe_next(ReadPort<WeightWord> port, const Arena arena, const WeightCommand command, CycleClock& clock,
                   ParameterMemory& parameters, TableMemory& table, NextStep& next, Spent& spent) {
    // Static, as it is fetched in one slot and taken behind a later one.
    static NextStep kept;
    const uint32_t begin = clock;
    const U<AW> limit = arena.words >> PORT_SHIFT;
    bool beyond = false;
    if (command.describes) {
        load_descriptor(port, limit, command.descriptor_beat, kept);
        if (kept.sound) {
            const Descriptor& d = kept.descriptor;
            load_parameters(port, limit, run_of(d.parameter_word >> PORT_SHIFT, d.parameter_beats), command.deadline,
                            clock, parameters, kept.beyond);
            if (d.load_table) load_table(port, limit, d.table_word >> PORT_SHIFT, table, kept.beyond);
        }
        beyond = kept.beyond;
    }
    next = kept;
    spent.count = 0;
    spent.cycles = clock - begin;
    spent.beyond = beyond;
    spent.uneven = false;
}

void fetch_weights(ReadPort<WeightWord> port, const Arena arena, const WeightCommand command, CycleClock& clock,
                   WeightBuffer& filled, Spent& spent) {
    const uint32_t begin = clock;
    uint32_t count = 0;
    bool beyond = false;
    if (command.runs && command.beats != 0) {
        Reading reading;
        reading.begin(port, arena.words >> PORT_SHIFT, run_of(command.beat, command.beats));
        bool here[WEIGHT_GROUPS];                     // the beat's place in the line, one-hot
#pragma HLS ARRAY_PARTITION variable = here complete  // registers
        for (int group = 0; group < WEIGHT_GROUPS; ++group) {
#pragma HLS UNROLL  // registers
            here[group] = group == 0;
        }
        U<WA> line = 0;
        bool late = false;
    beats:
        for (bool more = true; more;) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 65536
#pragma HLS PIPELINE II = 1
            more = !reading.last;
            const WeightWord beat = reading.take(port, late);
            late = command.deadline.has_passed(clock);
        banks:
            for (int bank = 0; bank < WEIGHT_BANKS; ++bank) {
#pragma HLS UNROLL  // each is a memory
                if (here[bank / PORT_WORDS]) {
                    filled[bank][place_in<WEIGHT_DEPTH>(line)] =
                        static_cast<Word>(beat >> (8 * BYTES * (bank % PORT_WORDS)));
                }
            }
            const bool last_group = here[WEIGHT_GROUPS - 1];
            for (int group = WEIGHT_GROUPS - 1; group > 0; --group) {
#pragma HLS UNROLL  // a rotation
                here[group] = here[group - 1];
            }
            here[0] = last_group;
            line = wrapped<WA>(line + last_group);
            ++count;
        }
        beyond = reading.beyond;
    }
    spent.count = count;
    spent.cycles = clock - begin;
    spent.beyond = beyond;
    spent.uneven = false;
}

void load_weights(ReadPort<WeightWord> port, const Arena arena, const WeightCommand command, CycleClock& clock,
                  WeightBuffer& filled, ParameterMemory& parameters, TableMemory& table, NextStep& next, Spent& spent) {
    Spent described, fetched;
    describe_next(port, arena, command, clock, parameters, table, next, described);
    fetch_weights(port, arena, command, clock, filled, fetched);
    spent.count = fetched.count;
    spent.cycles = described.cycles + fetched.cycles;
    spent.beyond = fetched.beyond;
    spent.uneven = false;
}
