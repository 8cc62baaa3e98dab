// One counter of a nest of loops: says a cycle ahead whether its present iteration is the last.
//
// `start` begins at the first iteration, `step` goes on to the next, and from the last one to the first. `count` (at least 1)
// is the number of iterations and must not change between `start` and the last step.
module loop_level #(
    parameter BITS = 12
) (
    input wire clk,
    input wire start,
    input wire step,
    input wire [BITS-1:0] count,
    output reg last
);
    reg [BITS-1:0] at, last_but_one;
    reg once;

    always @(posedge clk) begin
        last_but_one <= count - {{BITS-2{1'b0}}, 2'd2};
        once <= count == 1;
        if (start) begin
            at <= 0;
            last <= count == 1;
        end else if (step) begin
            at <= last ? {BITS{1'b0}} : at + 1'b1;
            last <= last ? once : at == last_but_one;
        end
    end
endmodule
