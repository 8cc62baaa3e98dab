// Runs a program on a simulation of the engine and compares what comes out with what must: what all simulations share.
//
//     FOLDER [--images FILE] [--count N] [--results FILE], and the options of the simulation
//
// FOLDER holds a program (see rtl_program.h). With --images each image of FILE, or the first N, is put in its place before a
// run; its logits must be those of FOLDER/golden.bin, and what each layer and each port counts in a run must be what
// FOLDER/stated.txt says. Without it the program runs once on the arena as it is. --results writes the arena from the counters
// on, as the last run leaves it. Prints a line a run, one a layer, and a summary.
#pragma once

#include <algorithm>
#include <ctime>
#include <memory>

#include "rtl_program.h"

struct Counters {
    LayerCounts counts;
    uint32_t cycles, compute_cycles, load_wait, store_wait;
};

// Options with numbers, and what they are where they are not given.
typedef std::map<std::string, long> Numbers;

struct Options {
    std::map<std::string, std::string> files = {{"--images", ""}, {"--results", ""}};
    Numbers numbers = {{"--count", 0}};

    Options(int argc, char** argv, const Numbers& further) {
        numbers.insert(further.begin(), further.end());
        for (int i = 2; i < argc; i += 2) {
            const std::string name = argv[i];
            if (i + 1 == argc) refuse(name + ": its value is missing");
            char* end = nullptr;
            if (files.count(name)) {
                files[name] = argv[i + 1];
            } else if (numbers.count(name)) {
                numbers[name] = std::strtol(argv[i + 1], &end, 10);
                if (*end != 0 || end == argv[i + 1] || numbers[name] < 0) {
                    refuse(name + ": a whole number from 0 on, got " + argv[i + 1]);
                }
            } else {
                refuse("no option " + name);
            }
        }
    }
};

class Comparison {
public:
    Comparison(const std::string& folder, const RtlProgram& program)
        : program(program), stated(read_stated(folder + "/stated.txt")), golden(content_of(folder + "/golden.bin")) {
        bool whole = stated.layers.size() == static_cast<size_t>(program.value_of("layer_count"));
        for (const char* port : {"ifmap", "weights", "residual", "ofmap"}) whole = whole && stated.ports.count(port);
        if (!whole) refuse(folder + "/stated.txt: is not of this program");
    }
    bool logits(long run, const std::vector<uint8_t>& bytes) const {
        const size_t count = program.value_of("logits_count");
        if (golden.size() < (run + 1) * count) refuse("golden.bin: has no logits of image " + std::to_string(run));
        return std::memcmp(&bytes[program.byte_of("logits_word")], &golden[run * count], count) == 0;
    }
    long layers_that_agree(const Counters* counters) const {
        long agree = 0;
        for (size_t layer = 0; layer < stated.layers.size(); ++layer) {
            const LayerCounts &got = counters[layer].counts, &said = stated.layers[layer];
            std::printf("layer %zu %u %u %u %u %u\n", layer, got.iterations, got.ifmap_words, got.weight_words,
                        got.ofmap_words, counters[layer].cycles);
            if (got == said)
                ++agree;
            else
                std::printf("%s differs from what the emitter states: %u %u %u %u\n", program.name_of(layer).c_str(),
                            said.iterations, said.ifmap_words, said.weight_words, said.ofmap_words);
        }
        return agree;
    }
    long ports_that_agree(const std::map<std::string, PortCounts>& counted) const {
        long agree = 0;
        for (const auto& [name, got] : counted) {
            const PortCounts said = stated.ports.at(name);
            if (got == said)
                ++agree;
            else
                std::printf("port %s differs from what the emitter states: %llu words in %llu bursts\n", name.c_str(),
                            static_cast<unsigned long long>(said.words), static_cast<unsigned long long>(said.bursts));
        }
        return agree;
    }

    const RtlProgram& program;
    const Stated stated;
    const std::vector<uint8_t> golden;
};

// `Simulation` is made of the bytes of the arena and the options. It has `bytes`, the arena; `run`, which runs the program once and
// ends with the engine's status and cycles; `port_counts`, of all runs; and `cycles` of them. `further` are its own options.
struct Ended {
    uint32_t status;
    uint64_t cycles;
};

