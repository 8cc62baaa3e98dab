// Fills the residual buffer with the words of a part of a map, in the order in which the store takes them.
//
// Handshake: `start` for one cycle with `base`; `done` is level until the next start. The last word is the one that the stream
// says is last. Latency: a word is written a cycle after it is taken.
module residual_loader #(
    parameter BYTES = 8,
    parameter RA = 11
) (
    input wire clk,
    input wire resetn,
    input wire start,
    output wire done,
    input wire [RA-1:0] base,
    input wire in_valid,
    output wire in_ready,
    input wire [8*BYTES-1:0] in_data,
    input wire in_last,
    output reg write,
    output reg [RA-1:0] write_address,
    output reg [8*BYTES-1:0] write_data
);
    reg running;
    reg [RA-1:0] at;
    wire take = in_valid && running;
    assign in_ready = running;
    assign done = !running && !write;

    always @(posedge clk) begin
        if (!resetn) running <= 1'b0;
        else if (start) running <= 1'b1;
        else if (take && in_last) running <= 1'b0;
        if (start) at <= base;
        else if (take) at <= at + 1'b1;
        write <= take && resetn;
        write_address <= at;
        write_data <= in_data;
    end
endmodule
