// A program of version 5 of the format as its files hold it, checked against the engine before it starts.
//
// program.txt has lines `name value`: the layout of the arena, and the sizes of the engine that the program is made for.
// arena.bin is the arena's initial content. stated.txt says what a run takes: `layer ITERATIONS IFMAP WEIGHT OFMAP NAME` with
// the words of each port's loader, in order, and `port NAME WORDS BURSTS`.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "engine_sizes.h"

// Who complains.
#ifndef SIMULATION_NAME
#define SIMULATION_NAME "rtlsim"
#endif

[[noreturn]] inline void refuse(const std::string& reason) {
    std::fprintf(stderr, SIMULATION_NAME ": error: %s\n", reason.c_str());
    std::exit(2);
}

inline std::vector<uint8_t> content_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) refuse(path + ": cannot be read");
    return {std::istreambuf_iterator<char>(file), {}};
}

struct LayerCounts {
    uint32_t iterations, ifmap_words, weight_words, ofmap_words;
    bool operator==(const LayerCounts& other) const { return std::memcmp(this, &other, sizeof *this) == 0; }
};

struct PortCounts {
    uint64_t words, bursts;
    bool operator==(const PortCounts& other) const { return words == other.words && bursts == other.bursts; }
};

struct Stated {
    std::vector<LayerCounts> layers;
    std::vector<std::string> names;
    std::map<std::string, PortCounts> ports;
};

inline Stated read_stated(const std::string& path) {
    std::ifstream file(path);
    if (!file) refuse(path + ": cannot be read");
    Stated stated;
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string kind, name;
        words >> kind;
        if (kind == "layer") {
            LayerCounts counts;
            words >> counts.iterations >> counts.ifmap_words >> counts.weight_words >> counts.ofmap_words >> std::ws;
            std::getline(words, name);
            stated.layers.push_back(counts);
            stated.names.push_back(name);
        } else {
            PortCounts counts;
            words >> name >> counts.words >> counts.bursts;
            stated.ports[name] = counts;
        }
        if (words.bad() || name.empty()) refuse(path + ": cannot read the line: " + line);
    }
    return stated;
}

class RtlProgram {
public:
    explicit RtlProgram(const std::string& folder)
        : path(folder + "/program.txt"), arena(content_of(folder + "/arena.bin")) {
        std::ifstream lines(path);
        if (!lines) refuse(path + ": cannot be read");
        std::string name;
        for (long value; lines >> name >> value;) layout[name] = value;
        for (const EngineSize& size : ENGINE_SIZES) {
            const long made_for = value_of(size.name);
            if (made_for != size.value) {
                refuse(path + ": " + size.name + ": this engine has " + std::to_string(size.value) +
                       ", the program is made for " + std::to_string(made_for));
            }
        }
        // The layers' names are there for messages alone.
        std::ifstream named(folder + "/stated.txt");
        if (named) names = read_stated(folder + "/stated.txt").names;
        check_arena(folder + "/arena.bin");
        check_fields();
    }

    long value_of(const std::string& name) const {
        const auto found = layout.find(name);
        if (found == layout.end()) refuse(path + ": " + name + " is missing");
        return found->second;
    }
    size_t byte_of(const std::string& word_name) const { return value_of(word_name) * ENGINE_BYTES; }
    std::string name_of(size_t layer) const {
        return "layer " + std::to_string(layer) + (layer < names.size() ? " (" + names[layer] + ")" : "");
    }

private:
    void check_arena(const std::string& arena_path) const {
        // The initial content reaches at least to the counters: descriptors, weights, parameters and tables.
        if (arena.size() < byte_of("counter_word") || arena.size() > byte_of("arena_words")) {
            refuse(arena_path + ": has " + std::to_string(arena.size()) + " bytes where " + path + " says " +
                   std::to_string(byte_of("counter_word")) + " to " + std::to_string(byte_of("arena_words")));
        }
        const size_t end = byte_of("program_word") + value_of("layer_count") * ENGINE_DESCRIPTOR_BYTES;
        if (value_of("layer_count") < 1 || end > arena.size()) {
            refuse(path + ": layer_count " + std::to_string(value_of("layer_count")) +
                   ": at least 1, and within arena.bin");
        }
    }

    void check_fields() const {
        for (long layer = 0; layer < value_of("layer_count"); ++layer) {
            const uint8_t* descriptor = &arena[byte_of("program_word") + layer * ENGINE_DESCRIPTOR_BYTES];
            for (const EngineField& field : ENGINE_FIELDS) {
                int32_t value;
                std::memcpy(&value, descriptor, sizeof value);
                descriptor += sizeof value;
                if (value < field.least || value > field.most) {
                    refuse(path + ": " + name_of(layer) + "." + field.name + ": the engine has " +
                           std::to_string(field.least) + " to " + std::to_string(field.most) + ", got " +
                           std::to_string(value));
                }
            }
        }
    }

    std::string path;
    std::map<std::string, long> layout;
    std::vector<std::string> names;

public:
    const std::vector<uint8_t> arena;
};
