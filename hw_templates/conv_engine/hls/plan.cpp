#include "plan.h"

namespace {

constexpr int CHANNELS_OUTER = 1, INPUTS_OUTER = 2;  // loop orders
constexpr int PORT_SHIFT = PORT_WORDS == 2 ? 1 : 0;  // memory words of a beat of the weight port, as a power of two

// Tiles along rows or columns (rtl/axis.v). Offsets count words from the map's first row (column), that of the input to the
// unclipped edge of the tile; they wrap.
struct Axis {
    U<CW> index;
    S<CW + 1> position;  // unclipped first input row (column)
    U<AW> in, out, res;

    void begin(U<3> padding, U<AW> in_begin) {
        index = 0;
        position = 0 - padding;
        in = in_begin;
        out = 0;
        res = 0;
    }
    void step(U<CW> extent, U<AW> in_step, U<AW> out_step, U<AW> res_step) {
        index = wrapped<CW>(index + 1);
        position = wrapped_signed<CW + 1>(S<CW + 2>(position) + extent);
        in = wrapped<AW>(in + in_step);
        out = wrapped<AW>(out + out_step);
        res = wrapped<AW>(res + res_step);
    }
    bool is_last(U<CW> tiles) const { return index == wrapped<CW>(tiles - 1); }
};

// Rows (columns) of a tile's input that lie in the map.
struct Inside {
    U<CW> count;
    bool odd;  // it begins at an odd one
};

Inside inside(S<CW + 1> position, U<CW> extent, U<CW> limit) {
    const S<CW + 1> end = wrapped_signed<CW + 1>(S<CW + 2>(position) + extent);
    const S<CW + 1> from = position < 0 ? S<CW + 1>(0) : position;
    const S<CW + 1> to = end > limit ? S<CW + 1>(limit) : end;
    const S<CW + 1> count = wrapped_signed<CW + 1>(S<CW + 2>(to) - from);
    return {count < 0 ? U<CW>(0) : wrapped<CW>(count), (from & 1) != 0};
}

// A row's part in words, clipped to the row (rtl/run_words.v). Offsets are negative where their top bit is set.
struct RunWords {
    U<AW> begin;
    U<BEATS> beats;
};

RunWords run_words(U<AW> offset, U<AW> extent, U<AW> row_end) {
    const S<AW> end = wrapped_signed<AW>(offset + extent), limit = wrapped_signed<AW>(row_end);
    const S<AW> from = wrapped_signed<AW>(offset) < 0 ? S<AW>(0) : wrapped_signed<AW>(offset);
    const S<AW> to = end > limit ? limit : end;
    return {wrapped<AW>(from), wrapped<BEATS>(S<AW + 1>(to) - from)};
}

U<AW> from_zero(U<AW> offset) { return wrapped_signed<AW>(offset) < 0 ? U<AW>(0) : offset; }

// Where a tile's channels begin in the lines and banks of the map memory (rtl/bank_steps.v).
struct BankSteps {
    U<MA> line;
    U<BW> bank;

    void begin() {
        line = 0;
        bank = 0;
    }
    void step(U<MA> lines, U<BW> banks) {
        const U<BW + 1> ahead = U<BW + 1>(bank) + banks;
        const bool over = ahead >= MAP_BANKS;
        line = wrapped<MA>(line + lines + over);
        bank = wrapped<BW>(ahead - (over ? MAP_BANKS : 0));
    }
};

// A line of the map memory, of both halves: of a row of a ring, a column in it, and a part of its channels (rtl/ring_line.v).
U<MA> ring_line(U<MA> begin, U<MA> row, U<MA> ring, U<MA> ring_end, U<MA> behind_row) {
    const U<MA + 1> straight = U<MA + 1>(begin) + row;
    const U<MA> row_line = wrapped<MA>(straight - (straight >= ring_end ? ring : U<MA>(0)));
    return wrapped<MA>(row_line + behind_row);
}

// The same in one half, which is an array of its own.
U<MA> in_half(U<MA> line, bool upper) { return wrapped<MA>(line - (upper ? MAP_DEPTH : 0)); }

class Walk {
public:
    void begin(const Descriptor& d) {
        exhausted = false;
        out_index = in_index = 0;
        out_first = in_first = 0;
        out_group = 0;
        fetch_ifmap = fetch_weights = true;
        weight_at = weight_begin = 0;
        rows.begin(d.pad_top, d.in_row_begin);
        cols.begin(d.pad_left, d.in_col_begin);
        row_at = col_at = 0;
        in_lines.begin();
        out_lines.begin();
    }

