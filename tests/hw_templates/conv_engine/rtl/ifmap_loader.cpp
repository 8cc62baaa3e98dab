// Random parts of a map, word by word or line by line: every word in the bank and at the address that the layout of the buffer says.
#include <cstdio>
#include <cstring>
#include <random>

#include "Vifmap_loader.h"
#include "verilated.h"

int main() {
    VerilatedContext context;
    Vifmap_loader top(&context);
    std::mt19937 random(PIXELS * 7 + WORDS);
    auto range = [&](int from, int to) { return from + static_cast<int>(random() % (to - from + 1)); };
    const unsigned mask = (1u << IA) - 1;
    uint64_t compared = 0;
    top.clk = 0, top.eval();
    auto clock = [&] {
        top.clk = 1, top.eval();
        top.clk = 0, top.eval();
    };
    top.resetn = 0;
    clock();
    top.resetn = 1;
    for (int trial = 0; trial < 300; ++trial) {
        const int rows = range(1, 5), cols = range(1, 4 * PIXELS), words = range(1, 3 * WORDS), stride = range(1, 4);
        const int pad_left = range(0, 5), pad_top = range(0, 5);
        const int slots = ((cols + pad_left + stride - 1) / stride + PIXELS - 1) / PIXELS, d_line = slots * stride;
        const int d_group = (rows + pad_top) * d_line, base = range(0, 100);
        auto address = [&](int row, int col, int word) {
            const int j = col + pad_left, q = j / stride;
            return (base + word / WORDS * d_group + (row + pad_top) * d_line + j % stride * slots + q / PIXELS) & mask;
        };
        auto bank = [&](int col, int word) { return (col + pad_left) / stride % PIXELS * WORDS + word % WORDS; };
        top.cols = cols, top.words = words, top.stride = stride, top.slots = slots, top.d_line = d_line;
        top.d_group = d_group, top.place = address(0, 0, 0), top.place_lane = bank(0, 0) / WORDS;
        top.place_phase = pad_left % stride;
        auto content = [&](int number, int word) { return (number * WORDS + word) * 0x9E3779B97F4A7C15ull + trial; };
        const bool empty = range(0, 9) == 0, by_line = range(0, 1) == 0;
        const int step = by_line ? WORDS : 1, steps = (words + step - 1) / step;
        clock();  // what the layer fixes stands a cycle before the start
        top.empty = empty, top.by_line = by_line, top.start = 1;
        clock();
        top.start = 0;
        const int total = empty ? 0 : rows * cols * steps;
        int sent = 0, seen = 0;
        for (int cycle = 0; seen < total || !top.done; ++cycle) {
            if (cycle > 4 * total + 50) return std::printf("trial %d: %d of %d words\n", trial, seen, total), 1;
            top.in_valid = sent < total && range(0, 3) != 0;
            for (int w = 0; w < WORDS; ++w) {
                const uint64_t word = content(sent, by_line ? w : 0);
                std::memcpy(reinterpret_cast<char*>(&top.in_data) + w * BYTES, &word, BYTES);
            }
            top.in_last = sent + 1 == total;
            top.eval();
            sent += top.in_valid && top.in_ready;
            clock();
            if (top.write) {
                const int word = seen % steps * step, col = seen / steps % cols, row = seen / steps / cols;
                const uint64_t banks = by_line ? (uint64_t{1} << WORDS) - 1 : 1;
                bool equal = top.write == banks << bank(col, word) &&
                             top.write_address == static_cast<unsigned>(address(row, col, word));
                for (int w = 0; w < step; ++w) {
                    const uint64_t data = content(seen, w);
                    const int place = bank(col, word) % WORDS + w;
                    equal = equal &&
                            std::memcmp(reinterpret_cast<char*>(&top.write_data) + place * BYTES, &data, BYTES) == 0;
                }
                if (!equal)
                    return std::printf("trial %d: word %d of column %d, row %d differs\n", trial, word, col, row), 1;
                ++seen;
            }
        }
        if (top.count != static_cast<unsigned>(total))
            return std::printf("trial %d: counted %u\n", trial, top.count), 1;
        compared += total;
    }
    std::printf("words %llu\n", static_cast<unsigned long long>(compared));
}
