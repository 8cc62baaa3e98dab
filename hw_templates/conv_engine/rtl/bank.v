// A memory with one write port and one read port: the only module that infers memory, beside `fifo` and the tables of
// `requant`.
//
// Latency: read_data follows read_address by two cycles (the memory's own register and its output register). A word that is
// written in the cycle in which it is read arrives as it was before.
module bank #(
    parameter DEPTH = 512,        // words
    parameter WIDTH = 64,         // bits of a word
    parameter ADDRESS = 9,        // bits of an address
    /* verilator lint_off UNUSEDPARAM */  // named in an attribute alone
    parameter STYLE = "block"     // ram_style: "block", "ultra" or "distributed"
    /* verilator lint_on UNUSEDPARAM */
) (
    input wire clk,
    input wire write,
    input wire [ADDRESS-1:0] write_address,
    input wire [WIDTH-1:0] write_data,
    input wire [ADDRESS-1:0] read_address,
    output reg [WIDTH-1:0] read_data
);
    (* ram_style = STYLE *) reg [WIDTH-1:0] words [0:DEPTH-1];
    reg [WIDTH-1:0] word;

    always @(posedge clk) begin
        if (write) words[write_address] <= write_data;
        word <= words[read_address];
        read_data <= word;
    end
endmodule
