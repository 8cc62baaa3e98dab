// A queue of words with a registered output.
//
// Handshake: a word is taken where in_valid is set; the caller keeps account of the room, so there is no in_ready. A word
// leaves where out_valid and out_ready are both set. Latency: two cycles from the word that enters an empty queue to
// out_valid. clear empties the queue.
module fifo #(
    parameter WIDTH = 64,
    parameter DEPTH = 256,        // words, a power of two; the output register holds one more
    /* verilator lint_off UNUSEDPARAM */  // named in an attribute alone
    parameter STYLE = "block"
    /* verilator lint_on UNUSEDPARAM */
) (
    input wire clk,
    input wire clear,
    input wire in_valid,
    input wire [WIDTH-1:0] in_data,
    output reg out_valid,
    input wire out_ready,
    output reg [WIDTH-1:0] out_data
);
    localparam BITS = $clog2(DEPTH);

    (* ram_style = STYLE *) reg [WIDTH-1:0] words [0:DEPTH-1];
    reg [BITS-1:0] write_at, read_at;
    reg [BITS:0] count;

    wire pop = count != 0 && (!out_valid || out_ready);

    always @(posedge clk) begin
        if (in_valid) words[write_at] <= in_data;
        if (pop) out_data <= words[read_at];
        if (clear) begin
            write_at <= 0;
            read_at <= 0;
            count <= 0;
            out_valid <= 1'b0;
        end else begin
            if (in_valid) write_at <= write_at + 1'b1;
            if (pop) read_at <= read_at + 1'b1;
            count <= count + {{BITS{1'b0}}, in_valid} - {{BITS{1'b0}}, pop};
            out_valid <= pop | (out_valid & ~out_ready);
        end
    end
endmodule
