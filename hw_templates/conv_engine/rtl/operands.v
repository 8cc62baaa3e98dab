// Turns banks of the ifmap buffer onto pixel lanes, puts the padding into lanes outside the map, and takes maxima.
//
// Lane l takes bank (l + rotate) mod PIXELS. A lane that is off reads 0, in a max pool -128, and with ZERO_POINT what
// pad_value says. In a max pool (`maximum`) the last iteration of a sum carries the greatest value of all its iterations.
// Latency: two cycles from the banks, their rotation and their lanes to the activations.
module operands #(
    parameter PIXELS = 4,
    parameter COLS = 8,           // channels of a line
    parameter RW = 2,             // bits of a rotation
    parameter ZERO_POINT = 0      // whether maps may be padded with other values than 0
) (
    input wire clk,
    input wire [PIXELS*COLS*8-1:0] banks,
    input wire [RW-1:0] rotate,
    input wire [PIXELS-1:0] lane_on,
    input wire [7:0] pad_value,
    input wire maximum,
    input wire first,             // iteration of a sum
    output wire [PIXELS*COLS*8-1:0] activations
);
    localparam LINE = COLS * 8;

    wire [7:0] padding = ZERO_POINT != 0 ? pad_value : {maximum, 7'd0};
    reg first1;
    always @(posedge clk) first1 <= first;

    /* verilator lint_off UNUSED */
    wire unused = &pad_value;     // without ZERO_POINT
    /* verilator lint_on UNUSED */

    genvar lane, turn, channel;
    generate
        for (lane = 0; lane < PIXELS; lane = lane + 1) begin : lanes
            wire [(1<<RW)*LINE-1:0] choices;
            for (turn = 0; turn < (1 << RW); turn = turn + 1) begin : turns
                assign choices[turn*LINE+:LINE] = banks[((lane + turn) % PIXELS)*LINE+:LINE];
            end
            reg [LINE-1:0] line;
            always @(posedge clk) line <= lane_on[lane] ? choices[rotate*LINE+:LINE] : {COLS{padding}};
            for (channel = 0; channel < COLS; channel = channel + 1) begin : channels
                wire signed [7:0] value = line[channel*8+:8];
                reg signed [7:0] kept;
                always @(posedge clk) if (!maximum || first1 || value > kept) kept <= value;
                assign activations[lane*LINE+channel*8+:8] = kept;
            end
        end
    endgenerate
endmodule
