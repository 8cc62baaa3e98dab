// The engine's interface: four memory ports on one arena, and where in it the program lies.
#pragma once

#include "types.h"

extern "C" void conv_engine(const Word* ifmap_port, const WeightWord* weight_port, const Word* residual_port,
                            Word* ofmap_port, int program_word, int layer_count);
