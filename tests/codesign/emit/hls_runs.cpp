// Runs programs one after the other on one engine in C++, each with registers and a memory of its own.
//
//     hls_runs (ARENA [NAME=VALUE ...]) ...
//
// As engine_runs.cpp does it on the Verilog, but for what a program in C++ has not: of the names only the registers of a program
// mean anything, and a cycle is an iteration of a loop of a stage, one stage after the other.
#include "conv_engine.h"
#include "runs.h"

namespace {

int carry_out(const Run& run) {
    std::vector<uint8_t> bytes = memory_before(run, run["arena_words"] * BYTES);
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
        return complain(run, "answers are still due");
    }
    keep_memory_behind(run, bytes);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    for (const Run& run : runs_of(argc, argv)) {
        if (const int failed = carry_out(run)) return failed;
    }
    return 0;
}
