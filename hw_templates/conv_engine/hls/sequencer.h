// What the stages do in each slot of a program, and what it counts (rtl/sequencer.v).
//
// In a slot the loaders fetch one tile, the array works on the tile before, and the store puts away what the tile before that
// finished. In the first slot that leaves the weight port free, the next step is fetched; only the program's first step waits
// for its own. The last two slots of a step fetch nothing of it. In the last one, beside the store, goes what the next step may
// fetch `early`; what is left of its first tile is fetched in a slot of its own. A step is a descriptor: a layer, or a band of it.
//
// Some slots do one thing alone: fetch the first step, make the first tile of a step, wait for all responses, write counters. So
// the whole engine has one call of its stages.
//
// Errors are those of the Verilog as far as HLS can see them: 1 and 2 for bounds, 5 for registers, for descriptors, and for results
// that are not as many words as their descriptor stores, 7 for the limit of cycles. Stages stop at it by themselves, once what was
// asked for has come, and the program ends with the slot. There is no watchdog and no abort (codes 6 and 8), for a stage that
// waits for memory cannot be stopped. Error responses (3, 4) are not shown by the adapters of the ports.
#pragma once

#include "load_weights.h"
#include "plan.h"

enum Memory { MAP, IFMAP, WEIGHTS, SUMS, RESIDUAL, PARAMETERS, TABLE, MEMORIES };

// What all stages are told in a slot.
struct Slot {
    Arena arena;
    bool fills[MEMORIES];  // which half of a memory is filled; the other one is read
    IfmapCommand ifmap;
    WeightCommand weights;
    ResidualCommand residual;
    ComputeCommand compute;
    StoreCommand store;
    PlanCommand plan;
    Descriptor descriptor;
};

// What they did.
struct SlotSpent {
    Spent ifmap, weights, described, residual, compute, store;
    U<OA> group_sums;
    NextStep next;
    Tile planned;
};

// Registers that a program starts with, as they were written.
struct Program {
    uint32_t program_word, layer_count, arena_words, protected_words;
    uint32_t cycle_limit;  // less than 2^31; 0: none
};

// The engine's registers `status` and `cycles`, where the Verilog has them.
struct Outcome {
    uint32_t status;  // bits 0-3 error code, 16-31 step
    uint32_t unused;
    uint64_t cycles;
};

class Sequencer {
public:
    void begin(const Program& program, uint32_t now);
    bool runs() const { return phase != ENDED; }
    void next(Slot& slot);
    void take(const SlotSpent& spent, uint32_t now);
    Outcome outcome() const;

private:
    enum Phase { DESCRIBES, TURNS, WAITS, STORES, RUNS, COUNTS, DRAINS, ENDED };
    // What a tile still needs when it was fetched, and when it was computed.
    struct Computed {
        bool runs, finishes, fills_half;
        bool sum_half;
        ResidualCommand residual;
        ComputeCommand compute;
        StoreCommand store;
    };
    struct Stored {
        bool runs, fills_half;
        bool sum_half;
        StoreCommand store;
    };

    void turn_fetch(const NextStep& next_step);
    void turn_store();
    void begin_slot();
    void end_slot(const SlotSpent& spent, uint32_t now);
    void end_step(uint32_t now);
    void end_program(uint32_t now);
    void count(const SlotSpent& spent);
    bool has_next() const;
    bool read_failed() const { return read_beyond || (weights_beyond && !next_failed); }
    uint32_t stage_error() const;
    bool takes_ifmap() const { return fetched.there && fetched.ifmap.runs && moves(); }
    bool takes_weights() const;
    bool moves() const { return fetched.there && (!beside || descriptor.early == 2); }
    bool waits() const;
    bool stores_apart() const;

    Phase phase;
    Arena arena;
    U<16> step, step_count;
    uint32_t error;
    Deadline deadline;
    U<AW> descriptor_beat;
    Descriptor descriptor;  // of the step that is fetched and computed
    bool next_fetched, next_failed;
    bool beside;         // the slot is the last of one step, and fetches of the next
    bool weights_there;  // of the first tile
    bool first_tile;     // is computed now, or was not yet
    Tile fetched;
    Computed computed;
    Stored stored;
    bool stored_already;                                       // in a slot of its own
    bool ifmap_half, weight_half, parameter_half, table_half;  // that are read
    bool sum_half;                                             // to which the fetched tile's sums go
    bool read_beyond, weights_beyond, write_beyond, uneven;
    U<AW> counter_word;  // of the step that is stored
    uint32_t iterations, ifmap_words, weight_words, result_words, compute_cycles, load_wait, store_wait;
    uint32_t step_ifmap_words, step_weight_words;  // of the step that ends, while those of the next are counted
    uint32_t step_began, program_began, program_cycles;
    uint32_t counters[COUNTERS];
};