    // Of the three loops, the innermost that has another tile steps; those inside it begin again.
    void step(const Descriptor& d) {
        const bool keeps_sums = d.loop_order == INPUTS_OUTER, pixels_inside = d.loop_order == CHANNELS_OUTER;
        const bool in_last = is_last_in(d), out_last = is_last_out(d), cols_last = cols.is_last(d.tiles_cols);
        const bool pixels_last = cols_last && rows.is_last(d.tiles_rows);
        const bool step_in = !in_last && !(keeps_sums && !out_last);
        const bool step_out = keeps_sums ? !out_last : in_last && (pixels_inside ? pixels_last : !out_last);
        const bool step_pixels = !step_in && !step_out;
        const bool restart_pixels = step_out && pixels_inside;
        const bool several_pixels = d.tiles_rows != 1 || d.tiles_cols != 1;
        exhausted = exhausted || (in_last && out_last && pixels_last);
        if (exhausted) return;

        fetch_ifmap = step_pixels || step_in || (restart_pixels && several_pixels) ||
                      (step_out && (!is_dense(d) || (d.tiles_in != 1 && !keeps_sums)));
        fetch_weights = step_in || step_out || d.tiles_in != 1 || (d.tiles_out != 1 && !pixels_inside);
        // Weights lie in the order in which they are fetched; with the pixels inside, those of a tile of output channels begin
        // again with each tile of pixels, else all of them do.
        const U<AW> weight_end = wrapped<AW>(weight_at + weight_beats(d));
        weight_at = !step_pixels ? weight_end : pixels_inside ? weight_begin : U<AW>(0);
        if (restart_pixels) weight_begin = weight_end;

        if (step_in) {
            in_index = wrapped<CW>(in_index + 1);
            in_first = wrapped<CW>(in_first + d.full_in_words);
            in_lines.step(d.in_tile_lines, d.in_tile_banks);
        } else if (!keeps_sums || step_pixels) {
            in_index = 0;
            in_first = 0;
            in_lines.begin();
        }
        if (step_out) {
            out_index = wrapped<CW>(out_index + 1);
            out_first = wrapped<CW>(out_first + d.full_out_words);
            out_group = wrapped<CW>(out_group + d.out_tile_groups);
            out_lines.step(d.out_tile_lines, d.out_tile_banks);
        } else if (keeps_sums || (step_pixels && !pixels_inside)) {
            out_index = 0;
            out_first = 0;
            out_group = 0;
            out_lines.begin();
        }
        if (restart_pixels) {
            rows.begin(d.pad_top, d.in_row_begin);
            row_at = 0;
        } else if (step_pixels && cols_last) {
            rows.step(d.in_tile_rows, d.in_tile_row_step, d.out_tile_row_step, d.res_tile_row_step);
            row_at = wrapped<CW>(row_at + d.tile_height);
        }
        if (restart_pixels || (step_pixels && cols_last)) {
            cols.begin(d.pad_left, d.in_col_begin);
            col_at = 0;
        } else if (step_pixels) {
            cols.step(d.in_tile_cols, d.in_tile_col_step, d.out_tile_col_step, d.res_tile_col_step);
            col_at = wrapped<CW>(col_at + d.tile_width);
        }
    }

    void tile(const Descriptor& d, Tile& tile) const {
        const bool keeps_sums = d.loop_order == INPUTS_OUTER;
        const bool maps = MAP_DEPTH > 0;
        tile.there = !exhausted;
        tile.finishes = is_last_in(d) && (is_last_out(d) || !keeps_sums);
        tile.reads_half = maps && wrapped<MA>(d.ifmap_word) >= MAP_LINES;
        tile.fills_half = maps && wrapped<MA>(d.ofmap_word) >= MAP_LINES;
        ifmap(d, tile.reads_half, tile.ifmap);
        tile.weights.runs = fetch_weights;
        tile.weights.beat = wrapped<AW>((d.weight_word >> PORT_SHIFT) + weight_at);
        tile.weights.beats = weight_beats(d);
        tile.weights.describes = false;
        tile.weights.descriptor_beat = 0;
        compute(d, tile.compute);
        residual(d, tile.residual);
        store(d, tile.fills_half, tile.store);
    }

private:
    static bool is_dense(const Descriptor& d) { return d.operation == OPERATION_CONV; }
    bool is_last_in(const Descriptor& d) const { return in_index == wrapped<CW>(d.tiles_in - 1); }
    bool is_last_out(const Descriptor& d) const { return out_index == wrapped<CW>(d.tiles_out - 1); }
    U<BEATS> weight_beats(const Descriptor& d) const {
        return is_last_out(d) ? (is_last_in(d) ? d.weight_beats_last_last : d.weight_beats_last_full)
                              : (is_last_in(d) ? d.weight_beats_full_last : d.weight_beats_full_full);
    }
    U<CW> stored_words(const Descriptor& d) const {
        return d.loop_order == INPUTS_OUTER ? d.out_run_words : is_last_out(d) ? d.last_out_words : d.full_out_words;
    }
    U<CW> first_stored(const Descriptor& d) const { return d.loop_order == INPUTS_OUTER ? U<CW>(0) : out_first; }
    U<CW> out_rows(const Descriptor& d) const { return rows.is_last(d.tiles_rows) ? d.last_rows : d.tile_height; }
    U<CW> out_cols(const Descriptor& d) const { return cols.is_last(d.tiles_cols) ? d.last_cols : d.tile_width; }

