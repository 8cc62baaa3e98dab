// Tiles of random layers that fit the engine, with what the layout of the buffers says of them.
#pragma once

#include <algorithm>

#include "random_bits.h"
#include "window.h"

struct RandomTile {
    int operation, kh, kw, sh, sw, eh, ew, th, tw, col_groups, row_groups, pixel_groups, spp, d_line, in_rows, lines;
    ComputeCommand command = {};

    // Another tile of such a layer; it may not fit the buffers.
    explicit RandomTile(int operation) : operation(operation) {
        const bool wide = operation != OPERATION_CONV && range(0, 3) == 0;  // a pool as of a whole map: its taps repeat
        const int kernel = wide ? std::min(20, MAX_POOL) : MAX_KERNEL;
        kh = range(1, kernel), kw = range(1, kernel), sh = range(1, MAX_STRIDE), sw = wide ? 1 : range(1, MAX_STRIDE);
        eh = range(1, MAX_DILATION), ew = wide ? 1 : range(1, MAX_DILATION);
        th = range(1, 5), tw = range(1, 3 * PIXELS + 2);
        col_groups = channel_wise() ? 1 : range(1, 3), row_groups = range(1, channel_wise() ? 6 : 3);
        pixel_groups = (tw + PIXELS - 1) / PIXELS;
        spp = (((tw - 1) * sw + (kw - 1) * ew + 1 + sw - 1) / sw + PIXELS - 1) / PIXELS;
        d_line = sw * spp, in_rows = (th - 1) * sh + (kh - 1) * eh + 1;
        lines = channel_wise() ? (row_groups + LINE_PARTS - 1) / LINE_PARTS : col_groups;
        command.runs = true, command.operation = operation;
        command.four_bit = range(0, 1) && operation != OPERATION_SCALE;
        command.pad_value = static_cast<int8_t>(range(-128, 127));
        command.kernel_rows = kh, command.kernel_cols = kw;
        command.stride_rows = sh, command.stride_cols = sw, command.dilation_rows = eh, command.dilation_cols = ew;
        command.x_pixel = PIXELS * sw;
        // The map may end anywhere in the tile, in front of it or behind it, and be as wide as maps may be.
        const int left = range(0, 9) ? range(-5, 10) : range(4000, 4090), top = range(-5, 10);
        const int in_cols = (tw - 1) * sw + (kw - 1) * ew + 1;
        command.left = left, command.top = top;
        command.width = std::clamp(left + range(-2, in_cols + 5), 1, 4095);
        command.height = std::clamp(top + range(-2, in_rows + 5), 1, 4095);
        command.col_groups = col_groups, command.pixel_groups = pixel_groups, command.rows = th;
        command.row_groups = row_groups;
        command.zero = true;
    }

    bool channel_wise() const { return operation != OPERATION_CONV; }
    bool weightless() const { return operation == OPERATION_POOL || operation == OPERATION_MAX_POOL; }
    int taps() const { return kh * kw; }
    int iterations() const { return row_groups * th * pixel_groups * col_groups * taps(); }
    int sum_groups() const { return channel_wise() ? (row_groups + ROW_PARTS - 1) / ROW_PARTS : row_groups; }
    int group_sums() const { return th * pixel_groups; }
    int weight_lines() const {
        const int steps =
            channel_wise() ? (row_groups * taps() + WEIGHT_PARTS - 1) / WEIGHT_PARTS : row_groups * col_groups * taps();
        return command.four_bit ? (steps + 1) / 2 : steps;
    }
    bool fits() const {
        return lines * in_rows * d_line <= IFMAP_DEPTH && sum_groups() * group_sums() <= SUM_DEPTH &&
               (weightless() || weight_lines() <= WEIGHT_DEPTH);
    }

    // Steps of the banks; only those of a tile that fits have values in range.
    void lay_out() {
        command.d_row = eh * d_line, command.d_group = in_rows * d_line, command.d_out_row = sh * d_line;
        auto phase = [&](int tap) { return tap * ew % sw * spp + tap * ew / sw / PIXELS; };
        for (int t = 0; t < std::min(kw, TAP_LINES); ++t) {
            command.tap_rotate[t] = t * ew / sw % PIXELS;
            command.tap_step[t] = wrapped<IA>(phase(t + 1) - phase(t));
        }
    }
};

// One that fits, of an operation, or of any.
static RandomTile random_tile(int operation = -1) {
    for (;;) {
        RandomTile tile(operation >= 0 ? operation : range(0, 4));
        if (!tile.fits()) continue;
        tile.lay_out();
        return tile;
    }
}

// Where iteration n of a tile stands, by division.
struct Iteration {
    int tap_col, tap_row, col_group, pixel_group, out_row, row_group, line, row, weight;

    Iteration(const RandomTile& tile, int n) {
        tap_col = n % tile.kw, n /= tile.kw;
        tap_row = n % tile.kh, n /= tile.kh;
        col_group = n % tile.col_groups, n /= tile.col_groups;
        pixel_group = n % tile.pixel_groups, n /= tile.pixel_groups;
        out_row = n % tile.th, row_group = n / tile.th;
        line = tile.channel_wise() ? row_group / LINE_PARTS : col_group;
        row = out_row * tile.sh + tap_row * tile.eh;
        const int group = tile.channel_wise() ? row_group : row_group * tile.col_groups + col_group;
        weight = group * tile.taps() + tap_row * tile.kw + tap_col;  // of LANES weights, or a line of them
    }

    // Column of the tile that a lane reads, and where it lies.
    int column(const RandomTile& tile, int lane) const {
        return (pixel_group * PIXELS + lane) * tile.sw + tap_col * tile.ew;
    }
    int bank(const RandomTile& tile, int lane) const { return column(tile, lane) / tile.sw % PIXELS; }
    int place(const RandomTile& tile, int lane) const {
        const int j = column(tile, lane);
        return (line * tile.in_rows + row) * tile.d_line + j % tile.sw * tile.spp + j / tile.sw / PIXELS;
    }
    bool inside(const RandomTile& tile, int lane) const {
        const int64_t x = tile.command.left + column(tile, lane), y = tile.command.top + row;
        return x >= 0 && x < tile.command.width && y >= 0 && y < tile.command.height;
    }
    int sum(const RandomTile& tile) const {
        const int group = tile.channel_wise() ? row_group / ROW_PARTS : row_group;
        return (group * tile.th + out_row) * tile.pixel_groups + pixel_group;
    }
    bool first() const { return col_group == 0 && tap_row == 0 && tap_col == 0; }
    bool last(const RandomTile& tile) const {
        return col_group == tile.col_groups - 1 && tap_row == tile.kh - 1 && tap_col == tile.kw - 1;
    }
};
