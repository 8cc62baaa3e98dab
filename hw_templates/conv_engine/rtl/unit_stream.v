// Makes 64-bit units of the beats of the weight port, for descriptors and parameters: two beats a unit, one, or two units a beat.
//
// Handshake: a beat is taken where in_valid and in_ready are set; `unit_valid` is set for one cycle a unit. Latency: one cycle.
module unit_stream #(
    parameter BYTES = 8           // of a beat: 4, 8 or 16
) (
    input wire clk,
    input wire resetn,
    input wire in_valid,
    output wire in_ready,
    input wire [8*BYTES-1:0] in_data,
    output reg unit_valid,
    output reg [63:0] unit
);
    reg half;
    generate
        if (BYTES == 4) begin : narrow
            assign in_ready = 1'b1;
            always @(posedge clk) begin
                half <= resetn && (half ^ in_valid);
                unit_valid <= resetn && in_valid && half;
                if (in_valid) unit <= {in_data, unit[63:32]};
            end
        end else if (BYTES == 8) begin : equal
            assign in_ready = 1'b1;
            always @(posedge clk) begin
                half <= 1'b0;
                unit_valid <= resetn && in_valid;
                unit <= in_data;
            end
            wire unused = half;
        end else begin : wide
            assign in_ready = half;
            always @(posedge clk) begin
                half <= resetn && in_valid && !half;
                unit_valid <= resetn && in_valid;
                unit <= half ? in_data[127:64] : in_data[63:0];
            end
        end
    endgenerate
endmodule
