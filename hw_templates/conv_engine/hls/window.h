// Addresses of the compute stage: a nest of six loops, one iteration a cycle (rtl/window.v).
//
// The loops, innermost first: tap column, tap row, group of COLS input channels; then pixel group, output row, and row group
// (ROWS output channels; in a channel-wise layer LANES channels). Column j of a tile lies in bank (j div stride) mod PIXELS,
// so tap column t needs one rotation of the banks onto the pixel lanes and one step of the address, whatever the pixel: the
// command gives both. With stride and dilation 1 they repeat after PIXELS columns. Bank b is read at `at` or one word on
// (b < rotate); pixel lane l takes bank (l + rotate) mod PIXELS, and is on if its column and row lie in the map.
//
// Weights follow each other in the order of the iterations of one pixel; they begin again with each pixel group. A channel-wise
// iteration takes LANES weights, so WEIGHT_PARTS of them share a line. Sums lie one behind the other; the ROW_PARTS channel-wise
// groups of one row group share an address.
//
// What depends on what: the address of an iteration is one sum, whose operands are chosen an iteration ahead. They depend on
// which loops end there (`Steps`), known two iterations ahead, from counters that run as far ahead. So no chain from a
// register to itself is longer than an addition and three selections.
#pragma once

#include "commands.h"
#include "level.h"

constexpr int LINE_PARTS = COLS / LANES;           // channel-wise groups in a line of the ifmap buffer
constexpr int ROW_PARTS = ROWS / LANES;            // and in a row group
constexpr int WEIGHT_PARTS = ROWS * COLS / LANES;  // channel-wise iterations that share a line of weights

// Which loops go on behind an iteration: each of them where all inside it are at their last iteration, and so go on too.
struct Steps {
    bool row, group, pixel, out_row, row_group, end;
};

class Nest {
public:
    Level<KW> tap_cols;

    void begin(const ComputeCommand& command) {
#pragma HLS INLINE
        tap_cols.begin(command.kernel_cols);
        tap_rows.begin(command.kernel_rows);
        groups.begin(command.col_groups);
        pixels.begin(command.pixel_groups);
        out_rows.begin(command.rows);
        row_groups.begin(command.row_groups);
    }

    // Of the present iteration: trees of conjunctions, as a chain of them would be long. Each flag is a register of its own.
    void say(Steps& steps) const {
#pragma HLS INLINE
        const bool group = tap_cols.last & tap_rows.last, out_row = groups.last & pixels.last;
        steps.row = tap_cols.last;
        steps.group = group;
        steps.pixel = group & groups.last;
        steps.out_row = group & out_row;
        steps.row_group = group & (out_row & out_rows.last);
        steps.end = group & (out_row & (out_rows.last & row_groups.last));
    }

    void step() {
#pragma HLS INLINE
        Steps now;
        say(now);
        tap_cols.step(true);
        tap_rows.step(now.row);
        groups.step(now.group);
        pixels.step(now.pixel);
        out_rows.step(now.out_row);
        row_groups.step(now.row_group);
    }

private:
    Level<KW> tap_rows;
    Level<CW> groups, pixels, out_rows, row_groups;
};

class Window {
public:
    // Of the present iteration.
    U<IA> at;                                // of the banks from `rotate` on; those before it are read one word on
    U<RW> rotate;                            // of the banks onto the lanes
    S<CW + 1> x, y;                          // column and row of the map that the first lane reads
    U<WA> weight;                            // step of the weight buffer
    U<PW> weight_part, line_part, row_part;  // of a channel-wise iteration
    U<OA> sum;
    bool first, last;  // of a sum
    bool ends;         // it is the tile's last one
    // Of the tile, once it has ended.
    U<OA> sum_end, group_sums;  // behind its last sum; addresses that a row group takes

    void begin(const ComputeCommand& command, U<OA> first_sum) {
#pragma HLS INLINE
        channel_wise = command.operation != OPERATION_CONV;
        const bool regular = command.stride_cols == 1 && command.dilation_cols == 1;
        last_tap = regular ? U<TW>(PIXELS - 1) : U<TW>(TAP_LINES - 1);
        nest.begin(command);
        tap = 0;
        take(command, present, rotate, step);
        at = row_at = group_at = pixel_at = out_row_at = line_at = base = 0;
        line_part = row_part = 0;
        increment = behind(command, present, line_part, step);
        take(command, ahead, next_rotate, step);
        x = x_at_pixel = command.left;
        y = y_at_row = command.top;
        weight = weight_at_group = 0;
        weight_part = part_at_group = 0;
        sum = sum_at_group = begin_at = first_sum;
        first = in_first_group = true;
        sum_end = group_sums = 0;
        tell();
    }

    void next(const ComputeCommand& command) {
#pragma HLS INLINE
        next_address(command);
        next_position(command);
        next_sum();
        first = present.pixel;
        rotate = next_rotate;
        present = ahead;
        take(command, ahead, next_rotate, step);
        tell();
    }

private:
    Nest nest;             // two iterations ahead
    Steps present, ahead;  // behind the present iteration, and behind the next one
    U<TW> tap, last_tap;   // lines of the table of tap columns
    U<RW> next_rotate;
    U<IA> step;                                             // from the next iteration's tap column to the one behind it
    U<IA> base, increment;                                  // of the next address
    U<IA> row_at, group_at, pixel_at, out_row_at, line_at;  // where each loop began
    S<CW + 1> x_at_pixel, y_at_row;
    U<WA> weight_at_group;
    U<PW> part_at_group;
    U<OA> sum_at_group, begin_at;
    bool channel_wise, in_first_group;

