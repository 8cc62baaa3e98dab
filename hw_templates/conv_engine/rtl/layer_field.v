// A field of the layer that runs: what was fetched waits, while the layer before runs, until `turn` makes it the value.
//
// Latency: one cycle from turn.
module layer_field #(
    parameter WIDTH = 12,
    parameter INDEX = 0           // in the descriptor
) (
    input wire clk,
    input wire config_write,
    input wire [5:0] config_unit,
    input wire [63:0] config_data,
    input wire turn,
    output reg [WIDTH-1:0] value
);
    wire [WIDTH-1:0] coming;
    field #(.WIDTH(WIDTH), .INDEX(INDEX)) of_next (
        .clk(clk), .config_write(config_write), .config_unit(config_unit), .config_data(config_data), .value(coming));

    always @(posedge clk) if (turn) value <= coming;
endmodule
