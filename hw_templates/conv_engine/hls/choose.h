// A selection of one of several registers.
#pragma once

#include "widths.h"

// Levels of a tree over so many values: the bits of an index of one of them.
constexpr int levels(int count) { return count <= 1 ? 0 : 1 + levels((count + 1) / 2); }

// The value at `index`: a tree of selections by its bits, from the lowest one on. An array with a variable index would be a memory
// to what reads the LLVM IR.
template <int COUNT, int BITS, typename Value>
Value chosen(const Value (&values)[COUNT], U<BITS> index) {
#pragma HLS INLINE
    Value level[COUNT];
#pragma HLS ARRAY_PARTITION variable = level complete  // wires
    for (int i = 0; i < COUNT; ++i) {
#pragma HLS UNROLL  // wires
        level[i] = values[i];
    }
    int left = COUNT;
    for (int bit = 0; bit < BITS; ++bit) {
#pragma HLS UNROLL  // a level of the tree
        const bool upper = (index & U<BITS>(U<BITS>(1) << bit)) != 0;
        for (int i = 0; i < (left + 1) / 2; ++i) {
#pragma HLS UNROLL  // a selection
            level[i] = upper && 2 * i + 1 < left ? level[2 * i + 1] : level[2 * i];
        }
        left = (left + 1) / 2;
    }
    return level[0];
}
