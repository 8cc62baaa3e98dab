// The store: takes results from the banks of sums, post-processes them and hands them on: to the write engine a memory word a
// cycle, or to the map memory (`on_chip`) a line of all rows a cycle.
//
// Results leave row by row, column by column, the channel words of a column together. The sums of a row group lie one behind
// the other, pixel group by pixel group; `group_sums` addresses further lie those of the next row group. Parameters lie in
// lines of LANES channels, those of an average pool in the line of the border class, for all channels. With a map memory there is a
// lane for each row of the array, and of their results one word goes to memory.
//
// Handshake: `start` for one cycle with the command, which stays until `done`; `done` is level until the next start. A word is
// issued only where the write engine has room for it. Latency: 17 cycles from the banks' address to the word or line.
module store #(
    parameter ROWS = 8,
    parameter PIXELS = 4,
    parameter BYTES = 8,          // of a memory word
    parameter LANES = 8,          // of post-processing: BYTES, or ROWS with a map memory
    parameter ACC = 32,
    parameter OA = 9,
    parameter PA = 9,             // bits of a line of parameters; the top one says in which half
    parameter PARAMETER_STYLE = "block",
    parameter RA = 11,            // bits of an address in the residual buffer
    parameter CW = 12,
    parameter LW = 2,
    parameter ROOM = 64,          // words that the write engine takes in
    parameter EDGES = 1,          // whether average pools have border classes
    parameter MAPS = 0,           // whether there is a map memory
    parameter BANKS = 1,          // of it
    parameter MA = 1,
    parameter BW = 1
) (
    input wire clk,
    input wire resetn,
    // The layer.
    input wire averages,
    input wire [1:0] residual,    // 1: added before the activation table, 2: behind it
    input wire [23:0] residual_multiplier,
    input wire [18:0] edges,      // rows above, below, columns left, right; bits that the class of a row is shifted by
    input wire [CW-1:0] out_height,
    input wire [CW-1:0] out_width,
    input wire on_chip,
    input wire [MA-1:0] col_step, // of the map memory, in lines
    input wire [MA-1:0] row_step,
    input wire [MA-1:0] ring,
    input wire [MA-1:0] ring_end,
    input wire parameter_half,
    // The tile.
    input wire start,
    output wire done,
    input wire [CW-1:0] rows,
    input wire [CW-1:0] cols,
    input wire [CW-1:0] words,
    input wire [CW-1:0] first_group, // its first line of parameters
    input wire [MA-1:0] first_line,
    input wire [BW-1:0] first_bank,
    input wire [CW-1:0] first_row,
    input wire [CW-1:0] first_col,
    input wire [OA-1:0] sum_base,
    input wire [OA-1:0] group_sums,
    input wire [RA-1:0] residual_base,
    output reg [31:0] count,      // words, or lines
    // Parameters and table, as they are loaded.
    input wire [LANES-1:0] parameter_write,
    input wire [PA-1:0] parameter_line,
    input wire [55:0] parameter_data,
    input wire table_write,
    input wire [7:0] table_address,
    input wire [7:0] table_data,
    // Banks of sums, and the residual buffer: data two cycles behind the address.
    output wire [OA-1:0] sum_address,
    input wire [ROWS*PIXELS*ACC-1:0] sum_line,
    output wire [RA-1:0] residual_address,
    input wire [8*BYTES-1:0] residual_data,
    output wire out_valid,
    output wire [8*BYTES-1:0] out_data,
    output wire map_valid,
    output wire [ROWS/BYTES-1:0] map_words, // of a line that are there
    output wire [MA-1:0] map_line,
    output wire [BW-1:0] map_bank,
    output wire [8*ROWS-1:0] map_data,
    input wire taken,             // the write engine passed a word on
    input wire borrowed           // somebody else gave it one
);
    localparam WORDS = ROWS / BYTES;
    localparam GW = WORDS > 1 ? $clog2(WORDS) : 1;
    localparam CREDITS = $clog2(ROOM) + 1;
    localparam TO_RESIDUAL = 6;   // cycles from a word's address in the banks to its address in the residual buffer
    localparam TO_OUT = 17;

    // Words in order. One adder makes the next address: of the next row group, or of the next pixel group.
    reg running;
    reg [CREDITS-1:0] credits;
    reg [CW-1:0] words_left, all_words, col, row, last_col_at, last_row_at;
    reg [GW-1:0] part;
    reg [LW-1:0] lane;
    reg [OA-1:0] at, pixel_at;
    reg [PA-2:0] line, all_line;
    wire lines = MAPS != 0 && on_chip;
    wire issue = running && (lines || credits != 0);
    wire to_memory = issue && !lines;
    wire [CW-1:0] step = lines ? WORDS[CW-1:0] : {{CW-1{1'b0}}, 1'b1};
    wire last_word = words_left <= step;
    wire last_col = col == last_col_at;
    wire last_row = row == last_row_at;
    wire last_part = WORDS == 1 || lines || {{32-GW{1'b0}}, part} == WORDS - 1;
    wire next_line = LANES == BYTES || last_part;
    wire last_lane = PIXELS == 1 || {{32-LW{1'b0}}, lane} == PIXELS - 1;
    wire next_group = last_col || last_lane;
    wire [OA-1:0] next_at = (last_word ? pixel_at : at) +
                            (!last_word ? (last_part ? group_sums : {OA{1'b0}}) : {{OA-1{1'b0}}, next_group});
    wire next_col = issue && last_word;
    wire next_row = next_col && last_col;
    wire ends = next_row && last_row;

    always @(posedge clk) begin
        if (!resetn) begin
            running <= 1'b0;
            credits <= ROOM[CREDITS-1:0];
        end else begin
            running <= starting[1] || (running && !ends);
            credits <= credits - {{CREDITS-1{1'b0}}, to_memory} - {{CREDITS-1{1'b0}}, borrowed} +
                       {{CREDITS-1{1'b0}}, taken};
        end
        if (start) begin
            all_words <= words;
            words_left <= words;
            last_col_at <= cols - 1'b1;
            last_row_at <= rows - 1'b1;
            col <= 0;
            row <= 0;
            part <= 0;
            lane <= 0;
            at <= sum_base;
            pixel_at <= sum_base;
            line <= first_group[PA-2:0];
            all_line <= first_group[PA-2:0];
            count <= 32'd0;
        end else if (issue) begin
            count <= count + 32'd1;
            at <= next_at;
            words_left <= last_word ? all_words : words_left - step;
            part <= last_word || last_part ? {GW{1'b0}} : part + 1'b1;
            line <= last_word ? all_line : line + {{PA-2{1'b0}}, next_line};
            if (last_word) begin
                pixel_at <= next_at;
                col <= last_col ? {CW{1'b0}} : col + 1'b1;
                lane <= next_group ? {LW{1'b0}} : lane + 1'b1;
                if (last_col) row <= row + 1'b1;
            end
        end
    end
    /* verilator lint_off UNUSED */
    wire [CW-1:0] unused_line = first_group;  // lines of channels beyond PARAMETER_DEPTH are refused before the start
    /* verilator lint_on UNUSED */

    // Border classes: the start waits two cycles for them.
    reg [1:0] starting;
    wire [PA-2:0] line_at;
    wire [PA-1:0] parameters_at = {parameter_half, line_at};
    always @(posedge clk) starting <= resetn ? {starting[0], start} : 2'd0;
    generate
        if (EDGES != 0) begin : border
            wire [3:0] row_class, col_class;
            border_class #(.CW(CW)) of_row (
                .clk(clk), .start(start), .step(next_row), .again(1'b0), .from(first_row), .extent(out_height), .low(edges[3:0]),
                .high(edges[7:4]), .number(row_class));
            border_class #(.CW(CW)) of_col (
                .clk(clk), .start(start), .step(next_col && !last_col), .again(next_row), .from(first_col),
                .extent(out_width), .low(edges[11:8]), .high(edges[15:12]), .number(col_class));
            /* verilator lint_off UNUSED */
            wire [10:0] class_line = ({7'd0, row_class} << edges[18:16]) + {7'd0, col_class};
            /* verilator lint_on UNUSED */
            assign line_at = averages ? class_line[PA-2:0] : line;
        end else begin : no_border
            assign line_at = averages ? {PA-1{1'b0}} : line;
            wire unused = &{edges, out_height, out_width, first_row, first_col, next_row};
        end
    endgenerate

    // Beside the pipeline: parameters two cycles behind the sums' address, the residual six, the word seventeen.
    wire [PA-1:0] parameters_late;
    wire [LW-1:0] lane_late;
    wire [GW-1:0] part_late, part_out;
    wire valid_residual, valid_out;
    delay #(.WIDTH(PA + LW), .CYCLES(2)) to_pick (
        .clk(clk), .in({parameters_at, lane}), .out({parameters_late, lane_late}));
    delay #(.WIDTH(GW), .CYCLES(3)) to_word (.clk(clk), .in(part), .out(part_late));
    delay #(.WIDTH(GW), .CYCLES(TO_OUT - 3)) to_part (.clk(clk), .in(part_late), .out(part_out));
    delay #(.WIDTH(1), .CYCLES(TO_RESIDUAL)) to_residual (.clk(clk), .in(issue), .out(valid_residual));
    delay #(.WIDTH(1), .CYCLES(TO_OUT - TO_RESIDUAL)) to_out (.clk(clk), .in(valid_residual), .out(valid_out));

    reg [RA-1:0] residual_at;
    reg [4:0] flying;             // words issued that have not left
    always @(posedge clk) begin
        if (start) residual_at <= residual_base;
        else if (valid_residual) residual_at <= residual_at + 1'b1;
        if (!resetn) flying <= 5'd0;
        else flying <= flying + {4'd0, issue} - {4'd0, valid_out};
    end
    assign sum_address = at;
    assign residual_address = residual_at;
    assign out_valid = valid_out && !lines && resetn;
    assign done = !running && starting == 0 && flying == 0;

    // Of the results the word that goes to memory, or their line's place in the map memory.
    wire [8*LANES-1:0] results;
    generate
        if (MAPS != 0) begin : maps
            wire [(1<<GW)*8*BYTES-1:0] choices;
            assign choices[8*ROWS-1:0] = results;
            if ((1 << GW) > WORDS) begin : beyond
                assign choices[(1<<GW)*8*BYTES-1:8*ROWS] = 0;
            end
            assign out_data = choices[part_out*8*BYTES+:8*BYTES];
            wire [MA-1:0] at_line;
            wire [BW-1:0] at_bank;
            map_place #(.BANKS(BANKS), .WORDS(WORDS), .MA(MA), .BW(BW)) place (
                .clk(clk), .start(start), .line(first_line), .bank(first_bank), .step(issue), .last_word(last_word),
                .last_col(last_col), .col_step(col_step), .row_step(row_step), .ring(ring), .ring_end(ring_end),
                .at(at_line), .at_bank(at_bank));
            wire [WORDS-1:0] there;
            genvar t;
            for (t = 0; t < WORDS; t = t + 1) begin : words_there
                assign there[t] = {{32-CW{1'b0}}, words_left} > t;
            end
            delay #(.WIDTH(WORDS + MA + BW), .CYCLES(TO_OUT)) to_map (
                .clk(clk), .in({there, at_line, at_bank}), .out({map_words, map_line, map_bank}));
            assign map_valid = valid_out && lines && resetn;
            assign map_data = results;
        end else begin : no_maps
            assign out_data = results;
            assign map_valid = 1'b0;
            assign map_words = {WORDS{1'b0}};
            assign map_line = {MA{1'b0}};
            assign map_bank = {BW{1'b0}};
            assign map_data = {8*ROWS{1'b0}};
            wire unused = &{on_chip, col_step, row_step, ring, ring_end, first_line, first_bank, part_out};
        end
    endgenerate

    localparam LINE_WORDS = ROWS / LANES;
    wire [LANES*ACC-1:0] sums;
    pick #(.ROWS(ROWS), .PIXELS(PIXELS), .LANES(LANES), .ACC(ACC), .LW(LW), .GW(GW)) of_line (
        .clk(clk), .line(sum_line), .pixel(lane_late), .word(LINE_WORDS == 1 ? {GW{1'b0}} : part_late), .sums(sums));

    genvar l;
    generate
        for (l = 0; l < LANES; l = l + 1) begin : lanes
            wire [55:0] parameters;
            bank #(.DEPTH(1 << PA), .WIDTH(56), .ADDRESS(PA), .STYLE(PARAMETER_STYLE)) parameter_bank (
                .clk(clk), .write(parameter_write[l]), .write_address(parameter_line), .write_data(parameter_data),
                .read_address(parameters_late), .read_data(parameters));
            /* verilator lint_off UNUSED */
            wire [2:0] unused = parameters[55:53];   // a code has 5 bits
            /* verilator lint_on UNUSED */
            requant #(.ACC(ACC)) requantiser (
                .clk(clk), .sum(sums[l*ACC+:ACC]), .bias(parameters[31:0]), .multiplier(parameters[47:32]),
                .code(parameters[52:48]), .residual(residual_data[l%BYTES*8+:8]),
                .residual_multiplier({1'b0, residual_multiplier}), .add_before(residual == 2'd1),
                .add_after(residual == 2'd2), .table_write(table_write), .table_address(table_address),
                .table_data(table_data), .out(results[8*l+:8]));
        end
    endgenerate
endmodule
