// Runs corrupted copies of a program, one after the other, on one engine, and the sound program in between.
//
//     engine_fuzz FOLDER COUNT SEED MOST_CYCLES
//
// FOLDER holds a program as rtlsim reads it, whose inputs the engine cannot write to. One to three fields of a copy's descriptors
// hold something else: another value of the field's range, or any. Every run must end, with all its answers, within its limit
// of cycles and STOP_CYCLES, must make no request beyond the arena (the memory ends the simulation), and must leave what is
// protected; some are followed by the sound program, whose memory must be what it was the first time. Prints how many runs
// there were, how many of them passed the check of descriptors, and how many ended with each error code.
#include <map>
#include <random>
#include <string>

#include "corrupt.h"
#include "rtl_engine.h"
#include "rtl_program.h"

namespace {

constexpr uint64_t STOP_CYCLES = 4096;
constexpr uint64_t DESCRIPTOR_BURSTS = ENGINE_DESCRIPTOR_BYTES / (ENGINE_BYTES * ENGINE_PORT_WORDS * 16);

class Fuzz {
public:
    Fuzz(const std::string& folder, unsigned seed, uint64_t most_cycles)
        : program(folder),
          engine(program.byte_of("arena_words"), settings()),
          random(seed),
          most_cycles(most_cycles),
          layers(program.value_of("layer_count")),
          inputs(program.byte_of("counter_word")) {
        for (unsigned port : ENGINE_PORTS) {
            engine.write_wide(port, engine.BASE);
        }
        engine.write(REGISTER_PROGRAM_WORD, program.value_of("program_word"));
        engine.write(REGISTER_LAYER_COUNT, layers);
        engine.write(REGISTER_ARENA_WORDS, program.value_of("arena_words"));
        engine.write(REGISTER_PROTECTED_WORDS, program.value_of("counter_word"));
        for (unsigned enable : {REGISTER_GLOBAL_INTERRUPT, REGISTER_INTERRUPT_ENABLE}) engine.write(enable, 1);
        sound = run_sound();
    }

    void run_corrupted(long number) {
        fill();
        const uint32_t layer = random() % layers;
        uint8_t* descriptor = &engine.memory.bytes[program.byte_of("program_word") + layer * ENGINE_DESCRIPTOR_BYTES];
        for (int faults = 1 + random() % 3; faults > 0; --faults) corrupt(descriptor, random);
        const std::vector<uint8_t> before = engine.memory.bytes;
        const uint64_t limit = most_cycles / 4 + random() % most_cycles, requests = engine.weights.requests;
        engine.write(REGISTER_WATCHDOG, random() % 2 ? 0 : 100 + random() % 400);
        const uint32_t status = run(limit, random() % 8 ? 0 : 1 + random() % limit);
        const std::string what = "run " + std::to_string(number);
        if (!std::equal(before.begin(), before.begin() + inputs, engine.memory.bytes.begin())) {
            refuse(what + ": wrote to what is protected");
        }
        const uint32_t code = status & 15, ended = status >> 16;
        ++codes[code];
        // The first layer asks for parameters once its descriptor has passed; of others only those are counted that ended.
        const bool asked = layer == 0 && engine.weights.requests - requests > DESCRIPTOR_BURSTS;
        passed += ended > layer || (ended == layer && (asked || (code != 5 && code != 7 && code != 8)));
        // What stops by itself leaves more behind than what is halted.
        const bool check = random() % (code < 6 ? 3 : 20) == 0;
        if (check && run_sound() != sound) refuse("the sound program behind " + what + " goes wrong");
    }

    std::map<uint32_t, long> codes;
    long passed = 0;

private:
    static AxiSettings settings() {
        AxiSettings chosen;
        chosen.jitter = 4, chosen.pauses = 10;
        return chosen;
    }
    void fill() {
        auto& bytes = engine.memory.bytes;
        std::fill(std::copy(program.arena.begin(), program.arena.end(), bytes.begin()), bytes.end(), 0);
    }
    std::vector<uint8_t> run_sound() {
        fill();
        engine.write(REGISTER_WATCHDOG, 0);
        const uint32_t status = run(0, 0);
        if ((status & 15) != 0) refuse("the sound program ends with code " + std::to_string(status & 15));
        // Counters of cycles depend on when the memory pauses.
        const size_t results = inputs + layers * 32;
        return {engine.memory.bytes.begin() + results, engine.memory.bytes.end()};
    }
    // Returns the status of a run that ended in time; aborts it behind so many cycles, unless they are 0.
    uint32_t run(uint64_t limit, uint64_t abort_at) {
        engine.memory.settings.latency = std::vector<int>{2, 10, 30, 150}[random() % 4];
        engine.write_wide(REGISTER_CYCLE_LIMIT, limit);
        engine.write(REGISTER_INTERRUPT_STATUS, 1);
        engine.write(REGISTER_CONTROL, 1);
        const uint64_t begun = engine.memory.cycle, most = limit == 0 ? 10'000'000 : limit + STOP_CYCLES;
        while (!engine.top.done_interrupt) {
            if (abort_at != 0 && engine.memory.cycle - begun >= abort_at) engine.write(REGISTER_ABORT, 1), abort_at = 0;
            engine.clock();
            if (engine.memory.cycle - begun > most)
                refuse("a run of at most " + std::to_string(limit) + " cycles does not end");
        }
        if (!engine.quiet()) {
            refuse("answers are still due behind a run");
        }
        return engine.read(REGISTER_STATUS);
    }

    const RtlProgram program;
    RtlEngine engine;
    std::mt19937 random;
    const uint64_t most_cycles;
    const long layers;
    const size_t inputs;
    std::vector<uint8_t> sound;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 5) refuse("usage: engine_fuzz FOLDER COUNT SEED MOST_CYCLES");
    const long count = std::stol(argv[2]);
    Fuzz fuzz(argv[1], std::stoul(argv[3]), std::stoull(argv[4]));
    for (long number = 0; number < count; ++number) fuzz.run_corrupted(number);
    std::printf("%ld %ld", count, fuzz.passed);
    for (uint32_t code = 0; code < 9; ++code) std::printf(" %ld", fuzz.codes[code]);
    std::printf("\n");
    return 0;
}
