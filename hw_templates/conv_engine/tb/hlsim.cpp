// Runs a program on the engine's C++, compiled for the host, and compares what comes out with what must.
//
//     hlsim FOLDER [--images FILE] [--count N] [--results FILE]
//
// See run_program.h. Nothing counts cycles here, so all that are printed are 0.
#define SIMULATION_NAME "hlsim"
#include "conv_engine.h"
#include "run_program.h"

namespace {

class Simulation {
public:
    Simulation(size_t arena_bytes, const Numbers&)
        : memory(arena_bytes),
          ifmap(memory.data(), memory.size()),
          weights(memory.data(), memory.size()),
          residual(memory.data(), memory.size()),
          ofmap(memory.data(), memory.size()) {}

    std::vector<uint8_t>& bytes() { return memory; }
    uint64_t cycles() const { return 0; }
    Ended run(const RtlProgram& program) {
        ProgramRegisters registers = {};
        registers.program_word = program.value_of("program_word");
        registers.layer_count = program.value_of("layer_count");
        registers.arena_words = program.value_of("arena_words");
        Outcome outcome;
        CycleClock clocks[CLOCKS] = {};
        conv_engine(ReadPort<Word>(ifmap), ReadPort<WeightWord>(weights), ReadPort<Word>(residual),
                    WritePort<Word>(ofmap), registers, 0, outcome, clocks);
        if (!ifmap.is_quiet() || !weights.is_quiet() || !residual.is_quiet() || !ofmap.is_quiet()) {
            refuse("the engine ends with requests that are not answered");
        }
        return {outcome.status, outcome.cycles};
    }
    std::map<std::string, PortCounts> port_counts() const {
        return {{"ifmap", {ifmap.words_passed, ifmap.bursts_passed}},
                {"weights", {weights.words_passed, weights.bursts_passed}},
                {"residual", {residual.words_passed, residual.bursts_passed}},
                {"ofmap", {ofmap.words_passed, ofmap.bursts_passed}}};
    }

private:
    std::vector<uint8_t> memory;
    hls::HostMemory<Word> ifmap;
    hls::HostMemory<WeightWord> weights;
    hls::HostMemory<Word> residual, ofmap;
};

}  // namespace

int main(int argc, char** argv) { return run_program<Simulation>(argc, argv, {}); }
