// A DSP slice of a chain: p = pcin + (high * 2^FIELD + low) * x, with all its registers.
//
// With PACK 2 one slice yields the products of two weights with one activation: the lower FIELD bits hold the sum of low * x,
// the bits above that of high * x. The chain's FIRST slice begins with 2^(FIELD-1), which keeps the lower field from borrowing
// from the upper one; whoever reads the chain inverts the lower field's top bit. Exact while the chain's sum of |low * x| is
// below 2^(FIELD-1). Latency: four cycles from weights and activation to p, one from pcin.
module dsp_slice #(
    parameter PACK = 2,
    parameter FIELD = 17,         // 17 in 25-bit pre-adders (7 series), 18 in 27-bit ones (UltraScale+)
    parameter FIRST = 1
) (
    input wire clk,
    input wire signed [7:0] low,
    input wire signed [7:0] high,
    input wire signed [7:0] x,
    input wire signed [47:0] pcin,
    output reg signed [47:0] p
);
    reg signed [7:0] d, b1, b2;
    reg signed [FIELD+7:0] a, ad;
    reg signed [FIELD+15:0] m;
    wire signed [47:0] begin_at = PACK == 2 ? 48'sd1 <<< (FIELD - 1) : 48'sd0;

    always @(posedge clk) begin
        d <= low;
        a <= PACK == 2 ? {high, {FIELD{1'b0}}} : {FIELD+8{1'b0}};
        b1 <= x;
        ad <= a + {{FIELD{d[7]}}, d};
        b2 <= b1;
        m <= ad * b2;
        p <= {{32-FIELD{m[FIELD+15]}}, m} + (FIRST != 0 ? begin_at : pcin);
    end
endmodule
