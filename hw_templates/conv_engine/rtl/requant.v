// One lane of post-processing, a result a cycle. With shift = 12 + code:
//
//     v     = sat25(sum + bias)
//     r     = (v * multiplier + 2^(shift-1)) >> shift
//     added = sat9((residual * residual_multiplier + 2^15) >> 16)
//     y     = table[sat8(r + (add_before ? added : 0)) + 128]
//     out   = add_after ? sat8(y + added) : y
//
// The product is shifted by shift - 1 in three steps and saturated behind the last of them, which also looks whether the
// second step lost anything; its lowest bit rounds. The residual comes four cycles behind the sum, with its mode and its
// multiplier. table_write puts a byte at table_address in the
// place of a result. Latency: 13 cycles from the sum, 9 from the residual.
module requant #(
    parameter ACC = 32
) (
    input wire clk,
    input wire signed [ACC-1:0] sum,
    input wire signed [ACC-1:0] bias,
    input wire [15:0] multiplier,
    input wire [4:0] code,
    input wire signed [7:0] residual,
    input wire signed [24:0] residual_multiplier,
    input wire add_before,
    input wire add_after,
    input wire table_write,
    input wire [7:0] table_address,
    input wire [7:0] table_data,
    output reg signed [7:0] out
);
    // Bias and saturation to 25 bits.
    reg signed [ACC-1:0] biased;
    reg signed [24:0] v2, v3;
    reg [15:0] multiplier1, multiplier2;
    reg signed [16:0] multiplier3;
    reg [4:0] code1, code2, code3, code4, code5;
    reg [2:0] code6;
    reg code7, fits7, negative7;
    wire fits25 = (&biased[ACC-1:24]) || !(|biased[ACC-1:24]);

    // Product (registers of the slice), and its bits from 2^11 on: shift is at least 12, and one bit is for rounding.
    reg signed [41:0] product4;
    /* verilator lint_off UNUSED */
    reg signed [41:0] product5;
    /* verilator lint_on UNUSED */
    reg signed [30:0] coarse6;
    reg signed [17:0] fine7;
    reg signed [10:0] twice8;     // twice the result, its lowest bit rounds
    wire signed [30:0] coarse = $signed(product5[41:11]) >>> {code5[4:3], 3'b000};
    wire fits18 = (&coarse6[30:17]) || !(|coarse6[30:17]);
    wire signed [17:0] fine = $signed(coarse6[17:0]) >>> {code6[2:1], 1'b0};
    wire signed [17:0] finest = fine7 >>> code7;
    wire fits11 = fits7 && ((&finest[17:10]) || !(|finest[17:10]));

    // The residual, scaled, meets the result in stage 8 or behind the table.
    reg signed [7:0] residual5;
    reg signed [24:0] scale5;
    reg signed [32:0] scaled6;
    /* verilator lint_off UNUSED */
    reg signed [32:0] rounded7;
    /* verilator lint_on UNUSED */
    reg signed [8:0] before8, late8, late9, late10, late11;
    reg before5, before6, before7, after5, after6, after7;
    wire fits9 = (&rounded7[32:24]) || !(|rounded7[32:24]);
    wire signed [8:0] added = fits9 ? rounded7[24:16] : {rounded7[32], {8{!rounded7[32]}}};

    // Sum of the halves, table, and the residual behind it.
    reg signed [11:0] sum9;
    reg [7:0] index10, looked_up11;
    reg signed [9:0] sum12;
    reg write1;
    reg [7:0] data1;
    (* ram_style = "distributed" *) reg [7:0] activation [0:255];
    wire fits8 = (&sum9[11:7]) || !(|sum9[11:7]);
    wire fits_out = (&sum12[9:7]) || !(|sum12[9:7]);

    always @(posedge clk) begin
        biased <= sum + bias;
        multiplier1 <= multiplier;
        code1 <= code;
        v2 <= fits25 ? biased[24:0] : {biased[ACC-1], {24{!biased[ACC-1]}}};
        multiplier2 <= multiplier1;
        code2 <= code1;
        v3 <= v2;
        multiplier3 <= {1'b0, multiplier2};
        code3 <= code2;
        product4 <= v3 * multiplier3;
        code4 <= code3;
        product5 <= product4;
        code5 <= code4;
        coarse6 <= coarse;
        code6 <= code5[2:0];
        fine7 <= fine;
        fits7 <= fits18;
        negative7 <= coarse6[30];
        code7 <= code6[0];
        twice8 <= fits11 ? finest[10:0] : {negative7, {10{!negative7}}};

        residual5 <= residual;
        scale5 <= residual_multiplier;
        {before5, before6, before7} <= {add_before, before5, before6};
        {after5, after6, after7} <= {add_after, after5, after6};
        scaled6 <= residual5 * scale5;
        rounded7 <= scaled6 + 33'sd32768;
        before8 <= before7 ? added : 9'sd0;
        late8 <= after7 ? added : 9'sd0;
        late9 <= late8;
        late10 <= late9;
        late11 <= late10;

        sum9 <= {{2{twice8[10]}}, twice8[10:1]} + {{3{before8[8]}}, before8} + {11'd0, twice8[0]};
        index10 <= table_write ? table_address : fits8 ? {!sum9[7], sum9[6:0]} : {8{!sum9[11]}};
        looked_up11 <= activation[index10];
        sum12 <= {{2{looked_up11[7]}}, looked_up11} + {late11[8], late11};
        out <= fits_out ? sum12[7:0] : {sum12[9], {7{!sum12[9]}}};

        write1 <= table_write;
        data1 <= table_data;
        if (write1) activation[index10] <= data1;
    end
endmodule