// Ends the simulation where the engine does not end well.
template <typename Simulation>
uint64_t run_once(Simulation& engine, const RtlProgram& program, long run) {
    const Ended ended = engine.run(program);
    const uint32_t error = ended.status & 15;
    const std::string at = "run " + std::to_string(run) + ", " + program.name_of(ended.status >> 16);
    if (error != 0) refuse(at + ": the engine ends with error " + std::to_string(error) + ", " + ENGINE_ERRORS[error]);
    return ended.cycles;
}

template <typename Simulation>
int run_program(int argc, char** argv, const Numbers& further) {
    if (argc < 2) refuse("usage: " SIMULATION_NAME " FOLDER [--option value ...]");
    const std::string folder = argv[1];
    const Options options(argc, argv, further);
    const RtlProgram program(folder);
    Simulation engine(program.byte_of("arena_words"), options.numbers);
    std::vector<uint8_t>& bytes = engine.bytes();
    std::copy(program.arena.begin(), program.arena.end(), bytes.begin());

    const bool compares = !options.files.at("--images").empty();
    const size_t image_bytes = compares ? program.byte_of("image_words") : 0;
    if (compares && image_bytes == 0) refuse(folder + "/program.txt: image_words: at least 1, got 0");
    const std::vector<uint8_t> images = compares ? content_of(options.files.at("--images")) : std::vector<uint8_t>();
    std::unique_ptr<const Comparison> comparison;
    long runs = 1;
    if (compares) {
        comparison.reset(new Comparison(folder, program));
        const long there = images.size() / image_bytes, wanted = options.numbers.at("--count");
        runs = wanted > 0 ? wanted : there;
        if (there == 0 || runs > there || images.size() % image_bytes != 0) {
            refuse(options.files.at("--images") + ": holds " + std::to_string(there) + " images of this program, " +
                   std::to_string(runs) + " are wanted");
        }
    }

    long equal_images = 0, equal_layers = 0, equal_ports = 0;
    const long ports = engine.port_counts().size();
    const std::clock_t begun = std::clock();
    for (long run = 0; run < runs; ++run) {
        if (compares) {
            std::copy_n(images.begin() + run * image_bytes, image_bytes, bytes.begin() + program.byte_of("image_word"));
        }
        const auto before = engine.port_counts();
        const uint64_t cycles = run_once(engine, program, run);
        auto counted = engine.port_counts();
        std::printf("run %ld cycles %llu", run, static_cast<unsigned long long>(cycles));
        for (auto& [name, port] : counted) {
            port.words -= before.at(name).words, port.bursts -= before.at(name).bursts;
            std::printf(" %s %llu %llu", name.c_str(), static_cast<unsigned long long>(port.words),
                        static_cast<unsigned long long>(port.bursts));
        }
        std::printf("\n");
        if (compares) {
            if (comparison->logits(run, bytes))
                ++equal_images;
            else
                std::printf("image %ld differs from the integer reference\n", run);
            if (run + 1 == runs) {
                equal_layers = comparison->layers_that_agree(
                    reinterpret_cast<const Counters*>(&bytes[program.byte_of("counter_word")]));
                equal_ports = comparison->ports_that_agree(counted);
            }
        }
        std::fflush(stdout);
    }
    const double seconds = static_cast<double>(std::clock() - begun) / CLOCKS_PER_SEC;
    std::printf("simulated %llu cycles, %.0f a processor second\n", static_cast<unsigned long long>(engine.cycles()),
                engine.cycles() / std::max(seconds, 1e-6));
    if (!options.files.at("--results").empty()) {
        std::ofstream results(options.files.at("--results"), std::ios::binary);
        const size_t from = program.byte_of("counter_word");
        results.write(reinterpret_cast<const char*>(&bytes[from]), bytes.size() - from);
        if (!results.flush()) refuse(options.files.at("--results") + ": cannot be written");
    }
    if (!compares) return 0;
    const long layers = program.value_of("layer_count");
    std::printf("%ld of %ld images, %ld of %ld layers and %ld of %ld ports agree\n", equal_images, runs, equal_layers,
                layers, equal_ports, ports);
    return equal_images == runs && equal_layers == layers && equal_ports == ports ? 0 : 1;
}