    // A channel-wise layer's input channels are its output channels.
    void ifmap(const Descriptor& d, bool upper, IfmapCommand& command) const {
        const bool dense = is_dense(d), cols_last = cols.is_last(d.tiles_cols), rows_last = rows.is_last(d.tiles_rows);
        const Inside in_rows = inside(rows.position, rows_last ? d.in_last_rows : d.in_full_rows, d.in_height);
        const Inside in_cols = inside(cols.position, cols_last ? d.in_last_cols : d.in_full_cols, d.in_width);
        const RunWords words = run_words(cols.in, cols_last ? d.in_last_words : d.in_full_words, d.in_col_end);
        command.runs = fetch_ifmap;
        command.empty = in_rows.count == 0 || in_cols.count == 0;
        command.on_chip = d.map_in != 0;
        command.rows = in_rows.count;
        command.cols = in_cols.count;
        command.words = dense ? (is_last_in(d) ? d.last_in_words : d.full_in_words)
                              : (is_last_out(d) ? d.last_out_words : d.full_out_words);
        const U<AW> pixel = wrapped<AW>(from_zero(rows.in) + words.begin);
        command.part.word = wrapped<AW>(pixel + (dense ? in_first : out_first) + d.ifmap_word);
        command.part.rows = command.rows;
        command.part.runs = d.whole_in ? U<CW>(1) : command.cols;
        command.part.beats = d.whole_in ? words.beats : U<BEATS>(command.words);
        command.part.run_step = d.in_col_step;
        command.part.row_step = d.in_row_step;
        command.repeat = d.repeat != 0;
        command.odd_row = command.repeat && in_rows.odd;
        command.odd_col = command.repeat && in_cols.odd;
        command.stride = d.stride_width;
        command.slots = d.d_slots;
        command.d_line = d.d_line;
        command.d_group = d.d_group;
        const bool first_row = rows.index == 0, first_col = cols.index == 0;
        command.place = wrapped<IA>((first_row ? d.in_place_row : U<IA>(0)) + (first_col ? d.in_place : U<IA>(0)));
        command.lane = first_col ? d.in_place_lane : U<RW>(0);
        command.phase = first_col ? d.in_place_phase : U<DW>(0);
        const BankSteps& channels = dense ? in_lines : out_lines;
        const U<MA> line = ring_line(wrapped<MA>(d.ifmap_word), wrapped<MA>(from_zero(rows.in)), d.map_in_ring,
                                     d.map_in_end, wrapped<MA>(words.begin + channels.line));
        command.line = in_half(line, upper);
        command.ring = d.map_in_ring;
        command.ring_end = in_half(d.map_in_end, upper);
        command.col_step = wrapped<MA>(d.in_col_step);
        command.row_step = wrapped<MA>(d.in_row_step);
        command.bank = channels.bank;
    }

