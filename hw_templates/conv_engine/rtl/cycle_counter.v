// Counts cycles, for the engine to look at. Every stage of it reads a copy of its own (HLS: a port each), so none waits for
// another to have read.
module cycle_counter (
    input wire aclk,
    input wire aresetn,
    output reg [31:0] cycles
);
    always @(posedge aclk) begin
        cycles <= aresetn ? cycles + 32'd1 : 32'd0;
    end
endmodule
