// The class of a row (column) of an average pool's result: its first `low` and last `high` ones are classes of their own,
// those between are one. `start` begins at `from`, `step` goes on by one, `again` returns to where it began.
// Latency: one cycle from step and again, two from start.
module border_class #(
    parameter CW = 12
) (
    input wire clk,
    input wire start,
    input wire step,
    input wire again,
    input wire [CW-1:0] from,
    input wire [CW-1:0] extent,   // rows (columns) of the result; there a cycle before start
    input wire [3:0] low,
    input wire [3:0] high,
    output reg [3:0] number
);
    reg [CW-1:0] at, high_from, beyond;
    reg [3:0] first_number;
    reg starting;
    wire [CW-1:0] wide_low = {{CW-4{1'b0}}, low};
    wire [CW-1:0] next = at + 1'b1;

    /* verilator lint_off UNUSED */
    wire [CW-1:0] behind = wide_low + beyond;   // a class has 4 bits
    /* verilator lint_on UNUSED */
    wire [3:0] class_at_start = at <= wide_low ? at[3:0] : at < high_from ? low : behind[3:0];

    always @(posedge clk) begin
        high_from <= extent - {{CW-4{1'b0}}, high};
        beyond <= from - high_from + 1'b1;
        starting <= start;
        if (start || again) at <= from;
        else if (step) at <= next;
        if (starting) begin
            number <= class_at_start;
            first_number <= class_at_start;
        end else if (again) begin
            number <= first_number;
        end else if (step && (at < wide_low || next >= high_from)) begin
            number <= number + 1'b1;
        end
    end
endmodule
