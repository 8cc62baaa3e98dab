// Random and extreme results: every output of `requant` beside the formulas in 64 bits.
#include <algorithm>
#include <cstdio>
#include <deque>
#include <random>

#include "Vrequant.h"
#include "verilated.h"

static int64_t saturate(int64_t value, int bits) {
    const int64_t most = (int64_t{1} << (bits - 1)) - 1;
    return std::max(-most - 1, std::min(most, value));
}

struct Case {
    int32_t sum, bias;
    uint32_t multiplier, code, residual_multiplier;
    int8_t residual;
    bool before, after;
};

int main() {
    VerilatedContext context;
    Vrequant top(&context);
    std::mt19937 random(3);
    auto below = [&](unsigned limit) { return static_cast<int>(random() % limit); };
    auto clock = [&] {
        top.clk = 1, top.eval();
        top.clk = 0, top.eval();
    };
    top.clk = 0, top.eval();
    uint64_t compared = 0;
    for (int round = 0; round < 3; ++round) {
        int8_t table[256];
        for (int i = 0; i < 256; ++i) table[i] = round == 0 ? i - 128 : below(256);
        for (int i = 0; i < 256; ++i) {
            top.table_write = 1, top.table_address = i, top.table_data = table[i];
            clock();
        }
        top.table_write = 0;
        clock();
        std::deque<Case> flying;
        for (int i = 0; i < 100000; ++i) {
            Case c;
            const int bits = 1 + below(31);
            c.sum = static_cast<int32_t>(random()) >> bits;
            c.bias = below(8) == 0 ? static_cast<int32_t>(random() >> 1) - (1 << 30) : below(1 << 20) - (1 << 19);
            c.multiplier = below(10) == 0 ? 0 : 32768 + below(32768);
            c.code = below(32);
            c.residual = below(256) - 128;
            c.residual_multiplier = random() >> (8 + below(20));
            const int mode = below(3);
            c.before = mode == 1, c.after = mode == 2;
            if (below(16) == 0) c.sum = below(2) ? INT32_MAX / 2 : INT32_MIN / 2;
            top.sum = c.sum, top.bias = c.bias, top.multiplier = c.multiplier, top.code = c.code;
            flying.push_back(c);
            if (flying.size() > 4) {  // the residual comes four cycles behind
                const Case& late = flying[flying.size() - 5];
                top.residual = late.residual, top.residual_multiplier = late.residual_multiplier;
                top.add_before = late.before, top.add_after = late.after;
            }
            clock();
            if (flying.size() == 13) {
                const Case& d = flying.front();
                const int shift = 12 + d.code;
                const int64_t v = saturate(static_cast<int64_t>(d.sum) + d.bias, 25);
                const int64_t r = (v * d.multiplier + (int64_t{1} << (shift - 1))) >> shift;
                const int64_t added = saturate((int64_t{d.residual} * d.residual_multiplier + (1 << 15)) >> 16, 9);
                const int64_t y = table[saturate(r + (d.before ? added : 0), 8) + 128];
                const int64_t out = d.after ? saturate(y + added, 8) : y;
                if (static_cast<int8_t>(top.out) != out) {
                    return std::printf("sum %d bias %d multiplier %u code %u: %d instead of %d\n", d.sum, d.bias,
                                       d.multiplier, d.code, static_cast<int8_t>(top.out), static_cast<int>(out)),
                           1;
                }
                flying.pop_front();
                ++compared;
            }
        }
    }
    std::printf("results %llu\n", static_cast<unsigned long long>(compared));
}
