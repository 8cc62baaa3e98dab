// Runs programs one after the other on one engine, each with registers and a memory of its own.
//
//     engine_runs (ARENA [NAME=VALUE ...]) ...
//
// ARENA is the memory before a run, cut or filled to its arena_words, so that a request beyond the arena ends the simulation.
// The names are those of `Run` below. Writes the memory behind a run to ARENA.after and prints a line: error code, layer,
// cycles, words written, and whether the run ended undrained.
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "rtl_engine.h"

namespace {

struct Run {
    explicit Run(const std::string& path) : path(path) {}
    uint64_t operator[](const std::string& name) const { return values.at(name); }

    std::string path;
    std::map<std::string, uint64_t> values = {
        {"arena_words", 0}, {"protected_words", 0}, {"layers", 1},
        {"errors", 0},  // of 65,536 answers, once so many words were written:
        {"errors_from", 0}, {"latency", 20},        {"watchdog", 0},
        {"cycle_limit", 0}, {"program_word", 0},    {"registered_words", 0},  // the arena's, where they are others
        {"port", 0},                                                          // whose base is `base_offset` bytes off
        {"base_offset", 0}, {"abort_at", 0},      // cycles behind the start, as the next two are
        {"silent_from", 0}, {"silent_until", 0},  // in between the memory does nothing
    };
};

int complain(const Run& run, const char* what) { return std::printf("%s: %s\n", run.path.c_str(), what), 1; }

int carry_out(RtlEngine& engine, const Run& run) {
    std::ifstream file(run.path, std::ios::binary);
    engine.memory.bytes.assign(std::istreambuf_iterator<char>(file), {});
    engine.memory.bytes.resize(run["arena_words"] * ENGINE_BYTES);
    AxiSettings& memory = engine.memory.settings;
    const AxiSettings usual = memory;
    memory.latency = run["latency"];
    const uint64_t before = engine.ofmap.words;
    for (unsigned port : ENGINE_PORTS) {
        const uint64_t base = engine.BASE + (run["port"] == port ? run["base_offset"] : 0);
        engine.write_wide(port, base);
    }
    engine.write(REGISTER_PROGRAM_WORD, run["program_word"]);
    engine.write(REGISTER_LAYER_COUNT, run["layers"]);
    engine.write(REGISTER_ARENA_WORDS, run["registered_words"] ? run["registered_words"] : run["arena_words"]);
    engine.write(REGISTER_PROTECTED_WORDS, run["protected_words"]);
    engine.write(REGISTER_WATCHDOG, run["watchdog"]);
    engine.write_wide(REGISTER_CYCLE_LIMIT, run["cycle_limit"]);
    engine.write(REGISTER_GLOBAL_INTERRUPT, 1);
    engine.write(REGISTER_INTERRUPT_ENABLE, 1);
    engine.write(REGISTER_INTERRUPT_STATUS, 1);
    engine.write(REGISTER_CONTROL, 1);
    const uint64_t begun = engine.memory.cycle;
    auto age = [&] { return engine.memory.cycle - begun; };
    auto clock = [&] {
        memory.errors = engine.ofmap.words >= before + run["errors_from"] ? run["errors"] : 0;
        const bool silent = run["silent_until"] != 0 && age() >= run["silent_from"] && age() < run["silent_until"];
        memory.pauses = silent ? 256 : usual.pauses;
        engine.clock();
    };
    bool aborted = run["abort_at"] == 0;
    while (!engine.top.done_interrupt) {
        if (!aborted && age() >= run["abort_at"]) {
            engine.write(REGISTER_ABORT, 1);
            aborted = true;
        }
        clock();
        if (age() > 5'000'000) return complain(run, "does not end");
    }
    memory.errors = 0;
    const uint32_t status = engine.read(REGISTER_STATUS);
    const unsigned long long cycles = engine.read_wide(REGISTER_CYCLES);
    const bool undrained = (status >> 9) & 1;
    if (undrained) {
        // A start is not heeded before all that was asked for has been answered.
        engine.write(REGISTER_CONTROL, 1);
        while (engine.read(REGISTER_STATUS) >> 8 & 1) {
            clock();
            if (age() > 5'000'000) return complain(run, "does not drain");
        }
        if ((engine.read(REGISTER_STATUS) & 0xffff00ff) != (status & 0xffff00ff))
            return complain(run, "began again undrained");
    }
    memory = usual;
    std::printf("%u %u %llu %llu %d\n", status & 15, status >> 16, cycles,
                static_cast<unsigned long long>(engine.ofmap.words - before), undrained);
    if (!engine.quiet()) return complain(run, "answers are still due");
    std::ofstream after(run.path + ".after", std::ios::binary);
    after.write(reinterpret_cast<const char*>(engine.memory.bytes.data()), engine.memory.bytes.size());
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    AxiSettings settings;
    settings.jitter = 15;
    settings.pauses = 20;
    RtlEngine engine(0, settings);
    std::vector<Run> runs;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        const size_t equals = word.find('=');
        if (equals == std::string::npos)
            runs.emplace_back(word);
        else
            runs.back().values.at(word.substr(0, equals)) = std::stoull(word.substr(equals + 1));
    }
    for (const Run& run : runs) {
        if (const int failed = carry_out(engine, run)) return failed;
    }
    return 0;
}
