#include "sequencer.h"

namespace {

constexpr int PORT_SHIFT = PORT_WORDS == 2 ? 1 : 0;
constexpr int DESCRIPTOR_WORDS = 4 * DESCRIPTOR_FIELDS / BYTES, DESCRIPTOR_BEATS = DESCRIPTOR_WORDS / PORT_WORDS;
constexpr int IFMAP_WAITS = 1, SLOT_WAITS = 2, GATE_WAITS = 4;  // bits of what a step waits for
constexpr int EARLY_IFMAP = 2;
constexpr int COUNTER_WORDS = 4 * COUNTERS / BYTES;
constexpr uint32_t READ_BEYOND = 1, WRITE_BEYOND = 2, UNSOUND = 5, CYCLE_LIMIT = 7;  // error codes
constexpr uint32_t MOST_CYCLES = 1u << 31;                                           // of a limit

// Whether a program is refused for its registers (rtl/control_regs.v). Where the ports' bases lie, HLS does not show: they must be
// at multiples of 4 KiB.
bool is_unsound(const Program& program) {
    constexpr uint32_t PLACES = static_cast<uint32_t>(1) << AW;
    const bool wide = program.program_word >= PLACES || program.layer_count >= 1 << 16 ||
                      program.arena_words >= PLACES || program.protected_words >= PLACES ||
                      program.cycle_limit >= MOST_CYCLES;
    const uint64_t end =
        static_cast<uint64_t>(program.program_word) + static_cast<uint64_t>(program.layer_count) * DESCRIPTOR_WORDS;
    return wide || program.layer_count == 0 || program.arena_words < MAX_BURST * PORT_WORDS ||
           end > program.arena_words;
}

uint32_t greater(uint32_t a, uint32_t b) { return a > b ? a : b; }

}  // namespace

void Sequencer::begin(const Program& program, uint32_t now) {
    const bool unsound = is_unsound(program);
    phase = unsound ? DRAINS : DESCRIBES;
    error = unsound ? UNSOUND : 0;
    deadline = {program.cycle_limit != 0, now + program.cycle_limit};
    arena.words = wrapped<AW>(program.arena_words);
    arena.protected_words = wrapped<AW>(program.protected_words);
    step = 0;
    step_count = wrapped<16>(program.layer_count);
    descriptor_beat = wrapped<AW>(program.program_word >> PORT_SHIFT);
    next_fetched = next_failed = beside = weights_there = first_tile = false;
    fetched.there = computed.runs = stored.runs = stored_already = false;
    ifmap_half = weight_half = parameter_half = table_half = sum_half = false;
    computed.sum_half = stored.sum_half = false;
    read_beyond = weights_beyond = write_beyond = uneven = false;
    iterations = ifmap_words = weight_words = result_words = compute_cycles = load_wait = store_wait = 0;
    step_began = program_began = now;
    program_cycles = 0;
}

bool Sequencer::has_next() const {
    const U<17> behind = U<17>(step) + 1;
    return behind != step_count;
}

// What ends the program with the slot.
uint32_t Sequencer::stage_error() const {
    return read_failed() ? READ_BEYOND : write_beyond ? WRITE_BEYOND : uneven ? UNSOUND : 0;
}

// The rest of a first tile whose weights were fetched early has none.
bool Sequencer::takes_weights() const {
    return fetched.there && fetched.weights.runs && (beside ? descriptor.early != 0 : !weights_there);
}

// Whether the slot reads what the descriptor says may just have been made.
bool Sequencer::waits() const {
    const bool wants_map = (descriptor.waits & IFMAP_WAITS) != 0 && fetched.there && fetched.ifmap.runs;
    const bool wants_slot = (descriptor.waits & SLOT_WAITS) != 0, wants_gate = (descriptor.waits & GATE_WAITS) != 0;
    return beside ? (descriptor.early == EARLY_IFMAP && wants_map) || (descriptor.early != 0 && wants_gate)
                  : first_tile && (wants_map || (computed.runs ? wants_slot : wants_gate));
}

// Beside the last store of a step, the next one may read the half of the map memory that is written: then one follows the other,
// as an array has one reader or one writer in a slot.
bool Sequencer::stores_apart() const {
    return stored.runs && !stored_already && stored.store.on_chip && takes_ifmap() && fetched.ifmap.on_chip &&
           stored.fills_half == fetched.reads_half;
}

