// Reads a part of a map from the map memory, a line of the ifmap buffer a cycle, as the read engine does it from memory.
//
// Handshake: `start` for one cycle with the command, which stays until the last line; `valid` and `last` go with the place of
// each. Latency: two cycles from start to the first place.
module map_reader #(
    parameter BANKS = 2,
    parameter WORDS = 1,          // of a line of the ifmap buffer
    parameter MA = 11,
    parameter BW = 1,
    parameter CW = 12
) (
    input wire clk,
    input wire resetn,
    input wire start,
    input wire [CW-1:0] rows,
    input wire [CW-1:0] cols,
    input wire [CW-1:0] words,    // of a pixel
    input wire [MA-1:0] line,
    input wire [BW-1:0] bank,
    input wire [MA-1:0] col_step,
    input wire [MA-1:0] row_step,
    input wire [MA-1:0] ring,
    input wire [MA-1:0] ring_end,
    output reg valid,
    output wire last,
    output wire [MA-1:0] at,
    output wire [BW-1:0] at_bank
);
    reg [CW-1:0] words_left, cols_left, rows_left;
    wire last_word = words_left <= WORDS[CW-1:0];
    wire last_col = cols_left == 1;
    assign last = last_word && last_col && rows_left == 1;

    map_place #(.BANKS(BANKS), .WORDS(WORDS), .MA(MA), .BW(BW)) place (
        .clk(clk), .start(start), .line(line), .bank(bank), .step(valid), .last_word(last_word), .last_col(last_col),
        .col_step(col_step), .row_step(row_step), .ring(ring), .ring_end(ring_end), .at(at), .at_bank(at_bank));

    always @(posedge clk) begin
        if (!resetn) valid <= 1'b0;
        else if (start) valid <= 1'b1;
        else if (last) valid <= 1'b0;
        if (start) begin
            words_left <= words;
            cols_left <= cols;
            rows_left <= rows;
        end else if (valid) begin
            words_left <= last_word ? words : words_left - WORDS[CW-1:0];
            if (last_word) cols_left <= last_col ? cols : cols_left - 1'b1;
            if (last_word && last_col) rows_left <= rows_left - 1'b1;
        end
    end
endmodule
