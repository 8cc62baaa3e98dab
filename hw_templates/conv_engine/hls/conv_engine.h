// The engine's interface: four memory ports on one arena, what of it a program takes, and copies of a counter of cycles.
//
// Registers lie where the Verilog's do (hw_templates/conv_engine/registers.py), but for those that HLS has no means for:
// watchdog and abort. The limit of cycles has 32 bits. In a simulation the counter of cycles stands still unless a test says
// otherwise, and then all cycles that are reported are 0.
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

// The registers that say where a program lies, 8 bytes each; HLS adds a word behind the last one.
struct ProgramRegisters {
    uint32_t program_word, unused_44;
    uint32_t layer_count, unused_4c;
    uint32_t arena_words, unused_54;
    uint32_t protected_words;
};

extern "C" void conv_engine(ReadPort<Word> ifmap_port, ReadPort<WeightWord> weight_port, ReadPort<Word> residual_port,
                            WritePort<Word> ofmap_port, ProgramRegisters registers, uint32_t cycle_limit,
                            Outcome& outcome, CycleClock clocks[CLOCKS]);
