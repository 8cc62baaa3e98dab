"""A small process in the style of the engine's, which passes every check, for tests that change it."""

SOURCE = """
#include "widths.h"

typedef uint64_t Word;

struct Command {
    U<12> rows, cols;
    U<10> col_step, row_step;
    bool adds;
};

// The place of each row and column, as a running address.
class Walk {
public:
    U<10> at;
    bool ends;

    void begin(const Command& command) {
        cols = col = command.cols;
        row = command.rows;
        at = row_at = 0;
        newest = 0;
        last_col = col == 1;
        ends = last_col && row == 1;
    }

    void next(const Command& command) {
        const U<10> from = last_col ? row_at : at;
        const U<10> by = last_col ? command.row_step : command.col_step;
        const U<10> to = wrapped<10>(from + by);
        latest[newest] = at;
        newest = wrapped<2>(newest + 1);
        at = to;
        row_at = last_col ? to : row_at;
        row = last_col ? wrapped<12>(row - 1) : row;
        col = last_col ? cols : wrapped<12>(col - 1);
        last_col = col == 1;
        ends = last_col && row == 1;
    }

    U<10> oldest() const { return latest[newest]; }

private:
    U<12> cols, col, row;
    U<10> row_at;
    bool last_col;
    U<10> latest[4] = {};  // places, in a ring
    U<2> newest;
};

void gather(const Command command, const Word (&ifmap)[2][1024], const Word (&weights)[2][1024], int32_t (&sums)[1024],
            uint32_t& spent) {
    Walk walk;
    walk.begin(command);
    uint32_t iterations = 0;
    static U<8> tiles = 0;
    U<10> earlier = 0;
    bool more = command.rows != 0;
iterations:
    while (more) {
#pragma HLS PIPELINE II = 1
#pragma HLS DEPENDENCE variable = sums inter false
        Word words[2];
#pragma HLS ARRAY_PARTITION variable = words complete
        for (int bank = 0; bank < 2; ++bank) {
#pragma HLS UNROLL
            words[bank] = ifmap[bank][static_cast<uint32_t>(walk.at)];
        }
        int32_t sum = command.adds ? sums[static_cast<uint32_t>(walk.at)] : 0;
        for (int bank = 0; bank < 2; ++bank) {
#pragma HLS UNROLL
            const Word weight = weights[bank][static_cast<uint32_t>(walk.at)];
            sum += static_cast<int8_t>(words[bank]) * static_cast<int8_t>(weight);
        }
        sums[static_cast<uint32_t>(walk.at)] = sum;
        earlier = walk.oldest();
        more = !walk.ends;
        walk.next(command);
        ++iterations;
    }
    tiles = wrapped<8>(tiles + 1);
    spent = iterations + tiles + earlier;
}
"""

MAIN = """
#include <cstdio>

int main() {
    static Word ifmap[2][1024], weights[2][1024];
    static int32_t sums[1024];
    uint32_t state = 1, spent = 0;
    for (int bank = 0; bank < 2; ++bank) {
        for (int at = 0; at < 1024; ++at) {
            state = state * 1664525 + 1013904223;
            ifmap[bank][at] = state >> 8;
            state = state * 1664525 + 1013904223;
            weights[bank][at] = state >> 8;
        }
    }
    for (int tile = 0; tile < 40; ++tile) {
        Command command = {};
        command.rows = tile % 5;
        command.cols = 1 + tile % 7;
        command.col_step = 1 + tile % 3;
        command.row_step = 9 + tile;
        command.adds = tile % 2;
        gather(command, ifmap, weights, sums, spent);
        std::printf("%u\\n", spent);
    }
    for (int at = 0; at < 1024; ++at) std::printf("%d\\n", sums[at]);
    return 0;
}
"""
"""Runs the process; prints what it counts and every sum."""
