// Random numbers of the tests, the same in every run.
#pragma once

#include <cstdint>
#include <cstdio>
#include <random>

#include "engine_config.h"

static std::mt19937 random_bits(PIXELS);

static inline int range(int from, int to) { return from + static_cast<int>(random_bits() % (to - from + 1)); }

template <typename Memory>
static void fill(Memory& memory) {
    uint8_t* bytes = reinterpret_cast<uint8_t*>(&memory);
    for (size_t i = 0; i < sizeof memory; ++i) bytes[i] = static_cast<uint8_t>(random_bits());
}
