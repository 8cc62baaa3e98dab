// The engine's interface: four memory ports on one arena, what of it a program takes, and copies of a counter of cycles.
//
// Registers lie where the Verilog's do (hw_templates/conv_engine/registers.py), but for those that HLS has no means for:
// watchdog, abort and limit of cycles. In a simulation nothing counts the cycles, and all that are reported are 0.
#pragma once

#include "ports.h"
#include "sequencer.h"

// Who reads which copy of the counter of cycles.
enum Clock {
    IFMAP_CLOCK,
    WEIGHT_CLOCK,
    DESCRIBE_CLOCK,
    RESIDUAL_CLOCK,
    COMPUTE_CLOCK,
    STORE_CLOCK,
    PROGRAM_CLOCK,
    CLOCKS
};

extern "C" void conv_engine(ReadPort<Word> ifmap_port, ReadPort<WeightWord> weight_port, ReadPort<Word> residual_port,
                            WritePort<Word> ofmap_port, uint32_t program_word, uint32_t layer_count,
                            uint32_t arena_words, uint32_t protected_words, Outcome& outcome,
                            CycleClock clocks[CLOCKS]);
