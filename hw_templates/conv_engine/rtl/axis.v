// Tiles along rows or columns: where the present one begins, and what of its input lies in the map.
//
// `restart` goes to the first tile, `step` to the next. `position` is the unclipped first input row (column), `count` what is
// left of the tile's extent inside 0..limit, or 0, and `odd` whether it begins at an odd one. Offsets count words from the
// map's first row (column); that of the input is unclipped too. Latency: one cycle to position and offsets, four to the rest.
module axis #(
    parameter AW = 26,
    parameter CW = 12
) (
    input wire clk,
    input wire restart,
    input wire step,
    input wire [CW-1:0] tiles,
    input wire [2:0] padding,
    input wire [CW-1:0] limit,
    input wire [CW-1:0] tile_extent, // input rows (columns) from tile to tile, and of full and last tiles
    input wire [CW-1:0] full_extent,
    input wire [CW-1:0] last_extent,
    input wire [AW-1:0] in_begin,
    input wire [AW-1:0] in_step,
    input wire [AW-1:0] out_step,
    input wire [AW-1:0] res_step,
    output reg first,
    output reg last,
    output reg signed [CW:0] position,
    output reg [CW-1:0] count,
    output reg odd,
    output reg [AW-1:0] in_offset,
    output reg [AW-1:0] out_offset,
    output reg [AW-1:0] res_offset
);
    reg [CW-1:0] index;
    reg signed [CW:0] from, to, end_at;
    wire signed [CW:0] extent = to - from;

    always @(posedge clk) begin
        if (restart) begin
            index <= 0;
            position <= -{{CW-2{1'b0}}, padding};
            in_offset <= in_begin;
            out_offset <= 0;
            res_offset <= 0;
        end else if (step) begin
            index <= index + 1'b1;
            position <= position + {1'b0, tile_extent};
            in_offset <= in_offset + in_step;
            out_offset <= out_offset + out_step;
            res_offset <= res_offset + res_step;
        end
        first <= index == 0;
        last <= index == tiles - 1'b1;
        end_at <= position + {1'b0, last ? last_extent : full_extent};
        from <= position[CW] ? {CW+1{1'b0}} : position;
        to <= end_at > $signed({1'b0, limit}) ? {1'b0, limit} : end_at;
        count <= extent[CW] ? {CW{1'b0}} : extent[CW-1:0];
        odd <= from[0];
    end
endmodule
