// Makes the weights of an iteration from a line of the weight buffer.
//
// Dense: the line as it lies; of 4-bit weights byte i holds weight i of an even step in its lower half, and of the odd step
// behind it in its upper half. Channel-wise: the array's diagonal works. Of the line's groups of LANES weights the one named
// by `part` counts; weight l of it stands where row and column are l in the parts row_part and line_part, and all others are
// 0. `ones` puts 1 in place of the group (average pools, and the last iteration of a maximum), `zeros` 0 (the others).
// Latency: two cycles.
module weight_operands #(
    parameter ROWS = 8,
    parameter COLS = 8,
    parameter LANES = 8,          // channel-wise channels of an iteration: divides ROWS and COLS
    parameter PW = 3              // bits of a part
) (
    input wire clk,
    input wire [ROWS*COLS*8-1:0] line,
    input wire four_bit,
    input wire odd_step,
    input wire channel_wise,
    input wire ones,
    input wire zeros,
    input wire [PW-1:0] part,
    input wire [PW-1:0] line_part,
    input wire [PW-1:0] row_part,
    output reg [ROWS*COLS*8-1:0] weights
);
    localparam PARTS = ROWS * COLS / LANES;
    localparam GROUP = LANES * 8;

    wire [(1<<PW)*GROUP-1:0] groups;
    reg [GROUP-1:0] group;
    reg [ROWS*COLS*8-1:0] unpacked;
    reg channel_wise1, four_bit1, odd1, ones1, zeros1;
    reg [PW-1:0] line_part1, row_part1;
    wire [GROUP-1:0] channel_weights;

    function [7:0] half(input [7:0] both, input upper);
        half = upper ? {{4{both[7]}}, both[7:4]} : {{4{both[3]}}, both[3:0]};
    endfunction

    assign groups[PARTS*GROUP-1:0] = line;
    generate
        if ((1 << PW) > PARTS) begin : beyond
            assign groups[(1<<PW)*GROUP-1:PARTS*GROUP] = 0;
        end
    endgenerate

    always @(posedge clk) begin
        group <= groups[part*GROUP+:GROUP];
        channel_wise1 <= channel_wise;
        four_bit1 <= four_bit;
        odd1 <= odd_step;
        ones1 <= ones;
        zeros1 <= zeros;
        line_part1 <= line_part;
        row_part1 <= row_part;
    end

    genvar row, col, lane;
    generate
        for (lane = 0; lane < LANES; lane = lane + 1) begin : lanes
            wire [7:0] both = group[lane*8+:8];
            assign channel_weights[lane*8+:8] = zeros1 ? 8'd0 : ones1 ? 8'd1 : four_bit1 ? half(both, odd1) : both;
        end
        for (row = 0; row < ROWS; row = row + 1) begin : rows
            for (col = 0; col < COLS; col = col + 1) begin : cols
                localparam AT = (row * COLS + col) * 8;
                wire [7:0] both = line[AT+:8];
                always @(posedge clk) unpacked[AT+:8] <= four_bit ? half(both, odd_step) : both;
                if (row % LANES == col % LANES) begin : diagonal
                    wire here = {{32-PW{1'b0}}, row_part1} == row / LANES && {{32-PW{1'b0}}, line_part1} == col / LANES;
                    always @(posedge clk) begin
                        weights[AT+:8] <= !channel_wise1 ? unpacked[AT+:8] :
                                          here ? channel_weights[(row%LANES)*8+:8] : 8'd0;
                    end
                end else begin : elsewhere
                    always @(posedge clk) weights[AT+:8] <= channel_wise1 ? 8'd0 : unpacked[AT+:8];
                end
            end
        end
    endgenerate
endmodule
