// Addresses of the compute stage: a nest of six loops, one iteration a cycle.
//
// The loops, innermost first: tap column, tap row, group of COLS input channels; then pixel group, output row, and row group
// (ROWS output channels; in a channel-wise layer LANES channels). Column j of a tile lies in bank (j div stride) mod PIXELS,
// so tap column t needs one rotation of the banks onto the pixel lanes and one step of the address, whatever the pixel: the
// program gives both, and they are written into a table (tap_write). With stride and dilation 1 they repeat after PIXELS
// columns, so that a pool may be as wide as KW bits say. Bank b is read at `address` or one
// word on (b < rotate); pixel lane l takes bank (l + rotate) mod PIXELS, and is on if its column and row lie in the map.
//
// Weights follow each other in the order of the iterations of one pixel; they begin again with each pixel group. A
// channel-wise iteration takes LANES weights, so WEIGHT_PARTS of them share a line. Sums lie one behind the other; the
// ROW_PARTS channel-wise groups of one row group share an address.
//
// Handshake: `start` is set for one cycle in which the command is there; it stays until `done`, which comes with the last
// iteration. Latency: six cycles from start to the first `valid`. Each address is one adder, whose operands are chosen an
// iteration ahead.
module window #(
    parameter PIXELS = 4,
    parameter IA = 11,            // bits of an address in a bank of the ifmap buffer
    parameter WA = 11,            // bits of a step of the weight buffer
    parameter OA = 9,             // bits of an address in a bank of sums
    parameter CW = 12,            // bits of rows, columns and groups
    parameter KW = 7,             // bits of kernel rows and columns
    parameter TW = 3,             // bits of a line of the table of tap columns
    parameter DW = 3,             // bits of a stride and of a dilation
    parameter LINE_PARTS = 1,     // channel-wise groups in a line of the ifmap buffer: COLS / LANES
    parameter ROW_PARTS = 1,      // and in a row group: ROWS / LANES
    parameter WEIGHT_PARTS = 8,   // channel-wise iterations that share a line of weights: ROWS * COLS / LANES
    parameter RW = 2,             // bits of a rotation
    parameter PW = 3              // bits of a part, of any kind
) (
    input wire clk,
    input wire resetn,
    input wire tap_write,
    input wire tap_half,          // of the table, that tiles read; the other one is written
    input wire [TW-1:0] tap_index,
    input wire [RW-1:0] tap_rotate,
    input wire [IA-1:0] tap_step, // from this tap column to the next, modulo 2^IA
    input wire start,
    input wire channel_wise,
    input wire [KW-1:0] kernel_rows,
    input wire [KW-1:0] kernel_cols,
    input wire [CW-1:0] col_groups,
    input wire [CW-1:0] pixel_groups,
    input wire [CW-1:0] rows,
    input wire [CW-1:0] row_groups,
    input wire [IA-1:0] d_row,    // words of a bank to the next tap row, group of channels, output row
    input wire [IA-1:0] d_group,
    input wire [IA-1:0] d_out_row,
    input wire [DW-1:0] stride_rows,
    input wire [DW-1:0] stride_cols,
    input wire [DW-1:0] dilation_rows,
    input wire [DW-1:0] dilation_cols,
    input wire [CW-1:0] x_pixel,  // columns of the map from pixel group to pixel group
    input wire signed [CW:0] left,
    input wire signed [CW:0] top, // column and row of the map at which the tile begins
    input wire [CW-1:0] width,
    input wire [CW-1:0] height,
    input wire [IA-1:0] ifmap_base,
    input wire [WA-1:0] weight_base,
    input wire [OA-1:0] sum_base,
    output reg valid,
    output reg [PIXELS*IA-1:0] address,
    output reg [RW-1:0] rotate,
    output reg [PIXELS-1:0] lane_on,
    output reg [WA-1:0] weight_address,
    output reg [PW-1:0] weight_part,
    output reg [PW-1:0] line_part,
    output reg [PW-1:0] row_part,
    output reg [OA-1:0] sum_address,
    output reg first,             // iteration of a sum
    output reg last,
    output reg done,
    output reg [OA-1:0] sum_end,  // behind the tile's last sum; valid with done
    output reg [OA-1:0] group_sums // addresses that a row group takes; valid with done
);
    // The nest. A level steps when all levels inside it are at their last iteration.
    reg busy;
    wire last_col, last_row, last_group, last_pixel, last_out_row, last_row_group;
    wire next_row = last_col;
    wire next_group = next_row && last_row;
    wire next_pixel = next_group && last_group;
    wire next_out_row = next_pixel && last_pixel;
    wire next_row_group = next_out_row && last_out_row;
    wire ends = next_row_group && last_row_group;

    loop_level #(KW) tap_cols (.clk(clk), .start(start), .step(busy), .count(kernel_cols), .last(last_col));
    loop_level #(KW) tap_rows (.clk(clk), .start(start), .step(busy && next_row), .count(kernel_rows), .last(last_row));
    loop_level #(CW) groups (.clk(clk), .start(start), .step(busy && next_group), .count(col_groups), .last(last_group));
    loop_level #(CW) pixels (.clk(clk), .start(start), .step(busy && next_pixel), .count(pixel_groups),
                             .last(last_pixel));
    loop_level #(CW) out_rows (.clk(clk), .start(start), .step(busy && next_out_row), .count(rows),
                               .last(last_out_row));
    loop_level #(CW) out_groups (.clk(clk), .start(start), .step(busy && next_row_group), .count(row_groups),
                                 .last(last_row_group));

    // The table of tap columns, read an iteration before its step is added.
    (* ram_style = "distributed" *) reg [RW+IA-1:0] taps [0:(2<<TW)-1];
    reg [TW-1:0] tap;
    reg regular;
    wire repeats = regular && {{32-TW{1'b0}}, tap} == PIXELS - 1;
    always @(posedge clk) begin
        if (tap_write) taps[{!tap_half, tap_index}] <= {tap_rotate, tap_step};
        if (!resetn || start) tap <= 0;
        else if (busy) tap <= last_col || repeats ? {TW{1'b0}} : tap + 1'b1;
        regular <= stride_cols == 1 && dilation_cols == 1;
        if (!resetn) busy <= 1'b0;
        else busy <= start || (busy && !ends);
    end

    // The step that follows an iteration, in stages a and b: {row group, output row, pixel group, channel group, tap row},
    // each set where the levels inside it step as well.
    reg valid_a, valid_b, end_a, end_b;
    reg [4:0] kind_a, kind_b;
    reg [RW-1:0] rotate_a, rotate_b;
    reg [IA-1:0] step_a;
    wire prime = valid_a && !valid_b;
    always @(posedge clk) begin
        valid_a <= busy && resetn;
        valid_b <= valid_a && resetn;
        kind_a <= {next_row_group, next_out_row, next_pixel, next_group, next_row};
        kind_b <= kind_a;
        end_a <= ends;
        end_b <= end_a;
        {rotate_a, step_a} <= taps[{tap_half, tap}];
        rotate_b <= rotate_a;
    end

    // Parts of channel-wise groups: counted in stage a for the step that follows, kept in b.
    reg [PW-1:0] line_part_b, row_part_b;
    wire line_wraps = LINE_PARTS == 1 || line_part_b == LINE_PARTS[PW-1:0] - 1'b1;
    wire row_wraps = ROW_PARTS == 1 || row_part_b == ROW_PARTS[PW-1:0] - 1'b1;
    reg advance_line;             // whether the next channel-wise group begins a line, for the step after stage a's iteration
    reg line_wraps_next;
    wire counts = valid_b && kind_b[4] && channel_wise;
    wire [PW-1:0] line_part_next = prime ? {PW{1'b0}} :
        !counts ? line_part_b : line_wraps ? {PW{1'b0}} : line_part_b + 1'b1;
    wire [PW-1:0] row_part_next = prime ? {PW{1'b0}} :
        !counts ? row_part_b : row_wraps ? {PW{1'b0}} : row_part_b + 1'b1;
    always @* begin
        line_wraps_next = LINE_PARTS == 1 || line_part_next == LINE_PARTS[PW-1:0] - 1'b1;
        advance_line = channel_wise && line_wraps_next;
    end

    // Addresses in a bank. `at` is that of the iteration in stage b; the level registers hold where each level began.
    reg [IA-1:0] at, row_at, group_at, pixel_at, out_row_at, line_at, base, increment;
    wire [IA-1:0] next_at = base + increment;
    wire [IA-1:0] level_at = kind_a[4] ? line_at : kind_a[3] ? out_row_at : kind_a[2] ? pixel_at :
                             kind_a[1] ? group_at : row_at;
    wire fresh = kind_a[4] ? kind_b[4] : kind_a[3] ? kind_b[3] : kind_a[2] ? kind_b[2] : kind_a[1] ? kind_b[1] :
                 kind_a[0] ? kind_b[0] : 1'b1;
    wire [IA-1:0] increment_next = kind_a[4] ? (advance_line ? d_group : {IA{1'b0}}) : kind_a[3] ? d_out_row :
                                   kind_a[2] ? {{IA-1{1'b0}}, 1'b1} : kind_a[1] ? d_group :
                                   kind_a[0] ? d_row : step_a;

    // Positions in the map: of the tap, and where the pixel group and the output row began.
    reg signed [CW:0] x, x_at_pixel, y, y_at_row;
    wire signed [CW:0] x_step = !kind_b[0] ? {{CW+1-DW{1'b0}}, dilation_cols} :
                                kind_b[2] ? {1'b0, x_pixel} : {CW+1{1'b0}};
    wire signed [CW:0] x_next = (kind_b[0] ? x_at_pixel : x) + x_step;
    wire signed [CW:0] y_step = kind_b[1] ? (kind_b[3] ? {{CW+1-DW{1'b0}}, stride_rows} : {CW+1{1'b0}}) :
                                kind_b[0] ? {{CW+1-DW{1'b0}}, dilation_rows} : {CW+1{1'b0}};
    wire signed [CW:0] y_next = (kind_b[1] ? y_at_row : y) + y_step;

    // Steps of the weight buffer, and places of sums.
    reg [WA-1:0] weight, weight_at_group;
    reg [PW-1:0] part, part_at_group;
    reg [OA-1:0] sum, sum_at_group;
    reg first_b, first_group_b;
    wire part_wraps = !channel_wise || part == WEIGHT_PARTS[PW-1:0] - 1'b1;
    wire [WA-1:0] weight_next = weight + {{WA-1{1'b0}}, part_wraps};
    wire [PW-1:0] part_next = part_wraps ? {PW{1'b0}} : part + 1'b1;
    wire [OA-1:0] sum_next = sum + 1'b1;

    always @(posedge clk) begin
        base <= prime ? ifmap_base : fresh ? next_at : level_at;
        increment <= increment_next;
        line_part_b <= line_part_next;
        row_part_b <= row_part_next;
        if (prime) begin
            at <= ifmap_base;
            row_at <= ifmap_base;
            group_at <= ifmap_base;
            pixel_at <= ifmap_base;
            out_row_at <= ifmap_base;
            line_at <= ifmap_base;
            x <= left;
            x_at_pixel <= left;
            y <= top;
            y_at_row <= top;
            weight <= weight_base;
            weight_at_group <= weight_base;
            part <= 0;
            part_at_group <= 0;
            sum <= sum_base;
            sum_at_group <= sum_base;
            first_b <= 1'b1;
            first_group_b <= 1'b1;
        end else begin
            at <= next_at;
            if (kind_b[0]) row_at <= next_at;
            if (kind_b[1]) group_at <= next_at;
            if (kind_b[2]) pixel_at <= next_at;
            if (kind_b[3]) out_row_at <= next_at;
            if (kind_b[4]) line_at <= next_at;
            x <= kind_b[3] ? left : x_next;
            if (kind_b[2]) x_at_pixel <= kind_b[3] ? left : x_next;
            y <= kind_b[4] ? top : y_next;
            if (kind_b[3]) y_at_row <= kind_b[4] ? top : y_next;
            weight <= kind_b[2] && !kind_b[4] ? weight_at_group : weight_next;
            part <= kind_b[2] && !kind_b[4] ? part_at_group : part_next;
            if (kind_b[4]) begin
                weight_at_group <= weight_next;
                part_at_group <= part_next;
                first_group_b <= 1'b0;
            end
            if (kind_b[2]) sum <= kind_b[4] && channel_wise && !row_wraps ? sum_at_group : sum_next;
            if (kind_b[4] && (!channel_wise || row_wraps)) sum_at_group <= sum_next;
            first_b <= kind_b[2];
        end
    end

    // What leaves: bank addresses and lanes take two stages, the rest waits for them.
    reg valid1, valid2, first1, first2, last1, last2, done1, done2, above1, below1, row2;
    reg [IA-1:0] at1;
    reg [RW-1:0] rotate1, rotate2;
    reg signed [CW:0] x1;
    reg [WA-1:0] weight1, weight2;
    reg [PW-1:0] part1, part2, line_part1, line_part2, row_part1, row_part2;
    reg [OA-1:0] sum1, sum2;
    reg [PIXELS*IA-1:0] address2;
    reg [PIXELS-1:0] inside2;
    always @(posedge clk) begin
        valid1 <= valid_b && resetn;
        valid2 <= valid1 && resetn;
        valid <= valid2 && resetn;
        done1 <= valid_b && end_b && resetn;
        done2 <= done1 && resetn;
        done <= done2 && resetn;
        at1 <= at;
        rotate1 <= rotate_b;
        rotate2 <= rotate1;
        rotate <= rotate2;
        x1 <= x;
        above1 <= y[CW];
        below1 <= y[CW-1:0] < height;
        row2 <= !above1 && below1;
        address <= address2;
        lane_on <= inside2 & {PIXELS{row2}};
        {first1, first2, first} <= {first_b, first1, first2};
        {last1, last2, last} <= {kind_b[2], last1, last2};
        {weight1, weight2, weight_address} <= {weight, weight1, weight2};
        {part1, part2, weight_part} <= {part, part1, part2};
        {line_part1, line_part2, line_part} <= {line_part_b, line_part1, line_part2};
        {row_part1, row_part2, row_part} <= {row_part_b, row_part1, row_part2};
        {sum1, sum2, sum_address} <= {sum, sum1, sum2};
        if (valid_b && kind_b[4] && first_group_b) group_sums <= sum_next - sum_base;
        if (valid_b && end_b) sum_end <= sum_next;
    end

    genvar lane;
    generate
        for (lane = 0; lane < PIXELS; lane = lane + 1) begin : lanes
            localparam [4:0] ONE = lane, TWO = 2 * lane, THREE = 3 * lane, FOUR = 4 * lane;
            reg [4:0] offset;
            reg after1;           // whether the lane's bank is read one word on
            wire signed [CW+1:0] column = {x1[CW], x1} + {{CW-3{1'b0}}, offset};
            always @(posedge clk) begin
                case (stride_cols)
                    1: offset <= ONE;
                    2: offset <= TWO;
                    3: offset <= THREE;
                    default: offset <= FOUR;
                endcase
                inside2[lane] <= !column[CW+1] && column[CW:0] < {1'b0, width};
                after1 <= {{32-RW{1'b0}}, rotate_b} > lane;
                address2[lane*IA+:IA] <= at1 + {{IA-1{1'b0}}, after1};
            end
        end
    endgenerate
endmodule