void Sequencer::next(Slot& slot) {
    const bool stores = stored.runs && !stored_already;
    slot.arena = arena;
    slot.descriptor = descriptor;
    slot.ifmap = fetched.ifmap;
    slot.weights = fetched.weights;
    slot.residual = computed.residual;
    slot.compute = computed.compute;
    slot.store = stored.store;
    slot.ifmap.runs = phase == RUNS && takes_ifmap();
    slot.weights.runs = phase == RUNS && takes_weights();
    slot.weights.describes = phase == DESCRIBES || (phase == RUNS && computed.runs && has_next() && !next_fetched &&
                                                    !(WEIGHT_BUFFERS == 2 && slot.weights.runs));
    slot.weights.descriptor_beat = descriptor_beat;
    slot.residual.runs = phase == RUNS && computed.runs && computed.finishes && computed.residual.runs;
    slot.compute.runs = phase == RUNS && computed.runs;
    slot.store.drains = phase == WAITS || phase == DRAINS;
    slot.store.counts = phase == COUNTS;
    slot.store.runs = slot.store.drains || slot.store.counts || ((phase == STORES || phase == RUNS) && stores);
    slot.ifmap.deadline = slot.weights.deadline = slot.residual.deadline = deadline;
    slot.compute.deadline = slot.store.deadline = deadline;
    slot.plan.begins = phase == TURNS;
    slot.plan.goes_on = phase == RUNS && moves();

    // What is fetched goes to the other half, if there is one: what was fetched last is computed. Results are read where they were
    // summed up, and the map memory's halves follow who uses it.
    slot.fills[IFMAP] = IFMAP_BUFFERS == 2 && !ifmap_half;
    slot.fills[WEIGHTS] = WEIGHT_BUFFERS == 2 && !weight_half;
    slot.fills[SUMS] = OFMAP_BUFFERS == 2 && (stores ? !stored.sum_half : computed.sum_half);
    slot.fills[RESIDUAL] = slot.fills[SUMS];
    slot.fills[PARAMETERS] = !parameter_half;
    slot.fills[TABLE] = !table_half;
    slot.fills[MAP] = stores && stored.store.on_chip ? stored.fills_half : !fetched.reads_half;

    if (phase == COUNTS) {
        slot.store.part.word = counter_word;
        slot.store.part.rows = 1;
        slot.store.part.runs = 1;
        slot.store.part.beats = COUNTER_WORDS;
    }
    for (int i = 0; i < COUNTERS; ++i) {
#pragma HLS UNROLL  // wires
        slot.store.counters[i] = counters[i];
    }
    if (slot.ifmap.runs) ifmap_half = slot.fills[IFMAP];
    if (slot.weights.runs) weight_half = slot.fills[WEIGHTS];
    if (slot.weights.describes) {
        next_fetched = true;
        descriptor_beat = wrapped<AW>(descriptor_beat + DESCRIPTOR_BEATS);
    }
}

void Sequencer::take(const SlotSpent& spent, uint32_t now) {
    read_beyond = read_beyond || spent.ifmap.beyond || spent.residual.beyond;
    weights_beyond = weights_beyond || spent.weights.beyond;
    write_beyond = write_beyond || spent.store.beyond;
    uneven = uneven || spent.store.uneven;
    next_failed = next_failed || spent.next.beyond;
    count(spent);
    if (error == 0 && deadline.has_passed(now)) {
        // Stages may have stopped, so nothing of the slot counts.
        error = CYCLE_LIMIT;
        phase = DRAINS;
        return;
    }
    switch (phase) {
        case DESCRIBES:
            if (next_failed || !spent.next.sound) {
                error = next_failed ? READ_BEYOND : UNSOUND;
                phase = DRAINS;
            } else {
                turn_fetch(spent.next);
            }
            break;
        case TURNS:
            fetched = spent.planned;
            if (!beside) turn_store();
            begin_slot();
            break;
        case WAITS:
            phase = stores_apart() ? STORES : RUNS;
            break;
        case STORES:
            stored_already = true;
            phase = RUNS;
            break;
        case RUNS:
            end_slot(spent, now);
            break;
        case COUNTS:
            if (beside) {
                step = step + 1;
                beside = false;
                turn_store();
                begin_slot();
            } else {
                phase = DRAINS;
            }
            break;
        default:  // DRAINS
            end_program(now);
            break;
    }
}

// The loaders and the array turn to the step that was fetched.
void Sequencer::turn_fetch(const NextStep& next_step) {
    descriptor = next_step.descriptor;
    phase = TURNS;
}

