// A field of a layer's descriptor as it was fetched last, kept as its lowest WIDTH bits.
//
// The descriptor comes as 64-bit units of two fields, on a bus that all fields share: config_write, config_unit, config_data.
// Latency: one cycle.
module field #(
    parameter WIDTH = 12,
    parameter INDEX = 0           // in the descriptor
) (
    input wire clk,
    input wire config_write,
    input wire [5:0] config_unit,
    /* verilator lint_off UNUSED */
    input wire [63:0] config_data,
    /* verilator lint_on UNUSED */
    output reg [WIDTH-1:0] value
);
    localparam LOW = (INDEX % 2) * 32;

    always @(posedge clk) if (config_write && {26'd0, config_unit} == INDEX / 2) value <= config_data[LOW+:WIDTH];
endmodule
