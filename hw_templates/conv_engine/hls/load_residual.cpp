#include "stages.h"

// The words of a part of a map, in the order in which the store takes them (rtl/residual_loader.v).
void load_residual(ReadPort<Word> port, const Arena arena, const ResidualCommand command, CycleClock& clock,
                   ResidualBuffer& filled, Spent& spent) {
    const uint32_t begin = clock;
    spent.count = 0;
    spent.beyond = spent.uneven = false;
    if (command.runs) {
        Reading reading;
        reading.begin(port, arena.words, command.part);
        U<RA> at = 0;
        bool late = false;
    words:
        for (bool more = true; more;) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = RESIDUAL_DEPTH
#pragma HLS PIPELINE II = 1  // a word a cycle
            more = !reading.last;
            filled[static_cast<uint32_t>(place_in<RESIDUAL_DEPTH>(at))] = reading.take(port, late);
            late = command.deadline.has_passed(clock);
            at = wrapped<RA>(at + U<RA>(1));  // behind a full buffer comes its first word, which is not written
        }
        spent.beyond = reading.beyond;
    }
    spent.cycles = command.runs ? clock - begin : 0;
}