    void tell() {
#pragma HLS INLINE
        last = present.pixel;
        ends = present.end;
    }

    // Takes the iteration at which the nest stands, and its line of the table of tap columns; goes on to the one behind it.
    void take(const ComputeCommand& command, Steps& steps, U<RW>& rotation, U<IA>& tap_step) {
#pragma HLS INLINE
        nest.say(steps);
        rotation = command.tap_rotate[static_cast<uint32_t>(tap)];
        tap_step = command.tap_step[static_cast<uint32_t>(tap)];
        tap = nest.tap_cols.last || tap == last_tap ? U<TW>(0) : U<TW>(tap + U<TW>(1));
        nest.step();
    }

    // How far the address goes on behind an iteration; LINE_PARTS channel-wise groups read the same line.
    U<IA> behind(const ComputeCommand& command, const Steps& steps, U<PW> part, U<IA> tap_step) const {
#pragma HLS INLINE
        const U<IA> d_line = channel_wise && part == LINE_PARTS - 1 ? command.d_group : U<IA>(0);
        const U<IA> of_pixel = steps.row_group ? d_line : steps.out_row ? command.d_out_row : U<IA>(1);
        const U<IA> of_tap = steps.group ? command.d_group : steps.row ? command.d_row : tap_step;
        return steps.pixel ? of_pixel : of_tap;
    }

    void next_address(const ComputeCommand& command) {
#pragma HLS INLINE
        const U<IA> next_at = wrapped<IA>(base + increment);
        const bool counts = present.row_group && channel_wise;
        const U<PW> next_line_part = !counts                       ? line_part
                                     : line_part == LINE_PARTS - 1 ? U<PW>(0)
                                                                   : U<PW>(line_part + U<PW>(1));
        // The step behind the next iteration starts where the loop began that goes on there: at the next address, where that
        // loop or one around it begins there, else at what stands in a register.
        const U<IA> of_pixel = ahead.row_group ? line_at : ahead.out_row ? out_row_at : pixel_at;
        const U<IA> of_tap = ahead.group ? group_at : row_at;
        const bool begins_pixel = ahead.row_group ? present.row_group : ahead.out_row ? present.out_row : present.pixel;
        const bool begins_tap = ahead.group ? present.group : ahead.row ? present.row : true;
        const bool begins = ahead.pixel ? begins_pixel : begins_tap;
        base = begins ? next_at : ahead.pixel ? of_pixel : of_tap;
        increment = behind(command, ahead, next_line_part, step);
        at = next_at;
        row_at = present.row ? next_at : row_at;
        group_at = present.group ? next_at : group_at;
        pixel_at = present.pixel ? next_at : pixel_at;
        out_row_at = present.out_row ? next_at : out_row_at;
        line_at = present.row_group ? next_at : line_at;
        line_part = next_line_part;
    }

    // A column or row beyond the widest map counts as one before the map: its lanes are off as well.
    void next_position(const ComputeCommand& command) {
#pragma HLS INLINE
        const S<CW + 2> x_step = !present.row    ? S<CW + 2>(command.dilation_cols)
                                 : present.pixel ? S<CW + 2>(command.x_pixel)
                                                 : S<CW + 2>(0);
        const S<CW + 1> next_x = wrapped_signed<CW + 1>(S<CW + 2>(present.row ? x_at_pixel : x) + x_step);
        x = present.out_row ? command.left : next_x;
        x_at_pixel = !present.pixel ? x_at_pixel : x;
        const S<CW + 2> y_step = present.out_row                 ? S<CW + 2>(command.stride_rows)
                                 : present.group || !present.row ? S<CW + 2>(0)
                                                                 : S<CW + 2>(command.dilation_rows);
        const S<CW + 1> next_y = wrapped_signed<CW + 1>(S<CW + 2>(present.group ? y_at_row : y) + y_step);
        y = present.row_group ? command.top : next_y;
        y_at_row = !present.out_row ? y_at_row : y;
    }

    void next_sum() {
#pragma HLS INLINE
        const bool part_wraps = !channel_wise || weight_part == WEIGHT_PARTS - 1;
        const bool begins_again = present.pixel && !present.row_group;
        // The weights of a pool are not read, and may pass the buffer's end.
        const U<WA> next_weight = wrapped<WA>(weight + U<WA>(part_wraps));
        const U<PW> next_part = part_wraps ? U<PW>(0) : U<PW>(weight_part + U<PW>(1));
        weight = begins_again ? weight_at_group : next_weight;
        weight_part = begins_again ? part_at_group : next_part;
        weight_at_group = present.row_group ? next_weight : weight_at_group;
        part_at_group = present.row_group ? next_part : part_at_group;

        // The place behind the last sum of a full bank is the first one.
        const bool row_wraps = !channel_wise || row_part == ROW_PARTS - 1;
        const U<OA> next_at = wrapped<OA>(sum + U<OA>(1));
        const bool again = present.row_group && !row_wraps;
        sum = !present.pixel ? sum : again ? sum_at_group : next_at;
        sum_at_group = present.row_group && row_wraps ? next_at : sum_at_group;
        row_part = !present.row_group || !channel_wise ? row_part : row_wraps ? U<PW>(0) : U<PW>(row_part + U<PW>(1));
        group_sums = present.row_group && in_first_group ? wrapped<OA>(next_at - begin_at) : group_sums;
        in_first_group = in_first_group && !present.row_group;
        sum_end = next_at;
    }
};
