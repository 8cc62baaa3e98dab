// The engine's interface: four memory ports on one arena, where in it the program lies, and copies of a counter of cycles
// (in simulation nothing counts them, and the cycles of the counters stay 0).
#pragma once

#include "types.h"

extern "C" void conv_engine(const Word* ifmap_port, const WeightWord* weight_port, const Word* residual_port,
                            Word* ofmap_port, int program_word, int layer_count, CycleClock clocks[CLOCKS]);
