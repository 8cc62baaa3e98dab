// The store: takes results from the banks of sums, post-processes a memory word a cycle, and hands it to the write engine.
//
// Results leave row by row, column by column, the channel words of a column together. The sums of a row group lie one behind
// the other, pixel group by pixel group; `group_sums` addresses further lie those of the next row group. The parameters of a
// word lie in the line of its channels; those of an average pool in the line of its border class, for all channels.
//
// Handshake: `start` for one cycle with the command, which stays until `done`; `done` is level until the next start. A word is
// issued only where the write engine has room for it. Latency: 17 cycles from the banks' address to the word.
module store #(
    parameter ROWS = 8,
    parameter PIXELS = 4,
    parameter LANES = 8,          // bytes of a memory word
    parameter ACC = 32,
    parameter OA = 9,
    parameter PA = 8,
    parameter PARAMETER_DEPTH = 256,
    parameter PARAMETER_STYLE = "block",
    parameter RA = 11,            // bits of an address in the residual buffer
    parameter CW = 12,
    parameter LW = 2,
    parameter ROOM = 64,          // words that the write engine takes in
    parameter EDGES = 1           // whether average pools have border classes
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
    // The tile.
    input wire start,
    output wire done,
    input wire [CW-1:0] rows,
    input wire [CW-1:0] cols,
    input wire [CW-1:0] words,
    input wire [CW-1:0] first_word,
    input wire [CW-1:0] first_row,
    input wire [CW-1:0] first_col,
    input wire [OA-1:0] sum_base,
    input wire [OA-1:0] group_sums,
    input wire [RA-1:0] residual_base,
    output reg [31:0] count,
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
    input wire [8*LANES-1:0] residual_data,
    output wire out_valid,
    output wire [8*LANES-1:0] out_data,
    input wire taken,             // the write engine passed a word on
    input wire borrowed           // somebody else gave it one
);
    localparam WORDS = ROWS / LANES;
    localparam GW = WORDS > 1 ? $clog2(WORDS) : 1;
    localparam CREDITS = $clog2(ROOM) + 1;
    localparam TO_RESIDUAL = 6;   // cycles from a word's address in the banks to its address in the residual buffer
    localparam TO_OUT = 17;

    // Words in order. One adder makes the next address: of the next row group, or of the next pixel group.
    reg running;
    reg [CREDITS-1:0] credits;
    reg [CW-1:0] word, col, row, last_word_at, last_col_at, last_row_at;
    reg [GW-1:0] part;
    reg [LW-1:0] lane;
    reg [OA-1:0] at, pixel_at;
    reg [PA-1:0] line;
    wire issue = running && credits != 0;
    wire last_word = word == last_word_at;
    wire last_col = col == last_col_at;
    wire last_row = row == last_row_at;
    wire last_part = WORDS == 1 || {{32-GW{1'b0}}, part} == WORDS - 1;
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
            credits <= credits - {{CREDITS-1{1'b0}}, issue} - {{CREDITS-1{1'b0}}, borrowed} +
                       {{CREDITS-1{1'b0}}, taken};
        end
        if (start) begin
            last_word_at <= words - 1'b1;
            last_col_at <= cols - 1'b1;
            last_row_at <= rows - 1'b1;
            word <= 0;
            col <= 0;
            row <= 0;
            part <= 0;
            lane <= 0;
            at <= sum_base;
            pixel_at <= sum_base;
            line <= first_word[PA-1:0];
            count <= 32'd0;
        end else if (issue) begin
            count <= count + 32'd1;
            at <= next_at;
            word <= last_word ? {CW{1'b0}} : word + 1'b1;
            part <= last_word || last_part ? {GW{1'b0}} : part + 1'b1;
            line <= last_word ? first_word[PA-1:0] : line + 1'b1;
            if (last_word) begin
                pixel_at <= next_at;
                col <= last_col ? {CW{1'b0}} : col + 1'b1;
                lane <= next_group ? {LW{1'b0}} : lane + 1'b1;
                if (last_col) row <= row + 1'b1;
            end
        end
    end
    /* verilator lint_off UNUSED */
    wire [CW-1:0] unused_line = first_word;   // lines of channels beyond PARAMETER_DEPTH are refused before the start
    /* verilator lint_on UNUSED */

    // Border classes: the start waits two cycles for them.
    reg [1:0] starting;
    wire [PA-1:0] parameters_at;
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
            assign parameters_at = averages ? class_line[PA-1:0] : line;
        end else begin : no_border
            assign parameters_at = averages ? {PA{1'b0}} : line;
            wire unused = &{edges, out_height, out_width, first_row, first_col, next_row};
        end
    endgenerate

    // Beside the pipeline: parameters two cycles behind the sums' address, the residual six, the word seventeen.
    wire [PA-1:0] parameters_late;
    wire [LW-1:0] lane_late;
    wire [GW-1:0] part_late;
    wire valid_residual, valid_out;
    delay #(.WIDTH(PA + LW), .CYCLES(2)) to_pick (
        .clk(clk), .in({parameters_at, lane}), .out({parameters_late, lane_late}));
    delay #(.WIDTH(GW), .CYCLES(3)) to_word (.clk(clk), .in(part), .out(part_late));
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
    assign out_valid = valid_out && resetn;
    assign done = !running && starting == 0 && flying == 0;

    wire [LANES*ACC-1:0] sums;
    pick #(.ROWS(ROWS), .PIXELS(PIXELS), .LANES(LANES), .ACC(ACC), .LW(LW), .GW(GW)) of_line (
        .clk(clk), .line(sum_line), .pixel(lane_late), .word(part_late), .sums(sums));

    genvar l;
    generate
        for (l = 0; l < LANES; l = l + 1) begin : lanes
            wire [55:0] parameters;
            bank #(.DEPTH(PARAMETER_DEPTH), .WIDTH(56), .ADDRESS(PA), .STYLE(PARAMETER_STYLE)) parameter_bank (
                .clk(clk), .write(parameter_write[l]), .write_address(parameter_line), .write_data(parameter_data),
                .read_address(parameters_late), .read_data(parameters));
            /* verilator lint_off UNUSED */
            wire [2:0] unused = parameters[55:53];   // a code has 5 bits
            /* verilator lint_on UNUSED */
            requant #(.ACC(ACC)) requantiser (
                .clk(clk), .sum(sums[l*ACC+:ACC]), .bias(parameters[31:0]), .multiplier(parameters[47:32]),
                .code(parameters[52:48]), .residual(residual_data[8*l+:8]),
                .residual_multiplier({1'b0, residual_multiplier}), .add_before(residual == 2'd1),
                .add_after(residual == 2'd2), .table_write(table_write), .table_address(table_address),
                .table_data(table_data), .out(out_data[8*l+:8]));
        end
    endgenerate
endmodule
