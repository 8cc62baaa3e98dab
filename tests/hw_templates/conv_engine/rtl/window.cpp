// Random tiles: every address, lane and place that `window` makes beside what the layout of the buffers says.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <random>

#include "Vwindow.h"
#include "verilated.h"

// Bits `width` at `at` of a Verilated port of any width.
static unsigned bits(const void* port, int at, int width) {
    unsigned value = 0;
    const uint8_t* bytes = static_cast<const uint8_t*>(port);
    for (int i = 0; i < width; ++i) value |= ((bytes[(at + i) / 8] >> ((at + i) % 8)) & 1u) << i;
    return value;
}

int main() {
    VerilatedContext context;
    Vwindow top(&context);
    std::mt19937 random(PIXELS);
    auto range = [&](int from, int to) { return from + static_cast<int>(random() % (to - from + 1)); };
    auto clock = [&] {
        top.clk = 0, top.eval();
        top.clk = 1, top.eval();
    };
    const unsigned mask = (1u << IA) - 1;
    uint64_t iterations = 0;
    top.resetn = 0;
    for (int i = 0; i < 4; ++i) clock();
    top.resetn = 1;
    for (int trial = 0; trial < 300; ++trial) {
        const bool wide = range(0, 4) == 0;  // a pool as of a whole map: taps repeat after PIXELS columns
        const int kh = range(1, wide ? 20 : MAX_KERNEL), kw = range(1, wide ? 20 : MAX_KERNEL), sh = range(1, 4);
        const int sw = wide ? 1 : range(1, 4), eh = range(1, 3), ew = wide ? 1 : range(1, 3);
        const int th = range(1, 5), tw = range(1, 3 * PIXELS + 2);
        const bool channel_wise = range(0, 1);
        const int col_groups = channel_wise ? 1 : range(1, 3), row_groups = range(1, channel_wise ? 6 : 3);
        const int pixel_groups = (tw + PIXELS - 1) / PIXELS;
        const int spp = (((tw - 1) * sw + (kw - 1) * ew + 1 + sw - 1) / sw + PIXELS - 1) / PIXELS;
        const int d_line = sw * spp, in_rows = (th - 1) * sh + (kh - 1) * eh + 1;
        const int left = range(-5, 40), up = range(-5, 40), width = range(1, 60), height = range(1, 60);
        const unsigned base = range(0, 200), weight_base = range(0, 50), sum_base = range(0, 50);
        // Taps are written into the half of the table that no tile reads, and the tile after them reads it.
        for (int t = 0; t < std::min(kw, std::max(MAX_KERNEL, PIXELS)); ++t) {
            auto phase = [&](int tap) { return tap * ew % sw * spp + tap * ew / sw / PIXELS; };
            top.tap_write = 1, top.tap_index = t, top.tap_rotate = t * ew / sw % PIXELS;
            top.tap_step = (phase(t + 1) - phase(t)) & mask;
            clock();
        }
        top.tap_write = 0;
        top.tap_half = !top.tap_half;
        top.channel_wise = channel_wise, top.kernel_rows = kh, top.kernel_cols = kw, top.col_groups = col_groups;
        top.pixel_groups = pixel_groups, top.rows = th, top.row_groups = row_groups;
        top.d_row = eh * d_line, top.d_group = in_rows * d_line, top.d_out_row = sh * d_line;
        top.stride_rows = sh, top.stride_cols = sw, top.dilation_rows = eh, top.dilation_cols = ew;
        top.x_pixel = PIXELS * sw, top.left = left & ((1 << 13) - 1), top.top = up & ((1 << 13) - 1);
        top.width = width, top.height = height;
        top.ifmap_base = base, top.weight_base = weight_base, top.sum_base = sum_base;
        top.start = 1;
        clock();
        top.start = 0;
        const int taps = kh * kw, total = row_groups * th * pixel_groups * col_groups * taps;
        int n = 0;
        for (int waited = 0; n < total; ++waited) {
            if (waited > total + 20) return std::printf("trial %d: %d of %d iterations\n", trial, n, total), 1;
            clock();
            if (!top.valid) {
                if (n > 0) return std::printf("trial %d: a pause at iteration %d\n", trial, n), 1;
                continue;
            }
            int rest = n++;
            const int tc = rest % kw;
            rest /= kw;
            const int tr = rest % kh;
            rest /= kh;
            const int cg = rest % col_groups;
            rest /= col_groups;
            const int pg = rest % pixel_groups;
            rest /= pixel_groups;
            const int orow = rest % th, rg = rest / th;
            const int line = channel_wise ? rg / LINE_PARTS : cg, row = orow * sh + tr * eh;
            const int weight = channel_wise ? rg * taps + tr * kw + tc : ((rg * col_groups + cg) * kh + tr) * kw + tc;
            const int row_group = channel_wise ? rg / ROW_PARTS : rg;
            bool wrong = false;
            for (int lane = 0; lane < PIXELS; ++lane) {
                const int j = (pg * PIXELS + lane) * sw + tc * ew, q = j / sw;
                const unsigned at = (base + (line * in_rows + row) * d_line + j % sw * spp + q / PIXELS) & mask;
                const int bank = (lane + top.rotate) % PIXELS, x = left + j, y = up + row;
                wrong |= bank != q % PIXELS || bits(&top.address, bank * IA, IA) != at;
                wrong |= ((top.lane_on >> lane) & 1) != (x >= 0 && x < width && y >= 0 && y < height);
            }
            wrong |= top.weight_address != weight_base + (channel_wise ? weight / WEIGHT_PARTS : weight);
            wrong |= channel_wise && (top.weight_part != weight % WEIGHT_PARTS || top.line_part != rg % LINE_PARTS ||
                                      top.row_part != rg % ROW_PARTS);
            wrong |= top.sum_address != sum_base + (row_group * th + orow) * pixel_groups + pg;
            wrong |= top.first != (cg == 0 && tr == 0 && tc == 0);
            wrong |= top.last != (cg == col_groups - 1 && tr == kh - 1 && tc == kw - 1);
            wrong |= top.done != (n == total);
            if (wrong) {
                return std::printf(
                           "trial %d: iteration %d differs (row group %d, row %d, pixels %d, group %d, tap %d %d)\n",
                           trial, n, rg, orow, pg, cg, tr, tc),
                       1;
            }
        }
        const int groups = channel_wise ? (row_groups + ROW_PARTS - 1) / ROW_PARTS : row_groups;
        if (top.group_sums != th * pixel_groups || top.sum_end != sum_base + groups * th * pixel_groups) {
            return std::printf("trial %d: sums end at %d\n", trial, top.sum_end), 1;
        }
        iterations += total;
    }
    std::printf("iterations %llu\n", static_cast<unsigned long long>(iterations));
}
