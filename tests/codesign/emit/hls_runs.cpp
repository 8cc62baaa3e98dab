// Runs programs one after the other on one engine in C++, each with registers and a memory of its own.
//
//     hls_runs (ARENA [NAME=VALUE ...]) ...
//
// As engine_runs.cpp does it on the Verilog, but for what a program in C++ has not: of the names only the registers of a program
// mean anything, and a cycle is an iteration of a loop of a stage, one stage after the other.
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "conv_engine.h"

namespace {

struct Run {
    explicit Run(const std::string& path) : path(path) {}
    uint64_t operator[](const std::string& name) const { return values.at(name); }

    std::string path;
    std::map<std::string, uint64_t> values;
};

int carry_out(const Run& run) {
    std::ifstream file(run.path, std::ios::binary);
    std::vector<uint8_t> bytes(std::istreambuf_iterator<char>(file), {});
    bytes.resize(run["arena_words"] * BYTES);
    hls::HostMemory<Word> ifmap(bytes.data(), bytes.size());
    hls::HostMemory<WeightWord> weights(bytes.data(), bytes.size());
    hls::HostMemory<Word> residual = ifmap, ofmap = ifmap;
    ProgramRegisters registers = {};
    registers.program_word = run["program_word"];
    registers.layer_count = run["layers"];
    registers.arena_words = run["registered_words"] ? run["registered_words"] : run["arena_words"];
    registers.protected_words = run["protected_words"];
    HostClock::step = 1;
    Outcome outcome;
    CycleClock clocks[CLOCKS] = {};
    conv_engine(ReadPort<Word>(ifmap), ReadPort<WeightWord>(weights), ReadPort<Word>(residual), WritePort<Word>(ofmap),
                registers, run["cycle_limit"], outcome, clocks);
    std::printf("%u %u %llu %llu 0\n", outcome.status & 15, outcome.status >> 16,
                static_cast<unsigned long long>(outcome.cycles), static_cast<unsigned long long>(ofmap.words_passed));
    if (!ifmap.is_quiet() || !weights.is_quiet() || !residual.is_quiet() || !ofmap.is_quiet()) {
        return std::printf("%s: answers are still due\n", run.path.c_str()), 1;
    }
    std::ofstream after(run.path + ".after", std::ios::binary);
    after.write(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    std::vector<Run> runs;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        const size_t equals = word.find('=');
        if (equals == std::string::npos)
            runs.emplace_back(word);
        else
            runs.back().values[word.substr(0, equals)] = std::stoull(word.substr(equals + 1));
    }
    for (const Run& run : runs) {
        if (const int failed = carry_out(run)) return failed;
    }
    return 0;
}
