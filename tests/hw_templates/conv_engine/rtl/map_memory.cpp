// Lines written and read at random places of the map memory, beside a plain array of words.
#include <cstdio>
#include <cstring>
#include <deque>
#include <numeric>
#include <random>
#include <vector>

#include "Vmap_memory.h"
#include "verilated.h"

struct Write {
    int cycle, word;
    uint64_t data;
};
struct Read {
    int cycle, word;
};

int main() {
    VerilatedContext context;
    Vmap_memory top(&context);
    std::mt19937_64 random(BANKS * 7 + IN_WORDS);
    auto range = [&](int from, int to) { return from + static_cast<int>(random() % (to - from + 1)); };
    std::vector<uint64_t> words(BANKS * DEPTH, 0);
    std::vector<char> known(words.size(), 0);
    std::deque<Write> writes;
    std::deque<Read> reads;
    const int in_step = std::gcd(BANKS, IN_WORDS), out_step = std::gcd(BANKS, OUT_WORDS);
    uint64_t compared = 0;
    top.clk = 0, top.resetn = 1, top.eval();
    for (int cycle = 0; cycle < 200000; ++cycle) {
        // The word of a place counts lines of banks; a line may begin in one line of the memory and end in the next.
        top.write = range(0, 3) != 0;
        const int into = range(0, (BANKS * DEPTH - IN_WORDS) / in_step) * in_step;
        top.write_words = range(0, (1 << IN_WORDS) - 1);
        top.write_line = into / BANKS, top.write_bank = into % BANKS;
        for (int w = 0; w < IN_WORDS; ++w) {
            const uint64_t data = random();
            std::memcpy(reinterpret_cast<char*>(&top.write_data) + w * BYTES, &data, BYTES);
            // Two registers, and the bank's own edge.
            if (top.write && top.write_words >> w & 1) writes.push_back({cycle + 3, into + w, data});
        }
        const int from = range(0, (BANKS * DEPTH - OUT_WORDS) / out_step) * out_step;
        top.read_line = from / BANKS, top.read_bank = from % BANKS;
        reads.push_back({cycle + 4, from});
        top.clk = 1, top.eval();
        top.clk = 0, top.eval();
        // A read meets what was written before the cycle in which its bank is read, two behind the place.
        while (!writes.empty() && writes.front().cycle <= cycle) {
            uint64_t data = 0;
            std::memcpy(&data, &writes.front().data, BYTES);
            words[writes.front().word] = data;
            known[writes.front().word] = 1;
            writes.pop_front();
        }
        static std::deque<std::vector<std::pair<bool, uint64_t>>> seen;
        // Contents as the banks are read: the place of the cycle before.
        if (cycle >= 1) {
            const int place = reads[reads.size() - 2].word;
            std::vector<std::pair<bool, uint64_t>> line;
            for (int w = 0; w < OUT_WORDS; ++w) line.push_back({known[place + w], words[place + w]});
            seen.push_back(line);
        }
        if (cycle >= 3) {
            const auto line = seen.front();
            seen.pop_front();
            reads.pop_front();
            for (int w = 0; w < OUT_WORDS; ++w) {
                if (!line[w].first) continue;
                if (std::memcmp(reinterpret_cast<char*>(&top.read_data) + w * BYTES, &line[w].second, BYTES) != 0) {
                    return std::printf("cycle %d: word %d of a line differs\n", cycle, w), 1;
                }
                ++compared;
            }
        }
    }
    std::printf("words %llu\n", static_cast<unsigned long long>(compared));
}
