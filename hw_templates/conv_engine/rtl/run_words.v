// A row's part in words: where it begins and how long it is, clipped to the row.
//
// Latency: three cycles from the offset and the extent.
module run_words #(
    parameter AW = 26,
    parameter BEATS = 16
) (
    input wire clk,
    input wire [AW-1:0] offset,   // of the part, unclipped, modulo 2^AW; negative where its top bit is set
    input wire [AW-1:0] extent,   // of the part, unclipped
    input wire [AW-1:0] row_end,
    output reg [AW-1:0] begin_at,
    output reg [BEATS-1:0] beats
);
    reg signed [AW-1:0] end_at, from, to;
    /* verilator lint_off UNUSED */
    wire [AW-1:0] length = to - from;
    /* verilator lint_on UNUSED */

    always @(posedge clk) begin
        end_at <= offset + extent;
        from <= offset[AW-1] ? {AW{1'b0}} : offset;
        to <= end_at > $signed(row_end) ? row_end : end_at;
        begin_at <= from;
        beats <= length[BEATS-1:0];
    end
endmodule
