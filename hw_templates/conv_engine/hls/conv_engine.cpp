#include "conv_engine.h"

#include "stages.h"

namespace {

// The memory at a place of a list of them; the list's functions are calls of one argument less, and vanish.
template <int PLACE, typename First, typename... Others>
auto& memory_at(First& first, Others&... others) {
#pragma HLS INLINE
    if constexpr (PLACE == 0) {
        return first;
    } else {
        return memory_at<PLACE - 1>(others...);
    }
}

// A list holds the half that is filled and the half that is read of each memory, in the order of `Memory`.
template <Memory MEMORY, typename... Memories>
auto& filled(Memories&... memories) {
#pragma HLS INLINE
    return memory_at<2 * MEMORY>(memories...);
}
template <Memory MEMORY, typename... Memories>
const auto& read(Memories&... memories) {
#pragma HLS INLINE
    return memory_at<2 * MEMORY + 1>(memories...);
}

// A stage runs in the phase that its buffers give it, and in the others there is none of it.
template <bool HERE>
struct Phase {
    template <typename... Arguments>
    static void load_ifmap(Arguments&&... arguments) {
#pragma HLS INLINE
        ::load_ifmap(arguments...);
    }
    template <typename... Arguments>
    static void load_weights(Arguments&&... arguments) {
#pragma HLS INLINE
        ::load_weights(arguments...);
    }
    template <typename... Arguments>
    static void describe_next(Arguments&&... arguments) {
#pragma HLS INLINE
        ::describe_next(arguments...);
    }
    template <typename... Arguments>
    static void fetch_weights(Arguments&&... arguments) {
#pragma HLS INLINE
        ::fetch_weights(arguments...);
    }
    template <typename... Arguments>
    static void store(Arguments&&... arguments) {
#pragma HLS INLINE
        ::store(arguments...);
    }
};
template <>
struct Phase<false> {
    template <typename... Arguments>
    static void load_ifmap(Arguments&&...) {
#pragma HLS INLINE
    }
    template <typename... Arguments>
    static void load_weights(Arguments&&...) {
#pragma HLS INLINE
    }
    template <typename... Arguments>
    static void describe_next(Arguments&&...) {
#pragma HLS INLINE
    }
    template <typename... Arguments>
    static void fetch_weights(Arguments&&...) {
#pragma HLS INLINE
    }
    template <typename... Arguments>
    static void store(Arguments&&...) {
#pragma HLS INLINE
    }
};

// What works at the same time as the array: whatever fills or empties the other one of two buffers, and what makes the commands of
// the next slot. No stage touches what another one does.
template <typename... Memories>
void overlap(ReadPort<Word> ifmap_port, ReadPort<WeightWord> weight_port, ReadPort<Word> residual_port,
             WritePort<Word> ofmap_port, CycleClock clocks[CLOCKS], const Slot& slot, SlotSpent& spent,
             Memories&... m) {
#pragma HLS INLINE off
#pragma HLS DATAFLOW  // lasts as long as its slowest stage
    Phase<IFMAP_BUFFERS == 2>::load_ifmap(ifmap_port, slot.arena, slot.ifmap, clocks[IFMAP_CLOCK], read<MAP>(m...),
                                          filled<IFMAP>(m...), spent.ifmap);
    Phase<WEIGHT_BUFFERS == 2>::load_weights(weight_port, slot.arena, slot.weights, clocks[WEIGHT_CLOCK],
                                             filled<WEIGHTS>(m...), filled<PARAMETERS>(m...), filled<TABLE>(m...),
                                             spent.next, spent.weights);
    Phase<WEIGHT_BUFFERS == 1>::describe_next(weight_port, slot.arena, slot.weights, clocks[DESCRIBE_CLOCK],
                                              filled<PARAMETERS>(m...), filled<TABLE>(m...), spent.next,
                                              spent.described);
    load_residual(residual_port, slot.arena, slot.residual, clocks[RESIDUAL_CLOCK], filled<RESIDUAL>(m...),
                  spent.residual);
    compute(slot.compute, clocks[COMPUTE_CLOCK], read<IFMAP>(m...), read<WEIGHTS>(m...), filled<SUMS>(m...),
            spent.compute, spent.group_sums);
    Phase<OFMAP_BUFFERS == 2>::store(ofmap_port, slot.arena, slot.store, clocks[STORE_CLOCK], read<SUMS>(m...),
                                     read<RESIDUAL>(m...), read<PARAMETERS>(m...), read<TABLE>(m...), filled<MAP>(m...),
                                     spent.store);
    plan(slot.plan, slot.descriptor, spent.planned);
}

// What overwrites a single buffer waits for the array that reads it.
template <typename... Memories>
void refill(ReadPort<Word> ifmap_port, ReadPort<WeightWord> weight_port, CycleClock clocks[CLOCKS], const Slot& slot,
            SlotSpent& spent, Memories&... m) {
#pragma HLS INLINE off
#pragma HLS DATAFLOW  // both loads at the same time
    Phase<IFMAP_BUFFERS == 1>::load_ifmap(ifmap_port, slot.arena, slot.ifmap, clocks[IFMAP_CLOCK], read<MAP>(m...),
                                          filled<IFMAP>(m...), spent.ifmap);
    Phase<WEIGHT_BUFFERS == 1>::fetch_weights(weight_port, slot.arena, slot.weights, clocks[WEIGHT_CLOCK],
                                              filled<WEIGHTS>(m...), spent.weights);
}

// One slot: results leave a single buffer before the array overwrites them, and loads into single ones come last.
template <typename... Memories>
void run_slot(ReadPort<Word> ifmap_port, ReadPort<WeightWord> weight_port, ReadPort<Word> residual_port,
              WritePort<Word> ofmap_port, CycleClock clocks[CLOCKS], const Slot& slot, SlotSpent& spent,
              Memories&... m) {
#pragma HLS INLINE off
    Phase<OFMAP_BUFFERS == 1>::store(ofmap_port, slot.arena, slot.store, clocks[STORE_CLOCK], read<SUMS>(m...),
                                     read<RESIDUAL>(m...), read<PARAMETERS>(m...), read<TABLE>(m...), filled<MAP>(m...),
                                     spent.store);
    overlap(ifmap_port, weight_port, residual_port, ofmap_port, clocks, slot, spent, m...);
    if (IFMAP_BUFFERS == 1 || WEIGHT_BUFFERS == 1) {
        refill(ifmap_port, weight_port, clocks, slot, spent, m...);
    }
}

// Picks which half of a memory is filled and which is read, and hands on to the next memory. One nests in the other and none is
// inlined, so that there is one copy of the stages with multiplexers in front, and not one for each combination. `first` and
// `second` are the halves of this memory; behind them come those of the memories that are not chosen yet, then the chosen ones.
template <int MEMORY, typename Half, typename... Others>
void choose(ReadPort<Word> ifmap_port, ReadPort<WeightWord> weight_port, ReadPort<Word> residual_port,
            WritePort<Word> ofmap_port, CycleClock clocks[CLOCKS], const Slot& slot, SlotSpent& spent, Half& first,
            Half& second, Others&... others) {
#pragma HLS INLINE off
// What is called for one half and for the other one is one circuit.
#pragma HLS ALLOCATION function instances = choose limit = 1
#pragma HLS ALLOCATION function instances = run_slot limit = 1
    if constexpr (MEMORY == MEMORIES) {
        run_slot(ifmap_port, weight_port, residual_port, ofmap_port, clocks, slot, spent, first, second, others...);
    } else if (slot.fills[MEMORY]) {
        choose<MEMORY + 1>(ifmap_port, weight_port, residual_port, ofmap_port, clocks, slot, spent, others..., second,
                           first);
    } else {
        choose<MEMORY + 1>(ifmap_port, weight_port, residual_port, ofmap_port, clocks, slot, spent, others..., first,
                           second);
    }
}

}  // namespace

