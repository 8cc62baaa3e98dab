// The compute stage: window, ifmap and weight buffers' read ports, operands, PE array, and the banks of sums.
//
// A tile's iterations pass without a pause: the window's addresses, two cycles of memory, two of operands, the array, and the
// bank of the sum. A sum begins at 0 or is read from its bank just before it is written. The store reads the banks through
// the same port, in slots in which sums begin at 0 (`store_reads`).
//
// Handshake: `start` for one cycle with the command, which stays until `done`; `done` is level until the next start.
// Latency: iterations + 11 + LATENCY cycles from start to done, LATENCY as in `pe_array`. `iterations` counts the tile's.
module compute #(
    parameter ROWS = 8,
    parameter COLS = 8,
    parameter PIXELS = 4,
    parameter LANES = 8,
    parameter PACK = 2,
    parameter FIELD = 17,
    parameter CHAIN = 4,
    parameter ACC = 32,
    parameter LATENCY = 9,        // of the PE array
    parameter ZERO_POINT = 0,
    parameter IA = 11,
    parameter WA = 11,
    parameter OA = 9,
    parameter SUM_DEPTH = 512,    // sums of a bank, of all halves
    parameter SUM_STYLE = "block",
    parameter CW = 12,
    parameter KW = 7,
    parameter TW = 3,
    parameter DW = 2,
    parameter RW = 2,
    parameter PW = 3
) (
    input wire clk,
    input wire resetn,
    input wire tap_write,
    input wire tap_half,
    input wire [TW-1:0] tap_index,
    input wire [RW-1:0] tap_rotate,
    input wire [IA-1:0] tap_step,
    // What the layer is.
    input wire channel_wise,
    input wire averages,          // weights of 1
    input wire maximum,           // the greatest value of a window
    input wire four_bit,
    input wire [7:0] pad_value,
    input wire [KW-1:0] kernel_rows,
    input wire [KW-1:0] kernel_cols,
    input wire [IA-1:0] d_row,
    input wire [IA-1:0] d_group,
    input wire [IA-1:0] d_out_row,
    input wire [DW-1:0] stride_rows,
    input wire [DW-1:0] stride_cols,
    input wire [DW-1:0] dilation_rows,
    input wire [DW-1:0] dilation_cols,
    input wire [CW-1:0] x_pixel,
    input wire [CW-1:0] width,
    input wire [CW-1:0] height,
    // The tile.
    input wire start,
    output wire done,
    input wire [CW-1:0] col_groups,
    input wire [CW-1:0] pixel_groups,
    input wire [CW-1:0] rows,
    input wire [CW-1:0] row_groups,
    input wire signed [CW:0] left,
    input wire signed [CW:0] top,
    input wire [IA-1:0] ifmap_base,
    input wire [WA-1:0] weight_base,
    input wire [OA-1:0] sum_base,
    input wire sum_follows,       // sums begin behind those of the tile before, not at sum_base
    input wire zero,              // sums begin at 0
    output wire [OA-1:0] group_sums, // sums of a row group of the tile, for the store
    output reg [31:0] iterations,
    // Read ports of the buffers: data two cycles behind the address.
    output wire [PIXELS*IA-1:0] ifmap_address,
    input wire [PIXELS*COLS*8-1:0] ifmap_data,
    output wire [WA-1:0] weight_address,
    input wire [ROWS*COLS*8-1:0] weight_data,
    // The store's.
    input wire store_reads,
    input wire [OA-1:0] store_address,
    output wire [ROWS*PIXELS*ACC-1:0] store_sums
);
    localparam TO_OPERANDS = 4;

    wire valid, first, last, window_done;
    wire [RW-1:0] rotate, rotate2;
    wire [PIXELS-1:0] lane_on, lane_on2;
    wire [WA-1:0] weight_step;
    wire [PW-1:0] weight_part, line_part, row_part, weight_part2, line_part2, row_part2, row_part_late;
    wire [OA-1:0] sum_address, sum_end, keep_address, write_address;
    reg [OA-1:0] next_sum;
    wire [OA-1:0] first_sum = sum_follows ? next_sum : sum_base;

    window #(
        .PIXELS(PIXELS), .IA(IA), .WA(WA), .OA(OA), .CW(CW), .KW(KW), .TW(TW), .DW(DW), .LINE_PARTS(COLS / LANES),
        .ROW_PARTS(ROWS / LANES), .WEIGHT_PARTS(ROWS * COLS / LANES), .RW(RW), .PW(PW)
    ) addresses (
        .clk(clk), .resetn(resetn), .tap_write(tap_write), .tap_half(tap_half), .tap_index(tap_index), .tap_rotate(tap_rotate),
        .tap_step(tap_step), .start(start), .channel_wise(channel_wise), .kernel_rows(kernel_rows),
        .kernel_cols(kernel_cols), .col_groups(col_groups), .pixel_groups(pixel_groups), .rows(rows),
        .row_groups(row_groups), .d_row(d_row), .d_group(d_group), .d_out_row(d_out_row), .stride_rows(stride_rows),
        .stride_cols(stride_cols), .dilation_rows(dilation_rows), .dilation_cols(dilation_cols), .x_pixel(x_pixel),
        .left(left), .top(top), .width(width), .height(height), .ifmap_base(ifmap_base), .weight_base(weight_base),
        .sum_base(first_sum), .valid(valid), .address(ifmap_address), .rotate(rotate), .lane_on(lane_on),
        .weight_address(weight_step), .weight_part(weight_part), .line_part(line_part), .row_part(row_part),
        .sum_address(sum_address), .first(first), .last(last), .done(window_done), .sum_end(sum_end),
        .group_sums(group_sums));

    // Beside the memories.
    assign weight_address = four_bit ? {1'b0, weight_step[WA-1:1]} : weight_step;
    wire first2, last2, odd_step2;
    delay #(.WIDTH(RW + PIXELS + 3 * PW + 3), .CYCLES(2)) beside_memories (
        .clk(clk),
        .in({rotate, lane_on, weight_part, line_part, row_part, first, last, weight_step[0]}),
        .out({rotate2, lane_on2, weight_part2, line_part2, row_part2, first2, last2, odd_step2}));

    wire [PIXELS*COLS*8-1:0] activations;
    wire [ROWS*COLS*8-1:0] weights;
    operands #(.PIXELS(PIXELS), .COLS(COLS), .RW(RW), .ZERO_POINT(ZERO_POINT)) of_maps (
        .clk(clk), .banks(ifmap_data), .rotate(rotate2), .lane_on(lane_on2), .pad_value(pad_value), .maximum(maximum),
        .first(first2), .activations(activations));
    weight_operands #(.ROWS(ROWS), .COLS(COLS), .LANES(LANES), .PW(PW)) of_weights (
        .clk(clk), .line(weight_data), .four_bit(four_bit), .odd_step(odd_step2), .channel_wise(channel_wise),
        .ones(averages || maximum), .zeros(maximum && !last2), .part(weight_part2), .line_part(line_part2),
        .row_part(row_part2), .weights(weights));

    // The array, and the places of its sums beside it.
    wire first4, last4, valid4;
    wire [ROWS*PIXELS*ACC-1:0] sums, kept;
    wire sum_done;
    delay #(.WIDTH(3), .CYCLES(TO_OPERANDS)) to_array (
        .clk(clk), .in({valid && first, valid && last, valid}), .out({first4, last4, valid4}));
    pe_array #(
        .ROWS(ROWS), .COLS(COLS), .PIXELS(PIXELS), .PACK(PACK), .FIELD(FIELD), .CHAIN(CHAIN), .ACC(ACC),
        .LATENCY(LATENCY)
    ) array (
        .clk(clk), .resetn(resetn), .first(first4), .zero(zero), .last(last4), .weights(weights),
        .activations(activations), .kept(kept), .sums(sums), .done(sum_done));
    delay #(.WIDTH(OA), .CYCLES(TO_OPERANDS + LATENCY - 3)) to_keep (
        .clk(clk), .in(sum_address), .out(keep_address));
    delay #(.WIDTH(OA), .CYCLES(3)) to_write (.clk(clk), .in(keep_address), .out(write_address));
    delay #(.WIDTH(PW), .CYCLES(TO_OPERANDS + LATENCY - 2)) part_to_write (
        .clk(clk), .in(row_part2), .out(row_part_late));

    wire [OA-1:0] read_address = store_reads ? store_address : keep_address;
    assign store_sums = kept;
    genvar row, pixel;
    generate
        for (row = 0; row < ROWS; row = row + 1) begin : rows_of_banks
            wire here = !channel_wise || {{32-PW{1'b0}}, row_part_late} == row / LANES;
            for (pixel = 0; pixel < PIXELS; pixel = pixel + 1) begin : banks
                localparam AT = (row * PIXELS + pixel) * ACC;
                bank #(.DEPTH(SUM_DEPTH), .WIDTH(ACC), .ADDRESS(OA), .STYLE(SUM_STYLE)) sum_bank (
                    .clk(clk), .write(sum_done && here), .write_address(write_address), .write_data(sums[AT+:ACC]),
                    .read_address(read_address), .read_data(kept[AT+:ACC]));
            end
        end
    endgenerate

    // The end: the last iteration's sums are written LATENCY + 4 cycles behind its addresses.
    wire finished;
    reg running;
    delay #(.WIDTH(1), .CYCLES(TO_OPERANDS + LATENCY + 1)) to_end (.clk(clk), .in(window_done), .out(finished));
    assign done = !running;
    always @(posedge clk) begin
        if (!resetn) running <= 1'b0;
        else if (start) running <= 1'b1;
        else if (finished) running <= 1'b0;
        if (start) iterations <= 32'd0;
        else iterations <= iterations + {31'd0, valid4};
        if (window_done) next_sum <= sum_end;
    end
endmodule
