// The PE array and the depthwise unit.
#pragma once

#include "types.h"

// Two products that share an operand, from one 25 x 18 bit multiplication: first * shared and second * shared.
void multiply_pair(int8_t first, int8_t second, int8_t shared, int32_t& first_product, int32_t& second_product);

void compute(CycleClock& clock, const Descriptor& d, const TileShape& shape, const Tile& tile, const IfmapBuffer& ifmap,
             const WeightBuffer& weights, OfmapBuffer& ofmap, Spent& spent);
