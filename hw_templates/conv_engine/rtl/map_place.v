// Places in the map memory of a part of a map, one a step: pixel by pixel, WORDS channel words a step, row by row of a ring.
//
// The channel words of a pixel go round the BANKS banks, so a place is a line and the bank of its first word. `start` begins at
// `line` and `bank`; a step goes on in the pixel, to the next column, or to the next row, which behind the ring's end is
// its first one. Steps, ring and end are there two cycles before start. Latency: one cycle.
module map_place #(
    parameter BANKS = 2,
    parameter WORDS = 1,          // of a step, at most BANKS
    parameter MA = 11,            // bits of a line
    parameter BW = 1              // bits of a bank
) (
    input wire clk,
    input wire start,
    input wire [MA-1:0] line,
    input wire [BW-1:0] bank,
    input wire step,
    input wire last_word,         // of the pixel
    input wire last_col,
    input wire [MA-1:0] col_step,
    input wire [MA-1:0] row_step,
    input wire [MA-1:0] ring,
    input wire [MA-1:0] ring_end,
    output reg [MA-1:0] at,
    output reg [BW-1:0] at_bank
);
    reg [MA-1:0] col_at, row_at, wraps_from, wrapping_step;
    reg [BW-1:0] first_bank;
    wire [BW:0] ahead = {1'b0, at_bank} + WORDS[BW:0];
    wire over = ahead >= BANKS[BW:0];
    wire [BW:0] ahead_wrapped = over ? ahead - BANKS[BW:0] : ahead;
    wire [MA-1:0] from = !last_word ? at : last_col ? row_at : col_at;
    wire [MA-1:0] by = !last_word ? {{MA-1{1'b0}}, over} : !last_col ? col_step :
                       row_at >= wraps_from ? wrapping_step : row_step;
    wire [MA-1:0] next_at = from + by;

    always @(posedge clk) begin
        wraps_from <= ring_end - row_step;
        wrapping_step <= row_step - ring;
        if (start) begin
            at <= line;
            col_at <= line;
            row_at <= line;
            at_bank <= bank;
            first_bank <= bank;
        end else if (step) begin
            at <= next_at;
            at_bank <= last_word ? first_bank : ahead_wrapped[BW-1:0];
            if (last_word) col_at <= next_at;
            if (last_word && last_col) row_at <= next_at;
        end
    end
    /* verilator lint_off UNUSED */
    wire unused = ahead_wrapped[BW];
    /* verilator lint_on UNUSED */
endmodule
