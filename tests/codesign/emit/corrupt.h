// Corrupted descriptors, which both implementations of the engine must survive.
#pragma once

#include <algorithm>
#include <cstring>
#include <random>

#include "engine_sizes.h"

// Puts something else into a field of a descriptor: another value of the field's range, or any.
inline void corrupt(uint8_t* descriptor, std::mt19937& random) {
    const size_t fields = sizeof ENGINE_FIELDS / sizeof *ENGINE_FIELDS, index = random() % fields;
    const EngineField& field = ENGINE_FIELDS[index];
    uint8_t* at = descriptor + 4 * index;
    int32_t value;
    std::memcpy(&value, at, sizeof value);
    const long span = field.most - field.least + 1;
    switch (random() % 8) {
        case 0:
            value = static_cast<int32_t>(random());
            break;
        case 1:
            value ^= 1u << random() % 32;
            break;
        case 2:
            value = static_cast<int32_t>(field.most);
            break;
        case 3:
            value = static_cast<int32_t>(field.least);
            break;
        case 4:
            value = static_cast<int32_t>(std::min(value + 1L, field.most));
            break;
        case 5:
            value = static_cast<int32_t>(std::max(value - 1L, field.least));
            break;
        default:
            value = static_cast<int32_t>(field.least + static_cast<long>(random()) % span);
    }
    std::memcpy(at, &value, sizeof value);
}
