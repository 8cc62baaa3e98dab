// Runs corrupted copies of a program, one after the other, on one engine in C++, and the sound program in between.
//
//     hls_fuzz FOLDER COUNT SEED
//
// As engine_fuzz.cpp does it on the Verilog, with integers that wrap as those of hardware do (ENGINE_WRAPS). A cycle is an iteration
// of a loop of a stage. Every run must end, with all its answers, within its limit of cycles and STOP_CYCLES, must make no request
// beyond the arena (the memory ends the program), and must leave what is protected; some are followed by the sound program, which
// must make what it made the first time. Prints how many runs there were, how many of them passed the check of descriptors, and
// how many ended with each error code.
#include <unistd.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#define SIMULATION_NAME "hls_fuzz"
#include "conv_engine.h"
#include "corrupt.h"
#include "rtl_program.h"

namespace {

constexpr uint32_t STOP_CYCLES = 2048;  // 17 bursts of each loader
constexpr unsigned MOST_SECONDS = 60;   // of a run
constexpr uint64_t DESCRIPTOR_BURSTS = ENGINE_DESCRIPTOR_BYTES / (BYTES * PORT_WORDS * MAX_BURST);

struct Ended {
    uint32_t code, layer, cycles;
    uint64_t weight_bursts;
};

class Fuzz {
public:
    Fuzz(const std::string& folder, unsigned seed)
        : program(folder),
          random(seed),
          layers(program.value_of("layer_count")),
          inputs(program.byte_of("counter_word")) {
        HostClock::step = 1;
        fill();
        sound_cycles = run(0).cycles;
        sound = memory;
    }

    void run_corrupted(long number) {
        fill();
        const uint32_t layer = random() % layers;
        uint8_t* descriptor = &memory[program.byte_of("program_word") + layer * ENGINE_DESCRIPTOR_BYTES];
        for (int faults = 1 + random() % 3; faults > 0; --faults) corrupt(descriptor, random);
        const std::vector<uint8_t> before = memory;
        const uint32_t limit = sound_cycles / 4 + random() % (2 * sound_cycles);
        const Ended ended = run(limit);
        const std::string what = "run " + std::to_string(number);
        if (ended.cycles > limit + STOP_CYCLES) refuse(what + " takes " + std::to_string(ended.cycles) + " cycles");
        if (ended.code == 0 && ended.cycles >= limit) refuse(what + " does not end at its limit of cycles");
        if (!std::equal(before.begin(), before.begin() + inputs, memory.begin())) {
            refuse(what + ": wrote to what is protected");
        }
        ++codes[ended.code];
        // The first layer asks for parameters once its descriptor has passed; of others only those are counted that ended.
        const bool asked = layer == 0 && ended.weight_bursts > DESCRIPTOR_BURSTS;
        passed += ended.layer > layer || (ended.layer == layer && (asked || (ended.code != 5 && ended.code != 7)));
        if (random() % 3 == 0) {
            fill();
            if (run(0).code != 0 || memory != sound) refuse("the sound program behind " + what + " goes wrong");
        }
    }

    std::map<uint32_t, long> codes;
    long passed = 0;

private:
    void fill() {
        memory.assign(program.byte_of("arena_words"), 0);
        std::copy(program.arena.begin(), program.arena.end(), memory.begin());
    }
    Ended run(uint32_t limit) {
        hls::HostMemory<Word> ifmap(memory.data(), memory.size());
        hls::HostMemory<WeightWord> weights(memory.data(), memory.size());
        hls::HostMemory<Word> residual = ifmap, ofmap = ifmap;
        ProgramRegisters registers = {};
        registers.program_word = program.value_of("program_word");
        registers.layer_count = layers;
        registers.arena_words = program.value_of("arena_words");
        registers.protected_words = program.value_of("counter_word");
        Outcome outcome;
        CycleClock clocks[CLOCKS] = {};
        alarm(MOST_SECONDS);
        conv_engine(ReadPort<Word>(ifmap), ReadPort<WeightWord>(weights), ReadPort<Word>(residual),
                    WritePort<Word>(ofmap), registers, limit, outcome, clocks);
        alarm(0);
        if (!ifmap.is_quiet() || !weights.is_quiet() || !residual.is_quiet() || !ofmap.is_quiet()) {
            refuse("answers are still due behind a run");
        }
        return {outcome.status & 15, outcome.status >> 16, static_cast<uint32_t>(outcome.cycles),
                weights.bursts_passed};
    }

    const RtlProgram program;
    std::vector<uint8_t> memory, sound;
    std::mt19937 random;
    const long layers;
    const size_t inputs;
    uint32_t sound_cycles;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) refuse("usage: hls_fuzz FOLDER COUNT SEED");
    const long count = std::stol(argv[2]);
    Fuzz fuzz(argv[1], std::stoul(argv[3]));
    for (long number = 0; number < count; ++number) fuzz.run_corrupted(number);
    std::printf("%ld %ld", count, fuzz.passed);
    for (uint32_t code = 0; code < 9; ++code) std::printf(" %ld", fuzz.codes[code]);
    std::printf("\n");
    return 0;
}
