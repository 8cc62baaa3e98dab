// Runs programs one after the other on one engine, each with registers and a memory of its own.
//
//     engine_runs [ARENA ARENA_WORDS PROTECTED_WORDS LAYERS ERRORS ERRORS_FROM LATENCY]...
//
// ARENA is the memory before a run, cut or filled to ARENA_WORDS, so that a request beyond the arena ends the simulation.
// From the ERRORS_FROM-th word written on, ERRORS of 65,536 answers are SLVERR. Writes the memory behind a run to ARENA.after
// and prints a line: error code, layer, cycles, and words written.
#include <fstream>
#include <iterator>
#include <string>

#include "rtl_engine.h"

int main(int argc, char** argv) {
    AxiSettings settings;
    settings.jitter = 15;
    settings.pauses = 20;
    RtlEngine engine(0, settings);
    for (int i = 1; i + 6 < argc; i += 7) {
        const std::string path = argv[i];
        std::ifstream file(path, std::ios::binary);
        engine.memory.bytes.assign(std::istreambuf_iterator<char>(file), {});
        engine.memory.bytes.resize(std::stoul(argv[i + 1]) * ENGINE_BYTES);
        const int errors = std::stoi(argv[i + 4]);
        const uint64_t before = engine.ofmap.words, errors_from = before + std::stoul(argv[i + 5]);
        engine.memory.settings.latency = std::stoi(argv[i + 6]);
        for (unsigned port : {0x10, 0x1c, 0x28, 0x34}) {
            engine.write(port, static_cast<uint32_t>(engine.BASE));
            engine.write(port + 4, static_cast<uint32_t>(engine.BASE >> 32));
        }
        engine.write(0x40, 0);
        engine.write(0x48, std::stoul(argv[i + 3]));
        engine.write(0x50, std::stoul(argv[i + 1]));
        engine.write(0x58, std::stoul(argv[i + 2]));
        engine.write(0x04, 1);
        engine.write(0x08, 1);
        engine.write(0x0c, 1);
        engine.write(0x00, 1);
        const uint64_t begun = engine.memory.cycle;
        while (!engine.top.done_interrupt) {
            engine.memory.settings.errors = engine.ofmap.words >= errors_from ? errors : 0;
            engine.clock();
            if (engine.memory.cycle - begun > 5'000'000) return std::printf("%s: does not end\n", path.c_str()), 1;
        }
        const uint32_t status = engine.read(0x60);
        const unsigned long long cycles = engine.read(0x68);
        const unsigned long long words = engine.ofmap.words - before;
        std::printf("%u %u %llu %llu\n", status & 15, status >> 16, cycles, words);
        if (!engine.ifmap.quiet() || !engine.weights.quiet() || !engine.residual.quiet() || !engine.ofmap.quiet()) {
            return std::printf("%s: answers are still due\n", path.c_str()), 1;
        }
        std::ofstream after(path + ".after", std::ios::binary);
        after.write(reinterpret_cast<const char*>(engine.memory.bytes.data()), engine.memory.bytes.size());
    }
    return 0;
}
