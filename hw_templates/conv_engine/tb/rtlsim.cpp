// Runs a program on the engine's Verilog, over a memory behind its AXI ports, and compares what comes out with what must.
//
//     rtlsim FOLDER [--images FILE] [--count N] [--results FILE] [--latency CYCLES] [--jitter CYCLES] [--bytes-a-cycle N]
//            [--pauses N] [--errors N] [--seed N]
//
// See run_program.h; the memory's options are those of axi_memory.h.
#include "rtl_engine.h"
#include "run_program.h"

namespace {

// No word at any port for so long, while nothing is computed, is a hang.
constexpr uint32_t WATCHDOG_CYCLES = 50000000;

class Simulation {
public:
    Simulation(size_t arena_bytes, const Numbers& options) : engine(arena_bytes, memory(options)) {}

    std::vector<uint8_t>& bytes() { return engine.memory.bytes; }
    uint64_t cycles() const { return engine.memory.cycle; }
    Ended run(const RtlProgram& program) {
        engine.run(program.value_of("program_word"), program.value_of("layer_count"), WATCHDOG_CYCLES);
        const uint32_t status = engine.read(REGISTER_STATUS);
        return {status, engine.read_wide(REGISTER_CYCLES)};
    }
    std::map<std::string, PortCounts> port_counts() const {
        return {{"ifmap", {engine.ifmap.words, engine.ifmap.requests}},
                {"weights", {engine.weights.words, engine.weights.requests}},
                {"residual", {engine.residual.words, engine.residual.requests}},
                {"ofmap", {engine.ofmap.words, engine.ofmap.requests}}};
    }

private:
    static AxiSettings memory(const Numbers& options) {
        AxiSettings settings;
        settings.latency = options.at("--latency");
        settings.jitter = options.at("--jitter");
        settings.bytes_a_cycle = options.at("--bytes-a-cycle");
        settings.pauses = options.at("--pauses");
        settings.errors = options.at("--errors");
        settings.seed = options.at("--seed");
        return settings;
    }

    RtlEngine engine;
};

}  // namespace

int main(int argc, char** argv) {
    return run_program<Simulation>(
        argc, argv,
        {{"--latency", 60}, {"--jitter", 0}, {"--bytes-a-cycle", 0}, {"--pauses", 0}, {"--errors", 0}, {"--seed", 1}});
}
