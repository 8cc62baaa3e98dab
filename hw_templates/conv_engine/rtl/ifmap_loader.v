// Places the words of a part of the input map into the banks of the ifmap buffer: one a cycle, or a line of WORDS of them a cycle
// where they come from the map memory (`by_line`).
//
// Words come row by row, column by column, the channel words of a column together; WORDS of them fill a line. Column j of a
// tile belongs to pixel lane (j div stride) mod PIXELS and to slot (j mod stride) * slots + (j div stride) div PIXELS of its
// row; a row takes d_line, a line of channels d_group words of a bank. The tile's first word goes to `place` with its lane and
// phase, and each row begins there again: what lies outside the map is left as it was, for the window masks it.
//
// Handshake: `start` for one cycle with the command, which stays until `done` (stride, slots and d_line are there a cycle
// earlier); `done` is level until the next start. The last word or line is the one that the stream says is last. `empty` commands
// are done at once. Latency: a word is written two cycles after it is taken.
module ifmap_loader #(
    parameter BYTES = 8,
    parameter PIXELS = 4,
    parameter WORDS = 1,          // memory words of a line of channels
    parameter IA = 11,
    parameter CW = 12,
    parameter DW = 2,
    parameter LW = 2              // bits of a pixel lane
) (
    input wire clk,
    input wire resetn,
    input wire start,
    output wire done,
    input wire empty,
    input wire by_line,
    input wire [CW-1:0] cols,     // columns of the part, and channel words of each
    input wire [CW-1:0] words,
    input wire [DW-1:0] stride,
    input wire [IA-1:0] slots,    // of a phase
    input wire [IA-1:0] d_line,
    input wire [IA-1:0] d_group,
    input wire [IA-1:0] place,    // of the part's first word
    input wire [LW-1:0] place_lane,
    input wire [DW-1:0] place_phase,
    output reg [31:0] count,      // words, or lines, of the part
    input wire in_valid,
    output wire in_ready,
    input wire [8*BYTES*WORDS-1:0] in_data, // one word for all, or a line
    input wire in_last,
    output reg [PIXELS*WORDS-1:0] write,
    output reg [IA-1:0] write_address,
    output reg [8*BYTES*WORDS-1:0] write_data
);
    localparam WW = WORDS > 1 ? $clog2(WORDS) : 1;

    reg running;
    wire take = in_valid && in_ready;
    assign in_ready = running;
    assign done = !running && write == 0;

    // The present word: how many of the pixel are left, its place in the line, and the column's lane and phase.
    reg [CW-1:0] words_left, all_words, col;
    reg [WW-1:0] bank;
    reg [LW-1:0] lane;
    reg [DW-1:0] phase, last_phase;
    reg [CW-1:0] last_col_at;
    wire last_word = words_left <= (by_line ? WORDS[CW-1:0] : {{CW-1{1'b0}}, 1'b1});
    wire last_col = col == last_col_at;
    wire last_bank = WORDS == 1 || by_line || bank == WORDS[WW-1:0] - 1'b1;
    wire phase_wraps = phase == last_phase;
    wire lane_wraps = PIXELS == 1 || lane == PIXELS[LW-1:0] - 1'b1;

    // One adder makes the next address: of the line behind, of the next phase, of the next lane or slot, of the next row.
    reg [IA-1:0] at, col_at, row_at, to_lane, to_slot;
    wire [IA-1:0] from = !last_word ? at : last_col ? row_at : col_at;
    wire [IA-1:0] by = !last_word ? (last_bank ? d_group : {IA{1'b0}}) : last_col ? d_line :
                       !phase_wraps ? slots : lane_wraps ? to_slot : to_lane;
    wire [IA-1:0] next_at = from + by;

    always @(posedge clk) begin
        // Back from the last phase to the first: of the next lane, and of the first lane in the next slot.
        to_lane <= slots - d_line;
        to_slot <= to_lane + 1'b1;

        if (!resetn) running <= 1'b0;
        else if (start) running <= !empty;
        else if (take && in_last) running <= 1'b0;

        if (start) begin
            all_words <= words;
            words_left <= words;
            last_col_at <= cols - 1'b1;
            last_phase <= stride - 1'b1;
            col <= 0;
            bank <= 0;
            lane <= place_lane;
            phase <= place_phase;
            at <= place;
            col_at <= place;
            row_at <= place;
            count <= 32'd0;
        end else if (take) begin
            count <= count + 32'd1;
            at <= next_at;
            words_left <= last_word ? all_words : words_left - (by_line ? WORDS[CW-1:0] : {{CW-1{1'b0}}, 1'b1});
            bank <= last_word || last_bank ? {WW{1'b0}} : bank + 1'b1;
            if (last_word) begin
                col <= last_col ? {CW{1'b0}} : col + 1'b1;
                col_at <= next_at;
                phase <= last_col ? place_phase : phase_wraps ? {DW{1'b0}} : phase + 1'b1;
                if (last_col) lane <= place_lane;
                else if (phase_wraps) lane <= lane_wraps ? {LW{1'b0}} : lane + 1'b1;
            end
            if (last_word && last_col) row_at <= next_at;
        end
    end

    // A level of registers in front of the banks.
    integer i;
    always @(posedge clk) begin
        write_address <= at;
        write_data <= in_data;
        for (i = 0; i < PIXELS * WORDS; i = i + 1)
            write[i] <= take && {{32-LW{1'b0}}, lane} == i / WORDS &&
                        (WORDS == 1 || by_line || {{32-WW{1'b0}}, bank} == i % WORDS);
    end
endmodule
