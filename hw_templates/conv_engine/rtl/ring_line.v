// A line of the map memory: of a row of a ring, a column in it, and a part of the column's channels.
//
// `row` is less than the ring's lines. Latency: four cycles from the row, two from the column and the part.
module ring_line #(
    parameter MA = 11
) (
    input wire clk,
    input wire [MA-1:0] begin_at, // the map's first row
    input wire [MA-1:0] row,      // lines from it to the row
    input wire [MA-1:0] ring,
    input wire [MA-1:0] ring_end,
    input wire [MA-1:0] col,
    input wire [MA-1:0] part,
    output reg [MA-1:0] line
);
    reg [MA:0] straight, late;
    /* verilator lint_off UNUSED */
    reg [MA:0] turned;
    /* verilator lint_on UNUSED */
    reg over;
    reg [MA-1:0] offset;
    reg [MA-1:0] row_line;

    always @(posedge clk) begin
        straight <= {1'b0, begin_at} + {1'b0, row};
        late <= straight;
        turned <= straight - {1'b0, ring};
        over <= straight >= {1'b0, ring_end};
        row_line <= over ? turned[MA-1:0] : late[MA-1:0];
        offset <= col + part;
        line <= row_line + offset;
    end
    /* verilator lint_off UNUSED */
    wire unused = late[MA];
    /* verilator lint_on UNUSED */
endmodule
