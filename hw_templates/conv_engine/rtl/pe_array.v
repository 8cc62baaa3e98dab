// ROWS x COLS x PIXELS int8 products a cycle, added up over the columns and over the iterations of a sum.
//
// Columns stand in chains of CHAIN slices, whose column c works c cycles later; trees add the chains. An accumulator a row
// and pixel begins at 0 (`zero`) or at the sum that was kept, in the first iteration of a sum, and goes on from itself in the
// others. Weights are -127..127 where two share a slice in one chain, which holds for packed dense layers; on the diagonal a
// weight may be -128.
//
// Latency: LATENCY = 4 + CHAIN + ceil(log2(COLS / CHAIN)) cycles from operands to sums, which `done` announces behind a
// sum's last iteration; `kept` is read one cycle earlier.
module pe_array #(
    parameter ROWS = 8,
    parameter COLS = 8,
    parameter PIXELS = 4,
    parameter PACK = 2,
    parameter FIELD = 17,
    parameter CHAIN = 4,          // divides COLS; at most 4 with FIELD 17, 8 with FIELD 18
    parameter ACC = 32,
    parameter LATENCY = 9
) (
    input wire clk,
    input wire resetn,
    input wire first,             // iteration of a sum
    input wire zero,
    input wire last,
    input wire [ROWS*COLS*8-1:0] weights,
    input wire [PIXELS*COLS*8-1:0] activations,
    input wire [ROWS*PIXELS*ACC-1:0] kept,
    output wire [ROWS*PIXELS*ACC-1:0] sums,
    output wire done
);
    localparam CHAINS = COLS / CHAIN;
    localparam LEVELS = $clog2(CHAINS);
    localparam PART = PACK == 2 ? FIELD : 16 + $clog2(CHAIN);    // bits of a chain's sum
    localparam TOTAL = PART + LEVELS;

    wire [ROWS*COLS*8-1:0] skewed_weights;
    wire [PIXELS*COLS*8-1:0] skewed_activations;
    reg [LATENCY-1:0] firsts, zeros, lasts;
    wire first_now = firsts[LATENCY-2];
    wire zero_now = zeros[LATENCY-2];
    assign done = lasts[LATENCY-1];

    always @(posedge clk) begin
        firsts <= {firsts[LATENCY-2:0], first};
        zeros <= {zeros[LATENCY-2:0], zero};
        lasts <= resetn ? {lasts[LATENCY-2:0], last} : {LATENCY{1'b0}};
    end

    genvar row, col, pixel, chain, half;
    generate
        for (col = 0; col < COLS; col = col + 1) begin : skew
            for (row = 0; row < ROWS; row = row + 1) begin : of_weights
                delay #(.WIDTH(8), .CYCLES(col % CHAIN)) skewed (
                    .clk(clk), .in(weights[(row*COLS+col)*8+:8]), .out(skewed_weights[(row*COLS+col)*8+:8]));
            end
            for (pixel = 0; pixel < PIXELS; pixel = pixel + 1) begin : of_activations
                delay #(.WIDTH(8), .CYCLES(col % CHAIN)) skewed (
                    .clk(clk), .in(activations[(pixel*COLS+col)*8+:8]),
                    .out(skewed_activations[(pixel*COLS+col)*8+:8]));
            end
        end
        for (row = 0; row < ROWS; row = row + PACK) begin : rows
            for (pixel = 0; pixel < PIXELS; pixel = pixel + 1) begin : pixels
                wire [PACK*CHAINS*PART-1:0] parts;
                for (chain = 0; chain < CHAINS; chain = chain + 1) begin : chains
                    wire [48*(CHAIN+1)-1:0] cascade;
                    assign cascade[47:0] = 48'd0;
                    for (col = 0; col < CHAIN; col = col + 1) begin : slices
                        localparam AT = (row * COLS + chain * CHAIN + col) * 8;
                        localparam ABOVE = ((row + PACK - 1) * COLS + chain * CHAIN + col) * 8;
                        dsp_slice #(.PACK(PACK), .FIELD(FIELD), .FIRST(col == 0)) slice (
                            .clk(clk), .low(skewed_weights[AT+:8]), .high(skewed_weights[ABOVE+:8]),
                            .x(skewed_activations[(pixel*COLS+chain*CHAIN+col)*8+:8]),
                            .pcin(cascade[48*col+:48]), .p(cascade[48*(col+1)+:48]));
                    end
                    /* verilator lint_off UNUSED */
                    wire [47:0] end_of_chain = cascade[48*CHAIN+:48];
                    /* verilator lint_on UNUSED */
                    if (PACK == 2) begin : two
                        assign parts[chain*PART+:PART] = {!end_of_chain[FIELD-1], end_of_chain[FIELD-2:0]};
                        assign parts[(CHAINS+chain)*PART+:PART] = end_of_chain[2*FIELD-1:FIELD];
                    end else begin : one
                        assign parts[chain*PART+:PART] = end_of_chain[PART-1:0];
                    end
                end
                for (half = 0; half < PACK; half = half + 1) begin : halves
                    localparam AT = ((row + half) * PIXELS + pixel) * ACC;
                    wire signed [TOTAL-1:0] total;
                    reg signed [ACC-1:0] sum;
                    wire signed [ACC-1:0] base = !first_now ? sum : zero_now ? {ACC{1'b0}} : kept[AT+:ACC];
                    wire signed [ACC-1:0] wide_total = {{ACC-TOTAL{total[TOTAL-1]}}, total};
                    adder_tree #(.COUNT(CHAINS), .IN(PART), .OUT(TOTAL)) tree (
                        .clk(clk), .in(parts[half*CHAINS*PART+:CHAINS*PART]), .sum(total));
                    always @(posedge clk) sum <= base + wide_total;
                    assign sums[AT+:ACC] = sum;
                end
            end
        end
    endgenerate
endmodule
