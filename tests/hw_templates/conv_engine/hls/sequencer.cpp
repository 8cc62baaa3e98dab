// What the sequencer makes of the cycles that stages took in the slots of a step of one tile, and of when it was told of them.
#include "sequencer.h"

#include <cstdio>

namespace {

// Runs a slot in which all stages took no time but what `set` says; the clock goes on by 1000.
template <typename Set>
Slot run(Sequencer& sequencer, uint32_t& now, Set set) {
    Slot slot = {};
    SlotSpent spent = {};
    sequencer.next(slot);
    spent.next.sound = true;
    set(spent);
    now += 1000;
    sequencer.take(spent, now);
    return slot;
}

}  // namespace

int main() {
    Sequencer sequencer{};
    uint32_t now = 7;
    sequencer.begin({0, 1, 4096, 0, 0}, now);
    run(sequencer, now, [](SlotSpent&) {});
    run(sequencer, now, [](SlotSpent& spent) {
        spent.planned.there = spent.planned.finishes = true;
        spent.planned.ifmap.runs = spent.planned.weights.runs = spent.planned.residual.runs = true;
    });
    const Slot fetches = run(sequencer, now, [](SlotSpent& spent) {
        spent.ifmap = {11, 100, false, false};
        spent.weights = {13, 70, false, false};
    });
    const Slot computes = run(sequencer, now, [](SlotSpent& spent) {
        spent.compute = {17, 50, false, false};
        spent.residual = {0, 80, false, false};
    });
    const Slot stores = run(sequencer, now, [](SlotSpent& spent) { spent.store = {19, 40, false, false}; });
    const Slot counts = run(sequencer, now, [](SlotSpent&) {});
    run(sequencer, now, [](SlotSpent&) {});
    const bool order = fetches.ifmap.runs && fetches.weights.runs && !fetches.compute.runs && computes.compute.runs &&
                       computes.residual.runs && !computes.store.runs && stores.store.runs && counts.store.counts;
    // Single buffers or not, each stage but one took no time in its slot.
    const uint32_t expected[COUNTERS] = {17, 11, 13 * PORT_WORDS, 19, 5000, 50, 100 + 30, 40};
    for (int i = 0; i < COUNTERS; ++i) {
        if (!order || counts.store.counters[i] != expected[i]) {
            return std::printf("counter %d: %u in place of %u\n", i, counts.store.counters[i], expected[i]), 1;
        }
    }
    if (sequencer.runs() || sequencer.outcome().status != 0 || sequencer.outcome().cycles != 7000) {
        return std::printf("the program does not end\n"), 1;
    }
    std::printf("compared %d\n", COUNTERS);
}
