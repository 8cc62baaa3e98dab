// Adds COUNT signed numbers of IN bits, two at a time: ceil(log2(COUNT)) levels of registers, each a bit wider.
module adder_tree #(
    parameter COUNT = 2,
    parameter IN = 17,
    parameter OUT = 18            // IN + ceil(log2(COUNT))
) (
    input wire clk,
    input wire [COUNT*IN-1:0] in,
    output wire signed [OUT-1:0] sum
);
    localparam HALF = (COUNT + 1) / 2;
    genvar i;
    generate
        if (COUNT == 1) begin : root
            assign sum = in;
            wire unused = clk;
        end else begin : level
            reg [HALF*(IN+1)-1:0] sums;
            for (i = 0; i < HALF; i = i + 1) begin : pairs
                wire signed [IN-1:0] left = in[2*i*IN+:IN];
                if (2 * i + 1 < COUNT) begin : two
                    wire signed [IN-1:0] right = in[(2*i+1)*IN+:IN];
                    always @(posedge clk) sums[i*(IN+1)+:IN+1] <= {left[IN-1], left} + {right[IN-1], right};
                end else begin : alone
                    always @(posedge clk) sums[i*(IN+1)+:IN+1] <= {left[IN-1], left};
                end
            end
            adder_tree #(.COUNT(HALF), .IN(IN + 1), .OUT(OUT)) rest (.clk(clk), .in(sums), .sum(sum));
        end
    endgenerate
endmodule
