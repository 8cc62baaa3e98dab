// Every address, lane and place of random tiles beside what the layout of the buffers says.
#include "random_tile.h"

int main() {
    const int64_t mask = (1 << IA) - 1;
    long compared = 0;
    for (int trial = 0; compared < 400000; ++trial) {
        const RandomTile tile = random_tile();
        const int first_sum = range(0, SUM_DEPTH - tile.sum_groups() * tile.group_sums());
        Window window;
        window.begin(tile.command, first_sum);
        for (int n = 0; n < tile.iterations(); ++n, ++compared) {
            const Iteration expected(tile, n);
            bool wrong = false;
            for (int lane = 0; lane < PIXELS; ++lane) {
                const int64_t bank = (lane + window.rotate) % PIXELS;
                const int64_t at = (window.at + (bank < window.rotate)) & mask;
                wrong |= bank != expected.bank(tile, lane) || at != (expected.place(tile, lane) & mask);
                const int64_t x = window.x + lane * tile.sw;
                const bool inside = x >= 0 && x < tile.command.width && window.y >= 0 && window.y < tile.command.height;
                wrong |= inside != expected.inside(tile, lane);
            }
            if (tile.channel_wise()) {
                wrong |= window.weight_part != expected.weight % WEIGHT_PARTS;
                wrong |= window.line_part != expected.row_group % LINE_PARTS;
                wrong |= window.row_part != expected.row_group % ROW_PARTS;
            }
            const int step = tile.channel_wise() ? expected.weight / WEIGHT_PARTS : expected.weight;
            wrong |= window.weight != (step & ((1 << WA) - 1));
            wrong |= window.sum != first_sum + expected.sum(tile);
            wrong |= window.first != expected.first() || window.last != expected.last(tile);
            wrong |= window.ends != (n == tile.iterations() - 1);
            if (wrong) return std::printf("trial %d: iteration %d of %d differs\n", trial, n, tile.iterations()), 1;
            window.next(tile.command);
        }
        const int end = first_sum + tile.sum_groups() * tile.group_sums();
        if (window.group_sums != (tile.group_sums() & ((1 << OA) - 1)) || window.sum_end != (end & ((1 << OA) - 1))) {
            return std::printf("trial %d: sums end elsewhere\n", trial), 1;
        }
    }
    std::printf("compared %ld\n", compared);
}
