// Of a line of sums the one pixel, and of its rows the word, that is post-processed: two registered steps.
//
// Latency: one cycle from `pixel` and the line to the pixel's rows, one more (with `word`, a cycle behind) to the sums.
module pick #(
    parameter ROWS = 8,
    parameter PIXELS = 4,
    parameter LANES = 8,          // sums of a word; divides ROWS
    parameter ACC = 32,
    parameter LW = 2,             // bits of a pixel
    parameter GW = 1              // bits of a word
) (
    input wire clk,
    input wire [ROWS*PIXELS*ACC-1:0] line,
    input wire [LW-1:0] pixel,
    input wire [GW-1:0] word,
    output reg [LANES*ACC-1:0] sums
);
    localparam WORDS = ROWS / LANES;
    wire [(1<<GW)*LANES*ACC-1:0] words;
    genvar row, p;
    generate
        for (row = 0; row < ROWS; row = row + 1) begin : rows
            wire [(1<<LW)*ACC-1:0] choices;
            reg [ACC-1:0] chosen;
            for (p = 0; p < (1 << LW); p = p + 1) begin : pixels
                assign choices[p*ACC+:ACC] = line[(row*PIXELS+p%PIXELS)*ACC+:ACC];
            end
            always @(posedge clk) chosen <= choices[pixel*ACC+:ACC];
            assign words[row*ACC+:ACC] = chosen;
        end
        if ((1 << GW) > WORDS) begin : beyond
            assign words[(1<<GW)*LANES*ACC-1:ROWS*ACC] = 0;
        end
    endgenerate
    always @(posedge clk) sums <= WORDS == 1 ? words[LANES*ACC-1:0] : words[word*LANES*ACC+:LANES*ACC];
endmodule