extern "C" void conv_engine(ReadPort<Word> ifmap_port, ReadPort<WeightWord> weight_port, ReadPort<Word> residual_port,
                            WritePort<Word> ofmap_port, ProgramRegisters registers, uint32_t cycle_limit,
                            Outcome& outcome, CycleClock clocks[CLOCKS]) {
// Four ports, so that the loads, the residual and the results do not wait for each other. An adapter holds 16 bursts of as many
// words, which ports.h asks for at most. Depth is for co-simulation.
#pragma HLS INTERFACE m_axi port = ifmap_port bundle = ifmap offset = slave num_read_outstanding = \
    16 max_read_burst_length = 16 depth = 1048576
#pragma HLS INTERFACE m_axi port = weight_port bundle = weights offset = slave num_read_outstanding = \
    16 max_read_burst_length = 16 depth = 1048576
#pragma HLS INTERFACE m_axi port = residual_port bundle = residual offset = slave num_read_outstanding = \
    16 max_read_burst_length = 16 depth = 1048576
#pragma HLS INTERFACE m_axi port = ofmap_port bundle = ofmap offset = slave num_write_outstanding = \
    16 max_write_burst_length = 16 depth = 1048576
// The register map of hw_templates/conv_engine/registers.py.
#pragma HLS INTERFACE s_axilite port = ifmap_port bundle = control offset = 0x10
#pragma HLS INTERFACE s_axilite port = weight_port bundle = control offset = 0x1c
#pragma HLS INTERFACE s_axilite port = residual_port bundle = control offset = 0x28
#pragma HLS INTERFACE s_axilite port = ofmap_port bundle = control offset = 0x34
#pragma HLS INTERFACE s_axilite port = registers bundle = control offset = 0x40
#pragma HLS INTERFACE s_axilite port = outcome bundle = control offset = 0x60
#pragma HLS INTERFACE s_axilite port = cycle_limit bundle = control offset = 0x78
#pragma HLS INTERFACE s_axilite port = return bundle = control
// A wire for each stage that looks at the time.
#pragma HLS ARRAY_PARTITION variable = clocks complete
#pragma HLS INTERFACE ap_none port = clocks
    // Static: on-chip memories, not a stack. A single buffer stands for both of its halves.
    static MapMemory maps[2];
    static IfmapBuffer ifmap[IFMAP_BUFFERS];
    static WeightBuffer weights[WEIGHT_BUFFERS];
    static SumBuffer sums[OFMAP_BUFFERS];
    static ResidualBuffer residual[OFMAP_BUFFERS];
    static ParameterMemory parameters[2];
    static TableMemory tables[2];
// Each half is an array of its own, and each bank a memory, as one is read or written in every cycle.
#pragma HLS ARRAY_PARTITION variable = maps complete dim = 1
#pragma HLS ARRAY_PARTITION variable = maps complete dim = 2
#pragma HLS ARRAY_PARTITION variable = ifmap complete dim = 1
#pragma HLS ARRAY_PARTITION variable = ifmap complete dim = 2
#pragma HLS ARRAY_PARTITION variable = weights complete dim = 1
#pragma HLS ARRAY_PARTITION variable = weights complete dim = 2
#pragma HLS ARRAY_PARTITION variable = sums complete dim = 1
#pragma HLS ARRAY_PARTITION variable = sums complete dim = 2
#pragma HLS ARRAY_PARTITION variable = residual complete dim = 1
#pragma HLS ARRAY_PARTITION variable = parameters complete dim = 1
#pragma HLS ARRAY_PARTITION variable = parameters complete dim = 2
#pragma HLS ARRAY_PARTITION variable = tables complete dim = 1
#pragma HLS ARRAY_PARTITION variable = tables complete dim = 2
// One write and one read port with a registered output, as rtl/bank.v has them. A table's 256 bytes would waste a block RAM, and need
// no register behind them.
#pragma HLS BIND_STORAGE variable = maps type = ram_s2p impl = bram latency = 2
#pragma HLS BIND_STORAGE variable = ifmap type = ram_s2p impl = bram latency = 2
#pragma HLS BIND_STORAGE variable = weights type = ram_s2p impl = bram latency = 2
#pragma HLS BIND_STORAGE variable = sums type = ram_s2p impl = bram latency = 2
#pragma HLS BIND_STORAGE variable = residual type = ram_s2p impl = bram latency = 2
#pragma HLS BIND_STORAGE variable = parameters type = ram_s2p impl = bram latency = 2
#pragma HLS BIND_STORAGE variable = tables type = ram_s2p impl = lutram latency = 1

    Sequencer sequencer{};
    const Program program = {registers.program_word, registers.layer_count, registers.arena_words,
                             registers.protected_words, cycle_limit};
    sequencer.begin(program, clocks[PROGRAM_CLOCK]);
    slots:
    while (sequencer.runs()) {
#pragma HLS LOOP_TRIPCOUNT min = 8 max = 65536
        Slot slot = {};
        SlotSpent spent = {};
        sequencer.next(slot);
        choose<MAP>(ifmap_port, weight_port, residual_port, ofmap_port, clocks, slot, spent, maps[0], maps[1], ifmap[0],
                    ifmap[IFMAP_BUFFERS - 1], weights[0], weights[WEIGHT_BUFFERS - 1], sums[0], sums[OFMAP_BUFFERS - 1],
                    residual[0], residual[OFMAP_BUFFERS - 1], parameters[0], parameters[1], tables[0], tables[1]);
        sequencer.take(spent, clocks[PROGRAM_CLOCK]);
    }
    outcome = sequencer.outcome();
}
