// Where a tile's channels begin in the lines and banks of the map memory: steps of whole lines and some banks, with a carry.
//
// `restart` goes to the first tile, `step` to the next. Latency: one cycle.
module bank_steps #(
    parameter BANKS = 2,
    parameter MA = 11,
    parameter BW = 1
) (
    input wire clk,
    input wire restart,
    input wire step,
    input wire [MA-1:0] lines,    // from tile to tile
    input wire [BW-1:0] banks,
    output reg [MA-1:0] line,
    output reg [BW-1:0] bank
);
    wire [BW:0] ahead = {1'b0, bank} + {1'b0, banks};
    wire over = ahead >= BANKS[BW:0];
    /* verilator lint_off UNUSED */
    wire [BW:0] wrapped = ahead - BANKS[BW:0];
    /* verilator lint_on UNUSED */

    always @(posedge clk) begin
        if (restart) begin
            line <= 0;
            bank <= 0;
        end else if (step) begin
            line <= line + lines + {{MA-1{1'b0}}, over};
            bank <= over ? wrapped[BW-1:0] : ahead[BW-1:0];
        end
    end
endmodule
