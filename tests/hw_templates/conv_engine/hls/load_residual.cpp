// Parts of maps in the residual buffer, word behind word.
#include <cstring>
#include <memory>
#include <vector>

#include "random_bits.h"
#include "stages.h"

struct Buffers {
    ResidualBuffer filled, expected;
};

int main() {
    const auto buffers = std::make_unique<Buffers>();
    std::vector<Word> memory(20000);
    for (Word& word : memory) fill(word);
    hls::HostMemory<Word> behind(reinterpret_cast<uint8_t*>(memory.data()), memory.size() * sizeof(Word));
    const ReadPort<Word> port(behind);
    CycleClock clock = {};
    long compared = 0;
    fill(buffers->filled);
    for (int trial = 0; compared < 100000; ++trial) {
        std::memcpy(buffers->expected, buffers->filled, sizeof buffers->filled);
        const int rows = range(1, 6), runs = range(1, 6), beats = range(1, RESIDUAL_DEPTH / rows / runs);
        const int run_step = beats + range(0, 5), row_step = runs * run_step + range(0, 9);
        const int begin = range(0, static_cast<int>(memory.size()) - rows * row_step);
        ResidualCommand command = {};
        command.runs = trial % 50 != 0;
        command.part.word = begin, command.part.rows = rows, command.part.runs = runs, command.part.beats = beats;
        command.part.run_step = run_step, command.part.row_step = row_step;
        int count = 0;
        for (int row = 0; row < rows && command.runs; ++row) {
            for (int run = 0; run < runs; ++run) {
                for (int word = 0; word < beats; ++word) {
                    buffers->expected[count++] = memory.at(begin + row * row_step + run * run_step + word);
                }
            }
        }
        Spent spent;
        load_residual(port, Arena{memory.size(), 0}, command, clock, buffers->filled, spent);
        if (std::memcmp(buffers->filled, buffers->expected, sizeof buffers->filled) != 0) {
            return std::printf("trial %d: the buffer differs\n", trial), 1;
        }
        if (spent.count != 0 || spent.cycles != 0 || spent.beyond || !behind.is_quiet()) {
            return std::printf("trial %d: spent differs\n", trial), 1;
        }
        compared += count;
    }
    std::printf("compared %ld\n", compared);
}
