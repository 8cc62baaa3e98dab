// Walks over the tiles of a layer in its loop order, and makes the commands of each: what to fetch, compute and store.
//
// A layer has tiles of output channels, input channels, rows and columns. The loop order says which loop is inside: input
// channels and then output channels (pixels_outer), input channels and then pixels (channels_outer), or output channels and
// then input channels (inputs_outer, which keeps the sums of all output channels of its pixels). A tile that a buffer holds
// already is not fetched again.
//
// Handshake: `restart` begins the layer whose fields are in place; `ready` is set when its first tile's commands are made, ten cycles later.
// `next`, where it is ready, puts them out, where they stay until the next one, and goes on to the tile behind; where there is
// none left `ended` is put out.
`include "engine_format.vh"
module tile_walk #(
    parameter AW = 26,
    parameter CW = 12,
    parameter IA = 11,
    parameter LW = 2,
    parameter DW = 2,
    parameter BEATS = 16,
    parameter BANKS = 1,          // of the map memory
    parameter MA = 1,
    parameter BW = 1
) (
    input wire clk,
    input wire resetn,
    input wire config_write,
    input wire [5:0] config_unit,
    input wire [63:0] config_data,
    input wire turn,
    input wire restart,
    input wire next,
    output reg ready,
    output reg ended,
    // What is fetched.
    output reg fetch_ifmap,
    output reg fetch_weights,
    output reg [AW-1:0] ifmap_word,
    output reg [CW-1:0] ifmap_rows,
    output reg [CW-1:0] ifmap_runs,
    output reg [BEATS-1:0] ifmap_beats,
    output reg ifmap_empty,
    output reg ifmap_odd_row,
    output reg ifmap_odd_col,
    output reg [CW-1:0] ifmap_cols,
    output reg [CW-1:0] ifmap_words,
    output reg [IA-1:0] ifmap_place,
    output reg [LW-1:0] ifmap_lane,
    output reg [DW-1:0] ifmap_phase,
    output wire ifmap_on_chip,
    output reg [MA-1:0] ifmap_line, // where the part begins in the map memory, and how rows of it follow each other
    output reg [BW-1:0] ifmap_bank,
    output wire [MA-1:0] ifmap_ring,
    output wire [MA-1:0] ifmap_ring_end,
    output reg [AW-1:0] weight_offset, // beats of the weight port behind the layer's first
    output reg [BEATS-1:0] weight_beats,
    // What is computed.
    output reg first_in,         // sums begin with this tile
    output reg sum_follows,      // sums lie behind those of the tile before
    output reg [CW-1:0] col_groups,
    output reg [CW-1:0] pixel_groups,
    output reg [CW-1:0] row_groups,
    output reg [CW-1:0] rows,
    output reg [CW-1:0] cols,
    output reg signed [CW:0] left,
    output reg signed [CW:0] top,
    // What is stored behind it.
    output reg finishes,
    output reg [AW-1:0] result_word, // from the output map's start
    output reg [BEATS-1:0] result_beats,
    output reg [AW-1:0] residual_word,
    output reg [BEATS-1:0] residual_beats,
    output reg [CW-1:0] result_words,
    output reg [CW-1:0] result_group, // its first line of parameters
    output reg [MA-1:0] result_line, // where it begins in the map memory
    output reg [BW-1:0] result_bank,
    output reg [CW-1:0] result_row,
    output reg [CW-1:0] result_col);
    `define FIELD(NAME, BITS, AT) \
        wire [BITS-1:0] NAME; \
        layer_field #(.WIDTH(BITS), .INDEX(AT)) of_``NAME ( \
            .clk(clk), .config_write(config_write), .config_unit(config_unit), .config_data(config_data), .turn(turn), \
            .value(NAME));

    `FIELD(operation, 3, `AT_OPERATION)
    `FIELD(loop_order, 2, `AT_LOOP_ORDER)
    `FIELD(in_height, CW, `AT_IN_HEIGHT)
    `FIELD(in_width, CW, `AT_IN_WIDTH)
    `FIELD(pad_top, 3, `AT_PAD_TOP)
    `FIELD(pad_left, 3, `AT_PAD_LEFT)
    `FIELD(repeated, 1, `AT_REPEAT)
    `FIELD(tile_height, CW, `AT_TILE_HEIGHT)
    `FIELD(tile_width, CW, `AT_TILE_WIDTH)
    `FIELD(tiles_out, CW, `AT_TILES_OUT)
    `FIELD(tiles_in, CW, `AT_TILES_IN)
    `FIELD(tiles_rows, CW, `AT_TILES_ROWS)
    `FIELD(tiles_cols, CW, `AT_TILES_COLS)
    `FIELD(last_out_words, CW, `AT_LAST_OUT_WORDS)
    `FIELD(last_in_words, CW, `AT_LAST_IN_WORDS)
    `FIELD(last_rows, CW, `AT_LAST_ROWS)
    `FIELD(last_cols, CW, `AT_LAST_COLS)
    `FIELD(full_out_words, CW, `AT_FULL_OUT_WORDS)
    `FIELD(full_in_words, CW, `AT_FULL_IN_WORDS)
    `FIELD(row_groups_full, CW, `AT_ROW_GROUPS_FULL)
    `FIELD(row_groups_last, CW, `AT_ROW_GROUPS_LAST)
    `FIELD(col_groups_full, CW, `AT_COL_GROUPS_FULL)
    `FIELD(col_groups_last, CW, `AT_COL_GROUPS_LAST)
    `FIELD(pixel_groups_full, CW, `AT_PIXEL_GROUPS_FULL)
    `FIELD(pixel_groups_last, CW, `AT_PIXEL_GROUPS_LAST)
    `FIELD(ifmap_begin, AW, `AT_IFMAP_WORD)
    `FIELD(ofmap_begin, AW, `AT_OFMAP_WORD)
    `FIELD(residual_begin, AW, `AT_RESIDUAL_WORD)
    `FIELD(out_run_words, CW, `AT_OUT_RUN_WORDS)
    `FIELD(in_tile_col_step, AW, `AT_IN_TILE_COL_STEP)
    `FIELD(in_tile_row_step, AW, `AT_IN_TILE_ROW_STEP)
    `FIELD(in_col_begin, AW, `AT_IN_COL_BEGIN)
    `FIELD(in_row_begin, AW, `AT_IN_ROW_BEGIN)
    `FIELD(in_col_end, AW, `AT_IN_COL_END)
    `FIELD(in_full_extent, AW, `AT_IN_FULL_WORDS)
    `FIELD(in_last_extent, AW, `AT_IN_LAST_WORDS)
    `FIELD(in_tile_rows, CW, `AT_IN_TILE_ROWS)
    `FIELD(in_tile_cols, CW, `AT_IN_TILE_COLS)
    `FIELD(in_full_rows, CW, `AT_IN_FULL_ROWS)
    `FIELD(in_full_cols, CW, `AT_IN_FULL_COLS)
    `FIELD(in_last_rows, CW, `AT_IN_LAST_ROWS)
    `FIELD(in_last_cols, CW, `AT_IN_LAST_COLS)
    `FIELD(out_tile_col_step, AW, `AT_OUT_TILE_COL_STEP)
    `FIELD(out_tile_row_step, AW, `AT_OUT_TILE_ROW_STEP)
    `FIELD(out_col_end, AW, `AT_OUT_COL_END)
    `FIELD(res_tile_col_step, AW, `AT_RES_TILE_COL_STEP)
    `FIELD(res_tile_row_step, AW, `AT_RES_TILE_ROW_STEP)
    `FIELD(res_col_end, AW, `AT_RES_COL_END)
    `FIELD(whole_in, 1, `AT_WHOLE_IN)
    `FIELD(whole_out, 1, `AT_WHOLE_OUT)
    `FIELD(whole_res, 1, `AT_WHOLE_RES)
    `FIELD(in_place, IA, `AT_IN_PLACE)
    `FIELD(in_place_lane, LW, `AT_IN_PLACE_LANE)
    `FIELD(in_place_phase, DW, `AT_IN_PLACE_PHASE)
    `FIELD(in_place_row, IA, `AT_IN_PLACE_ROW)
    `FIELD(beats_full_full, BEATS, `AT_WEIGHT_BEATS_FULL_FULL)
    `FIELD(beats_full_last, BEATS, `AT_WEIGHT_BEATS_FULL_LAST)
    `FIELD(beats_last_full, BEATS, `AT_WEIGHT_BEATS_LAST_FULL)
    `FIELD(beats_last_last, BEATS, `AT_WEIGHT_BEATS_LAST_LAST)
    `FIELD(map_in, 1, `AT_MAP_IN)
    `FIELD(map_in_ring, MA, `AT_MAP_IN_RING)
    `FIELD(map_in_end, MA, `AT_MAP_IN_END)
    `FIELD(in_tile_lines, MA, `AT_IN_TILE_LINES)
    `FIELD(in_tile_banks, BW, `AT_IN_TILE_BANKS)
    `FIELD(map_out_ring, MA, `AT_MAP_OUT_RING)
    `FIELD(map_out_end, MA, `AT_MAP_OUT_END)
    `FIELD(out_tile_lines, MA, `AT_OUT_TILE_LINES)
    `FIELD(out_tile_banks, BW, `AT_OUT_TILE_BANKS)
    `FIELD(out_tile_groups, CW, `AT_OUT_TILE_GROUPS)
    `undef FIELD

    localparam [1:0] CHANNELS_OUTER = 1, INPUTS_OUTER = 2;
    wire dense = operation == `OPERATION_CONV;
    wire keeps_sums = loop_order == INPUTS_OUTER;
    wire pixels_inside = loop_order == CHANNELS_OUTER;

    // Channels: index and first word of the tile; a channel-wise layer's input channels are its output channels.
    reg next_fetch_ifmap, next_fetch_weights;
    wire [CW-1:0] next_ifmap_rows, next_ifmap_cols;
    wire signed [CW:0] next_left, next_top;
    wire [MA-1:0] next_ifmap_line, next_result_line;
    reg [CW-1:0] out_index, in_index, out_first, in_first, out_group;
    wire out_last = out_index == tiles_out - 1'b1;
    wire in_last = in_index == tiles_in - 1'b1;
    wire rows_first, rows_last, cols_first, cols_last;
    wire pixels_last = rows_last && cols_last;

    // Of the three loops, the innermost that has another tile steps; those inside it begin again.
    wire step_in = !in_last && !(keeps_sums && !out_last);
    wire step_out = keeps_sums ? !out_last : in_last && (pixels_inside ? pixels_last : !out_last);
    wire step_pixels = !step_in && !step_out;
    wire several_pixels = tiles_rows != 1 || tiles_cols != 1;
    wire ends = in_last && out_last && pixels_last;
    reg exhausted;                // no tile is left
    wire move = next && ready && !exhausted;
    wire restart_pixels = move && step_out && pixels_inside && !ends;

    // Weights lie in the order in which they are fetched; with the pixels inside, those of a tile of output channels begin again
    // with each tile of pixels, else all of them do.
    reg [AW-1:0] weight_at, weight_begin;
    wire [AW-1:0] next_weight_offset = weight_at;
    wire [BEATS-1:0] next_weight_beats = out_last ? (in_last ? beats_last_last : beats_last_full) :
                                     (in_last ? beats_full_last : beats_full_full);
    reg [AW-1:0] weight_end;

    reg [3:0] settle;
    wire axis_step_cols = move && step_pixels && !ends && !cols_last;
    wire next_row_of_tiles = move && step_pixels && !ends && cols_last;

    always @(posedge clk) begin
        weight_end <= weight_at + {{AW-BEATS{1'b0}}, next_weight_beats};
        if (!resetn) begin
            ready <= 1'b0;
            exhausted <= 1'b1;
            ended <= 1'b1;
            settle <= 0;
        end else if (restart) begin
            ready <= 1'b0;
            exhausted <= 1'b0;
            settle <= 4'd10;
        end else if (move) begin
            ready <= ends;
            exhausted <= ends;
            settle <= ends ? 4'd0 : 4'd10;
        end else if (settle != 0) begin
            settle <= settle - 1'b1;
            ready <= settle == 1;
        end
        if (resetn && next && ready) ended <= exhausted;
        if (restart) begin
            out_index <= 0;
            in_index <= 0;
            out_first <= 0;
            in_first <= 0;
            out_group <= 0;
            next_fetch_ifmap <= 1'b1;
            next_fetch_weights <= 1'b1;
            weight_at <= 0;
            weight_begin <= 0;
        end else if (move && !ends) begin
            if (step_in) begin
                in_index <= in_index + 1'b1;
                in_first <= in_first + full_in_words;
            end else if (!keeps_sums || step_pixels) begin
                in_index <= 0;
                in_first <= 0;
            end
            if (step_out) begin
                out_index <= out_index + 1'b1;
                out_first <= out_first + full_out_words;
                out_group <= out_group + out_tile_groups;
            end else if (keeps_sums || (step_pixels && !pixels_inside)) begin
                out_index <= 0;
                out_first <= 0;
                out_group <= 0;
            end
            next_fetch_ifmap <= step_pixels || step_in || (restart_pixels && several_pixels) ||
                           (step_out && (!dense || (tiles_in != 1 && !keeps_sums)));
            next_fetch_weights <= step_in || step_out || tiles_in != 1 || (tiles_out != 1 && !pixels_inside);
            weight_at <= !step_pixels ? weight_end : pixels_inside ? weight_begin : {AW{1'b0}};
            if (step_out && pixels_inside) weight_begin <= weight_end;
        end
    end

    // The same in the map memory: lines and banks.
    wire [MA-1:0] in_line, out_line;
    wire [BW-1:0] in_bank, out_bank;
    bank_steps #(.BANKS(BANKS), .MA(MA), .BW(BW)) of_inputs (
        .clk(clk), .restart(restart || (move && !ends && !step_in && (!keeps_sums || step_pixels))),
        .step(move && !ends && step_in), .lines(in_tile_lines), .banks(in_tile_banks), .line(in_line),
        .bank(in_bank));
    bank_steps #(.BANKS(BANKS), .MA(MA), .BW(BW)) of_outputs (
        .clk(clk), .restart(restart || (move && !ends && !step_out && (keeps_sums || (step_pixels && !pixels_inside)))),
        .step(move && !ends && step_out), .lines(out_tile_lines), .banks(out_tile_banks), .line(out_line),
        .bank(out_bank));

    wire odd_row, odd_col;
    wire [AW-1:0] row_in, row_out, row_res, col_in, col_out, col_res, col_begin, out_begin, res_begin;
    wire [BEATS-1:0] in_beats, out_beats, res_beats;
    axis #(.AW(AW), .CW(CW)) row_axis (
        .clk(clk), .restart(restart || restart_pixels), .step(next_row_of_tiles), .tiles(tiles_rows),
        .padding(pad_top), .limit(in_height), .tile_extent(in_tile_rows), .full_extent(in_full_rows),
        .last_extent(in_last_rows), .in_begin(in_row_begin), .in_step(in_tile_row_step),
        .out_step(out_tile_row_step), .res_step(res_tile_row_step), .first(rows_first), .last(rows_last),
        .position(next_top), .count(next_ifmap_rows), .odd(odd_row), .in_offset(row_in), .out_offset(row_out),
        .res_offset(row_res));
    axis #(.AW(AW), .CW(CW)) col_axis (
        .clk(clk), .restart(restart || restart_pixels || next_row_of_tiles), .step(axis_step_cols), .tiles(tiles_cols),
        .padding(pad_left), .limit(in_width), .tile_extent(in_tile_cols), .full_extent(in_full_cols),
        .last_extent(in_last_cols), .in_begin(in_col_begin), .in_step(in_tile_col_step),
        .out_step(out_tile_col_step), .res_step(res_tile_col_step), .first(cols_first), .last(cols_last),
        .position(next_left), .count(next_ifmap_cols), .odd(odd_col), .in_offset(col_in), .out_offset(col_out),
        .res_offset(col_res));
    run_words #(.AW(AW), .BEATS(BEATS)) of_input (
        .clk(clk), .offset(col_in), .extent(cols_last ? in_last_extent : in_full_extent), .row_end(in_col_end),
        .begin_at(col_begin), .beats(in_beats));
    run_words #(.AW(AW), .BEATS(BEATS)) of_output (
        .clk(clk), .offset(col_out), .extent(out_tile_col_step), .row_end(out_col_end), .begin_at(out_begin),
        .beats(out_beats));
    run_words #(.AW(AW), .BEATS(BEATS)) of_residual (
        .clk(clk), .offset(col_res), .extent(res_tile_col_step), .row_end(res_col_end), .begin_at(res_begin),
        .beats(res_beats));

    // Commands. Sums of offsets take a cycle each.
    reg [AW-1:0] in_pixel, in_word, out_pixel, out_word, res_pixel, res_word;
    wire [CW-1:0] first_in_word = dense ? in_first : out_first;
    wire [CW-1:0] in_words = dense ? (in_last ? last_in_words : full_in_words) :
                                     (out_last ? last_out_words : full_out_words);
    wire [CW-1:0] stored_words = keeps_sums ? out_run_words : out_last ? last_out_words : full_out_words;
    wire [CW-1:0] result_first = keeps_sums ? {CW{1'b0}} : out_first;
    reg [IA-1:0] place;
    always @(posedge clk) begin
        in_pixel <= (row_in[AW-1] ? {AW{1'b0}} : row_in) + col_begin;
        in_word <= in_pixel + {{AW-CW{1'b0}}, first_in_word} + ifmap_begin;
        out_pixel <= row_out + out_begin;
        out_word <= out_pixel + {{AW-CW{1'b0}}, result_first} + ofmap_begin;
        res_pixel <= row_res + res_begin;
        res_word <= res_pixel + {{AW-CW{1'b0}}, result_first} + residual_begin;
        place <= (rows_first ? in_place_row : {IA{1'b0}}) + (cols_first ? in_place : {IA{1'b0}});
    end
    // In the map memory rows go round a ring; a tile begins at most one turn behind its map's first row.
    ring_line #(.MA(MA)) of_ifmap (
        .clk(clk), .begin_at(ifmap_begin[MA-1:0]), .row(row_in[AW-1] ? {MA{1'b0}} : row_in[MA-1:0]), .ring(map_in_ring),
        .ring_end(map_in_end), .col(col_begin[MA-1:0]), .part(dense ? in_line : out_line), .line(next_ifmap_line));
    ring_line #(.MA(MA)) of_ofmap (
        .clk(clk), .begin_at(ofmap_begin[MA-1:0]), .row(row_out[MA-1:0]), .ring(map_out_ring), .ring_end(map_out_end),
        .col(out_begin[MA-1:0]), .part(keeps_sums ? {MA{1'b0}} : out_line), .line(next_result_line));
    assign ifmap_on_chip = map_in;
    wire [BW-1:0] next_ifmap_bank = dense ? in_bank : out_bank;
    assign ifmap_ring = map_in_ring;
    assign ifmap_ring_end = map_in_end;
    wire [BW-1:0] next_result_bank = keeps_sums ? {BW{1'b0}} : out_bank;
    wire [CW-1:0] next_result_group = keeps_sums ? {CW{1'b0}} : out_group;
    wire [AW-1:0] next_ifmap_word = in_word;
    wire [CW-1:0] next_ifmap_runs = whole_in ? {{CW-1{1'b0}}, 1'b1} : next_ifmap_cols;
    wire [BEATS-1:0] next_ifmap_beats = whole_in ? in_beats : {{BEATS-CW{1'b0}}, in_words};
    wire next_ifmap_empty = next_ifmap_rows == 0 || next_ifmap_cols == 0;
    wire next_ifmap_odd_row = repeated && odd_row;
    wire next_ifmap_odd_col = repeated && odd_col;
    wire [CW-1:0] next_ifmap_words = in_words;
    wire [IA-1:0] next_ifmap_place = place;
    wire [LW-1:0] next_ifmap_lane = cols_first ? in_place_lane : {LW{1'b0}};
    wire [DW-1:0] next_ifmap_phase = cols_first ? in_place_phase : {DW{1'b0}};
    wire next_first_in = in_index == 0;
    wire next_sum_follows = keeps_sums && out_index != 0;
    wire [CW-1:0] next_col_groups = in_last ? col_groups_last : col_groups_full;
    wire [CW-1:0] next_pixel_groups = cols_last ? pixel_groups_last : pixel_groups_full;
    wire [CW-1:0] next_row_groups = out_last ? row_groups_last : row_groups_full;
    wire [CW-1:0] next_rows = rows_last ? last_rows : tile_height;
    wire [CW-1:0] next_cols = cols_last ? last_cols : tile_width;
    wire next_finishes = in_last && (out_last || !keeps_sums);
    wire [AW-1:0] next_result_word = out_word;
    wire [BEATS-1:0] next_result_beats = whole_out ? out_beats : {{BEATS-CW{1'b0}}, stored_words};
    wire [AW-1:0] next_residual_word = res_word;
    wire [BEATS-1:0] next_residual_beats = whole_res ? res_beats : {{BEATS-CW{1'b0}}, stored_words};
    wire [CW-1:0] next_result_words = stored_words;

    // Where the tile lies among the output's rows and columns, for the border classes of a pool.
    reg [CW-1:0] row_at, col_at;
    wire [CW-1:0] next_result_row = row_at;
    wire [CW-1:0] next_result_col = col_at;
    always @(posedge clk) begin
        if (restart || restart_pixels) row_at <= 0;
        else if (next_row_of_tiles) row_at <= row_at + tile_height;
        if (restart || restart_pixels || next_row_of_tiles) col_at <= 0;
        else if (axis_step_cols) col_at <= col_at + tile_width;
    end

    // The commands stand while their slot lasts, and those of the tile behind are made.
    always @(posedge clk)
        if (move)
            {
                fetch_ifmap, fetch_weights, ifmap_word, ifmap_rows, ifmap_runs, ifmap_beats, ifmap_empty,
                ifmap_odd_row, ifmap_odd_col, ifmap_cols, ifmap_words, ifmap_place, ifmap_lane, ifmap_phase,
                ifmap_line, ifmap_bank, weight_offset, weight_beats, first_in, sum_follows, col_groups,
                pixel_groups, row_groups, rows, cols, left, top, finishes, result_word, result_beats,
                residual_word, residual_beats, result_words, result_group, result_line, result_bank, result_row,
                result_col
            } <= {
                next_fetch_ifmap, next_fetch_weights, next_ifmap_word, next_ifmap_rows, next_ifmap_runs,
                next_ifmap_beats, next_ifmap_empty, next_ifmap_odd_row, next_ifmap_odd_col, next_ifmap_cols,
                next_ifmap_words, next_ifmap_place, next_ifmap_lane, next_ifmap_phase, next_ifmap_line,
                next_ifmap_bank, next_weight_offset, next_weight_beats, next_first_in, next_sum_follows,
                next_col_groups, next_pixel_groups, next_row_groups, next_rows, next_cols, next_left, next_top,
                next_finishes, next_result_word, next_result_beats, next_residual_word, next_residual_beats,
                next_result_words, next_result_group, next_result_line, next_result_bank, next_result_row,
                next_result_col
            };
endmodule
