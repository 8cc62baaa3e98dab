// Runs a program on the engine's C++, compiled for the host, and compares what comes out with what must.
//
//     csim FOLDER [--images FILE] [--count N] [--results FILE]
//
// See run_program.h. Nothing counts cycles here, so all that are printed are 0. It is the test bench of a co-simulation as well:
// the vendor's ports count no words, so those of the ports are not compared there.
#define SIMULATION_NAME "csim"
#include "conv_engine.h"
#include "run_program.h"

namespace {

#if defined(VENDOR_HEADERS)

// Words of each port that a co-simulation copies: `depth` of its pragma in conv_engine.cpp.
constexpr size_t DEPTH = 1048576;

template <typename Wide>
class PortMemory {
public:
    explicit PortMemory(std::vector<uint8_t>& memory) : words(reinterpret_cast<Wide*>(memory.data())) {}

    hls::burst_maxi<Wide> port() { return hls::burst_maxi<Wide>(words); }
    bool is_quiet() const { return true; }

private:
    Wide* words;
};

size_t memory_bytes(size_t arena_bytes) {
    const size_t most = DEPTH * sizeof(Word);
    if (arena_bytes > most) refuse("a co-simulation has an arena of at most " + std::to_string(most) + " bytes");
    return DEPTH * sizeof(WeightWord);
}

#else

template <typename Wide>
class PortMemory : public hls::HostMemory<Wide> {
public:
    explicit PortMemory(std::vector<uint8_t>& memory) : hls::HostMemory<Wide>(memory.data(), memory.size()) {}

    hls::burst_maxi<Wide> port() { return hls::burst_maxi<Wide>(*this); }
};

size_t memory_bytes(size_t arena_bytes) { return arena_bytes; }

#endif

class Simulation {
public:
    Simulation(size_t arena_bytes, const Numbers&)
        : memory(memory_bytes(arena_bytes)), ifmap(memory), weights(memory), residual(memory), ofmap(memory) {}

    std::vector<uint8_t>& bytes() { return memory; }
    uint64_t cycles() const { return 0; }
    Ended run(const RtlProgram& program) {
        ProgramRegisters registers = {};
        registers.program_word = program.value_of("program_word");
        registers.layer_count = program.value_of("layer_count");
        registers.arena_words = program.value_of("arena_words");
        Outcome outcome;
        CycleClock clocks[CLOCKS] = {};
        conv_engine(ifmap.port(), weights.port(), residual.port(), ofmap.port(), registers, 0, outcome, clocks);
        if (!ifmap.is_quiet() || !weights.is_quiet() || !residual.is_quiet() || !ofmap.is_quiet()) {
            refuse("the engine ends with requests that are not answered");
        }
        return {outcome.status, outcome.cycles};
    }
    std::map<std::string, PortCounts> port_counts() const {
#if defined(VENDOR_HEADERS)
        return {};
#else
        return {{"ifmap", {ifmap.words_passed, ifmap.bursts_passed}},
                {"weights", {weights.words_passed, weights.bursts_passed}},
                {"residual", {residual.words_passed, residual.bursts_passed}},
                {"ofmap", {ofmap.words_passed, ofmap.bursts_passed}}};
#endif
    }

private:
    std::vector<uint8_t> memory;
    PortMemory<Word> ifmap;
    PortMemory<WeightWord> weights;
    PortMemory<Word> residual, ofmap;
};

}  // namespace

int main(int argc, char** argv) { return run_program<Simulation>(argc, argv, {}); }
