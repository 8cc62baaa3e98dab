// Makes 64-bit units of the beats of the weight port, for descriptors and parameters: two beats a unit, one, or two units a beat.
//
// Handshake: a beat is taken where in_valid and in_ready are set; `unit_valid` is set for one cycle a unit, with `pauses` not in
// two cycles one after the other. Latency: one cycle.
module unit_stream #(
    parameter BYTES = 8           // of a beat: 4, 8 or 16
) (
    input wire clk,
    input wire resetn,
    input wire pauses,
    input wire in_valid,
    output wire in_ready,
    input wire [8*BYTES-1:0] in_data,
    output reg unit_valid,
    output reg [63:0] unit
);
    wire go = in_valid && !(pauses && unit_valid);
    generate
        if (BYTES == 4) begin : narrow
            reg half;
            assign in_ready = !(pauses && unit_valid);
            always @(posedge clk) begin
                half <= resetn && (half ^ go);
                unit_valid <= resetn && go && half;
                if (go) unit <= {in_data, unit[63:32]};
            end
        end else if (BYTES == 8) begin : equal
            assign in_ready = !(pauses && unit_valid);
            always @(posedge clk) begin
                unit_valid <= resetn && go;
                unit <= in_data;
            end
        end else begin : wide
            reg half;
            assign in_ready = half && !(pauses && unit_valid);
            always @(posedge clk) begin
                half <= resetn && (half ^ go);
                unit_valid <= resetn && go;
                unit <= half ? in_data[127:64] : in_data[63:0];
            end
        end
    endgenerate
endmodule
