// The class of a row (column) of an average pool's result: its first `low` and last `high` ones are classes of their own,
// those between are one. `start` begins at `from`, `step` goes on by one. Latency: one cycle from step, two from start.
module border_class #(
    parameter CW = 12
) (
    input wire clk,
    input wire start,
    input wire step,
    input wire [CW-1:0] from,
    input wire [CW-1:0] extent,   // rows (columns) of the result
    input wire [3:0] low,
    input wire [3:0] high,
    output reg [3:0] number
);
    reg [CW-1:0] at, high_from, beyond;
    reg [1:0] starting;
    wire [CW-1:0] wide_low = {{CW-4{1'b0}}, low};
    wire [CW-1:0] next = at + 1'b1;

    /* verilator lint_off UNUSED */
    wire [CW-1:0] behind = wide_low + beyond;   // a class has 4 bits
    /* verilator lint_on UNUSED */

    always @(posedge clk) begin
        high_from <= extent - {{CW-4{1'b0}}, high};
        starting <= {starting[0], start};
        if (start) begin
            at <= from;
            beyond <= from - high_from + 1'b1;
        end else if (step) begin
            at <= next;
        end
        if (starting[0]) number <= at <= wide_low ? at[3:0] : at < high_from ? low : behind[3:0];
        else if (step && (at < wide_low || next >= high_from)) number <= number + 1'b1;
    end
    wire unused = starting[1];
endmodule
