// Random sums: every accumulator of `pe_array` beside products added up in 32 bits, packed and not, begun and continued.
#include <cstdio>
#include <cstring>
#include <deque>
#include <random>
#include <vector>

#include "Vpe_array.h"
#include "verilated.h"

struct Iteration {
    std::vector<int8_t> weights, activations;
    bool first, zero, last;
};

int main() {
    VerilatedContext context;
    Vpe_array top(&context);
    std::mt19937 random(ROWS + COLS);
    auto below = [&](unsigned limit) { return static_cast<int>(random() % limit); };
    std::vector<int32_t> expected(ROWS * PIXELS), kept(ROWS * PIXELS), sums(ROWS * PIXELS);
    std::deque<std::vector<int32_t>> results, continued;
    std::deque<uint64_t> continue_at, results_at;
    uint64_t compared = 0;
    top.resetn = 0;
    bool fresh = true, diagonal = false;
    for (uint64_t cycle = 0; cycle < 6000; ++cycle) {
        top.first = top.last = 0;
        if (cycle > 20 && below(5) != 0) {  // pauses between iterations do no harm: only sums that end are looked at
            const bool extreme = below(4) == 0;
            const bool zero = below(2);
            const bool last = below(6) == 0;
            std::vector<int8_t> weights(ROWS * COLS), activations(PIXELS * COLS);
            if (fresh) diagonal = below(4) == 0;
            for (int r = 0; r < ROWS; ++r) {
                for (int c = 0; c < COLS; ++c) {
                    int8_t& weight = weights[r * COLS + c];
                    weight = extreme ? (below(2) ? 127 : -127) : below(255) - 127;
                    if (diagonal)
                        weight = r % LANES == c % LANES && r / LANES == 0 && c / LANES == 0 ? below(256) - 128 : 0;
                }
            }
            for (auto& x : activations) x = extreme ? (below(2) ? 127 : -128) : below(256) - 128;
            top.first = fresh, top.zero = zero, top.last = last;
            std::memcpy(&top.weights, &weights[0], weights.size());
            std::memcpy(&top.activations, &activations[0], activations.size());
            if (fresh) {
                for (auto& sum : expected) sum = zero ? 0 : static_cast<int32_t>(random());
                continued.push_back(expected);
                continue_at.push_back(cycle + LATENCY - 1);
            }
            for (int r = 0; r < ROWS; ++r) {
                for (int p = 0; p < PIXELS; ++p) {
                    for (int c = 0; c < COLS; ++c) {
                        expected[r * PIXELS + p] =
                            static_cast<uint32_t>(expected[r * PIXELS + p]) +
                            static_cast<uint32_t>(weights[r * COLS + c] * activations[p * COLS + c]);
                    }
                }
            }
            if (last) {
                results.push_back(expected);
                results_at.push_back(cycle + LATENCY);
            }
            fresh = last;
        } else {  // what stands at the inputs now must not count: zeros
            std::vector<int8_t> zeros(ROWS * COLS > PIXELS * COLS ? ROWS * COLS : PIXELS * COLS);
            std::memcpy(&top.weights, &zeros[0], ROWS * COLS);
            std::memcpy(&top.activations, &zeros[0], PIXELS * COLS);
        }
        if (!continue_at.empty() && continue_at.front() == cycle) {
            std::memcpy(&top.kept, &continued.front()[0], kept.size() * 4);
            continue_at.pop_front(), continued.pop_front();
        } else {
            for (auto& sum : kept) sum = random();
            std::memcpy(&top.kept, &kept[0], kept.size() * 4);
        }
        top.resetn = cycle > 4;
        top.clk = 0;
        top.eval();
        const bool due = !results_at.empty() && results_at.front() == cycle;
        if (top.done != due) return std::printf("cycle %llu: done is %d\n", (unsigned long long)cycle, top.done), 1;
        if (due) {
            std::memcpy(&sums[0], &top.sums, sums.size() * 4);
            if (sums != results.front()) return std::printf("cycle %llu: sums differ\n", (unsigned long long)cycle), 1;
            compared += sums.size();
            results.pop_front(), results_at.pop_front();
        }
        top.clk = 1;
        top.eval();
    }
    std::printf("sums %llu\n", static_cast<unsigned long long>(compared));
}
