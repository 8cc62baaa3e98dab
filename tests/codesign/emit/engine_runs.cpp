// Runs programs one after the other on one engine, each with registers and a memory of its own.
//
//     engine_runs (ARENA [NAME=VALUE ...]) ...
//
// ARENA is the memory before a run, cut or filled to its arena_words, so that a request beyond the arena ends the simulation.
// The names are those of `Run` in tests/lib/support/verilog/engine_bench.py. Writes the memory behind a run to ARENA.after and prints
// a line: error code, layer, cycles, words written, and whether the run ended undrained.
#include "rtl_engine.h"
#include "runs.h"

namespace {

int carry_out(RtlEngine& engine, const Run& run) {
    engine.memory.bytes = memory_before(run, run["arena_words"] * ENGINE_BYTES);
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
    keep_memory_behind(run, engine.memory.bytes);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    AxiSettings settings;
    settings.jitter = 15;
    settings.pauses = 20;
    RtlEngine engine(0, settings);
    for (const Run& run : runs_of(argc, argv)) {
        if (const int failed = carry_out(engine, run)) return failed;
    }
    return 0;
}
