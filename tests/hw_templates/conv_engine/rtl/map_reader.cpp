// Random parts of maps in rings of rows: the place of every line, in order, and the last mark at the end alone.
#include <cstdio>
#include <random>

#include "Vmap_reader.h"
#include "verilated.h"

int main() {
    VerilatedContext context;
    Vmap_reader top(&context);
    std::mt19937 random(BANKS * 7 + WORDS);
    auto range = [&](int from, int to) { return from + static_cast<int>(random() % (to - from + 1)); };
    uint64_t compared = 0;
    top.clk = 0, top.eval();
    auto clock = [&] {
        top.clk = 1, top.eval();
        top.clk = 0, top.eval();
    };
    top.resetn = 0;
    clock();
    top.resetn = 1;
    for (int trial = 0; trial < 6000; ++trial) {
        const int width = range(1, 6), ring_rows = range(1, 6), pixel_words = WORDS * range(1, 4);
        const int pixel_lines = (pixel_words + BANKS - 1) / BANKS, row_lines = width * pixel_lines;
        const int ring_begin = range(0, 200), ring = ring_rows * row_lines;
        // The part: its channels begin at whole lines of the buffer.
        const int first_word = range(0, pixel_words / WORDS - 1) * WORDS, words = range(1, pixel_words - first_word);
        const int first_col = range(0, width - 1), cols = range(1, width - first_col);
        const int first_row = range(0, ring_rows - 1), rows = range(1, ring_rows);
        top.rows = rows, top.cols = cols, top.words = words;
        top.col_step = pixel_lines, top.row_step = row_lines, top.ring = ring, top.ring_end = ring_begin + ring;
        top.line = ring_begin + first_row * row_lines + first_col * pixel_lines + first_word / BANKS;
        top.bank = first_word % BANKS;
        clock();
        clock();  // what the layer fixes stands two cycles before the start
        top.start = 1;
        clock();
        top.start = 0;
        for (int row = 0; row < rows; ++row)
            for (int col = 0; col < cols; ++col)
                for (int word = 0; word < words; word += WORDS) {
                    const int ring_row = (first_row + row) % ring_rows, at = first_word + word;
                    const int line = ring_begin + ring_row * row_lines + (first_col + col) * pixel_lines + at / BANKS;
                    const bool last = row + 1 == rows && col + 1 == cols && word + WORDS >= words;
                    if (!top.valid || top.at != static_cast<unsigned>(line) || top.at_bank != at % BANKS ||
                        top.last != last) {
                        return std::printf("trial %d: row %d, column %d, word %d: line %u, bank %u\n", trial, row, col,
                                           word, top.at, top.at_bank),
                               1;
                    }
                    ++compared;
                    clock();
                }
        if (top.valid) return std::printf("trial %d: goes on behind its end\n", trial), 1;
    }
    std::printf("places %llu\n", static_cast<unsigned long long>(compared));
}
