// Delays a value by CYCLES cycles; none is a wire. Without a reset, so that synthesis may use shift registers.
module delay #(
    parameter WIDTH = 8,
    parameter CYCLES = 1
) (
    input wire clk,
    input wire [WIDTH-1:0] in,
    output wire [WIDTH-1:0] out
);
    generate
        if (CYCLES == 0) begin : wires
            assign out = in;
            wire unused = clk;
        end else if (CYCLES == 1) begin : register
            reg [WIDTH-1:0] value;
            always @(posedge clk) value <= in;
            assign out = value;
        end else begin : line
            reg [WIDTH*CYCLES-1:0] values;
            always @(posedge clk) values <= {values[WIDTH*(CYCLES-1)-1:0], in};
            assign out = values[WIDTH*CYCLES-1-:WIDTH];
        end
    endgenerate
endmodule