    void compute(const Descriptor& d, ComputeCommand& command) const {
        const bool in_last = is_last_in(d);
        command.runs = true;
        command.operation = d.operation;
        command.four_bit = d.four_bit_weights != 0;
        command.pad_value = static_cast<int8_t>(static_cast<uint8_t>(d.pad_value));
        command.kernel_rows = d.kernel_height;
        command.kernel_cols = d.kernel_width;
        command.d_row = d.d_row;
        command.d_group = d.d_group;
        command.d_out_row = d.d_out_row;
    taps:
        for (int tap = 0; tap < TAP_LINES; ++tap) {
#pragma HLS UNROLL  // wires
            const U<32> column = tap < TAPS ? d.tap_cols[tap < TAPS ? tap : 0] : U<32>(0);
            command.tap_rotate[tap] = wrapped<RW>(column);
            command.tap_step[tap] = wrapped<IA>(column >> 8);
        }
        command.stride_rows = d.stride_height;
        command.stride_cols = d.stride_width;
        command.dilation_rows = d.dilation_height;
        command.dilation_cols = d.dilation_width;
        command.x_pixel = d.x_pixel;
        command.width = d.in_width;
        command.height = d.in_height;
        command.col_groups = in_last ? d.col_groups_last : d.col_groups_full;
        command.pixel_groups = cols.is_last(d.tiles_cols) ? d.pixel_groups_last : d.pixel_groups_full;
        command.rows = out_rows(d);
        command.row_groups = is_last_out(d) ? d.row_groups_last : d.row_groups_full;
        command.left = cols.position;
        command.top = rows.position;
        command.follows = d.loop_order == INPUTS_OUTER && out_index != 0;
        command.zero = in_index == 0;
    }

    void residual(const Descriptor& d, ResidualCommand& command) const {
        const RunWords words = run_words(cols.res, d.res_tile_col_step, d.res_col_end);
        const U<AW> pixel = wrapped<AW>(rows.res + words.begin);
        command.runs = d.residual != 0;
        command.part.word = wrapped<AW>(pixel + first_stored(d) + d.residual_word);
        command.part.rows = out_rows(d);
        command.part.runs = d.whole_res ? U<CW>(1) : out_cols(d);
        command.part.beats = d.whole_res ? words.beats : U<BEATS>(stored_words(d));
        command.part.run_step = d.res_col_step;
        command.part.row_step = d.res_row_step;
    }

    void store(const Descriptor& d, bool upper, StoreCommand& command) const {
        const bool keeps_sums = d.loop_order == INPUTS_OUTER;
        const RunWords words = run_words(cols.out, d.out_tile_col_step, d.out_col_end);
        const U<AW> pixel = wrapped<AW>(rows.out + words.begin);
        command.runs = true;
        command.drains = command.counts = false;
        command.averages = d.operation == OPERATION_POOL;
        command.residual = d.residual;
        command.residual_multiplier = d.residual_multiplier;
        command.edges = d.edges;
        command.out_height = d.out_height;
        command.out_width = d.out_width;
        command.on_chip = MAP_DEPTH > 0 && d.map_out != 0;
        command.rows = out_rows(d);
        command.cols = out_cols(d);
        command.words = stored_words(d);
        command.part.word = wrapped<AW>(pixel + first_stored(d) + d.ofmap_word);
        command.part.rows = command.rows;
        command.part.runs = d.whole_out ? U<CW>(1) : command.cols;
        command.part.beats = d.whole_out ? words.beats : U<BEATS>(command.words);
        command.part.run_step = d.out_col_step;
        command.part.row_step = d.out_row_step;
        command.first_group = keeps_sums ? U<CW>(0) : out_group;
        command.first_row = row_at;
        command.first_col = col_at;
        command.group_sums = 0;
        const U<MA> channels = keeps_sums ? U<MA>(0) : out_lines.line;
        const U<MA> line = ring_line(wrapped<MA>(d.ofmap_word), wrapped<MA>(rows.out), d.map_out_ring, d.map_out_end,
                                     wrapped<MA>(words.begin + channels));
        command.line = in_half(line, upper);
        command.ring = d.map_out_ring;
        command.ring_end = in_half(d.map_out_end, upper);
        command.col_step = wrapped<MA>(d.out_col_step);
        command.row_step = wrapped<MA>(d.out_row_step);
        command.bank = keeps_sums ? U<BW>(0) : out_lines.bank;
    }

    bool exhausted, fetch_ifmap, fetch_weights;
    U<CW> out_index, in_index, out_first, in_first;  // tiles, and the first channel word of the present ones
    U<CW> out_group;                                 // first line of parameters
    U<AW> weight_at, weight_begin;                   // beats behind the step's first
    Axis rows, cols;
    U<CW> row_at, col_at;  // of the output
    BankSteps in_lines, out_lines;
};

}  // namespace

void plan(const PlanCommand command, const Descriptor d, Tile& tile) {
    static Walk walk;
    if (command.begins) {
        walk.begin(d);
    } else if (command.goes_on) {
        walk.step(d);
    }
    walk.tile(d, tile);
}