// And so does the store, behind the last result of the step before.
void Sequencer::turn_store() {
    counter_word = descriptor.counter_word;
    parameter_half = !parameter_half;
    table_half = table_half != (descriptor.load_table != 0);
    next_fetched = false;
    first_tile = true;
}

void Sequencer::begin_slot() {
    stored_already = false;
    phase = waits() ? WAITS : stores_apart() ? STORES : RUNS;
}

// Each tile goes on to the next stage.
void Sequencer::end_slot(const SlotSpent& spent, uint32_t now) {
    const bool computes = computed.runs, fetches = fetched.there, moved = moves();
    stored.runs = computed.runs && computed.finishes;
    stored.fills_half = computed.fills_half;
    stored.sum_half = computed.sum_half;
    stored.store = computed.store;
    stored.store.group_sums = spent.group_sums;
    computed.runs = moved;
    computed.finishes = fetched.finishes;
    computed.fills_half = fetched.fills_half;
    computed.sum_half = sum_half;
    computed.residual = fetched.residual;
    computed.compute = fetched.compute;
    computed.store = fetched.store;
    if (moved) {
        // Sums change their half behind a tile that finishes.
        sum_half = OFMAP_BUFFERS == 2 && sum_half != fetched.finishes;
        fetched = spent.planned;
    }
    if (computes) first_tile = false;
    weights_there = beside && descriptor.early == 1;

    if (stage_error() != 0) {
        error = stage_error();
        // What is fetched early belongs to the next step.
        if (beside && read_failed()) step = step + 1;
        if (!beside) {
            step_ifmap_words = ifmap_words;
            step_weight_words = weight_words;
        }
        beside = false;
        end_step(now);
    } else if (beside) {
        end_step(now);
    } else if (fetches) {
        begin_slot();
    } else if (computes) {
        // The step's last slot is left: the next one's loads are counted for it.
        step_ifmap_words = ifmap_words;
        step_weight_words = weight_words;
        ifmap_words = weight_words = 0;
        beside = has_next() && spent.next.sound && !next_failed;
        if (beside) {
            turn_fetch(spent.next);
        } else {
            begin_slot();
        }
    } else {
        end_step(now);
    }
}

void Sequencer::end_step(uint32_t now) {
    counters[0] = iterations;
    counters[1] = step_ifmap_words;
    counters[2] = step_weight_words;
    counters[3] = result_words;
    counters[4] = now - step_began;
    counters[5] = compute_cycles;
    counters[6] = load_wait;
    counters[7] = store_wait;
    iterations = result_words = compute_cycles = load_wait = store_wait = 0;
    step_began = now;
    phase = COUNTS;
}

void Sequencer::end_program(uint32_t now) {
    if (error == 0) error = stage_error();
    if (error == 0 && has_next()) {
        // The next step could not be fetched, or is not sound.
        step = step + 1;
        error = next_failed ? READ_BEYOND : UNSOUND;
    }
    program_cycles = now - program_began;
    phase = ENDED;
}

// What stages did in a slot; each of its cycles counts for the stage that is waited for.
void Sequencer::count(const SlotSpent& spent) {
    const uint32_t computing = spent.compute.cycles, storing = spent.store.cycles;
    const uint32_t weights = greater(spent.weights.cycles, spent.described.cycles);
    uint32_t beside_it = spent.residual.cycles, after_it = 0;
    if (IFMAP_BUFFERS == 2) {
        beside_it = greater(beside_it, spent.ifmap.cycles);
    } else {
        after_it = greater(after_it, spent.ifmap.cycles);
    }
    if (WEIGHT_BUFFERS == 2) {
        beside_it = greater(beside_it, weights);
    } else {
        beside_it = greater(beside_it, spent.described.cycles);
        after_it = greater(after_it, spent.weights.cycles);
    }
    const uint32_t longest = greater(computing, beside_it);
    iterations += spent.compute.count;
    ifmap_words += spent.ifmap.count;
    weight_words += spent.weights.count * PORT_WORDS;
    result_words += spent.store.count;
    compute_cycles += computing;
    load_wait += longest - computing + after_it;
    store_wait += OFMAP_BUFFERS == 1 ? storing : greater(storing, longest) - longest;
}

Outcome Sequencer::outcome() const { return {static_cast<uint32_t>(step) << 16 | error, 0, program_cycles}; }
