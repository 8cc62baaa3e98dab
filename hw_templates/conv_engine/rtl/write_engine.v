// Writes parts of maps to memory: the addresses run ahead of the responses, and no burst begins before its words are here.
//
// A command is one of `burst_generator`; words enter in the command's order where in_valid and in_ready are both set, and
// `taken` says one cycle later that one left for memory, so that a maker that counts words needs no in_ready. Words count from
// the arena's start at `base` (a multiple of 4 KiB). A burst that would end beyond `limit` words, or begin before
// `protected_words`, is made at the arena's start with all strobes 0, and sets `error_bounds`. An answer other than OKAY, and
// one to no burst, set `error_response`. `clear` resets both errors.
//
// Latency: eight cycles from a burst's last word to awvalid; W follows its address without a pause. `stop` drops what no
// address promises yet; `drained`: no burst is asked for or without its response; `empty`: no word is held.
module write_engine #(
    parameter BYTES = 8,          // of a word
    parameter AW = 26,            // bits of a place in memory, in words
    parameter CW = 12,            // bits of rows and columns
    parameter BEATS = 16,         // bits of the words of a run
    parameter ADDRESS = 40,       // bits of an AXI address
    parameter MAXB = 16,          // most words of a burst, a power of two
    parameter FIFO = 64,          // words, a power of two, at least 2 * MAXB + 2
    parameter OUTSTANDING = 16    // most bursts under way, a power of two
) (
    input wire clk,
    input wire resetn,
    input wire stop,
    input wire clear,
    output reg drained,
    output reg empty,
    output reg error_bounds,
    output reg error_response,
    input wire [ADDRESS-1:0] base,
    input wire [AW-1:0] limit,
    input wire [AW-1:0] protected_words,
    input wire command_valid,
    output wire command_ready,
    input wire [AW-1:0] command_word,
    input wire [CW-1:0] command_rows,
    input wire [CW-1:0] command_cols,
    input wire [BEATS-1:0] command_beats,
    input wire [AW-1:0] command_col_step,
    input wire [AW-1:0] command_row_step,
    input wire in_valid,
    output wire in_ready,
    input wire [8*BYTES-1:0] in_data,
    output wire taken,
    output reg awvalid,
    input wire awready,
    output reg [ADDRESS-1:0] awaddr,
    output reg [7:0] awlen,
    output reg wvalid,
    input wire wready,
    output reg [8*BYTES-1:0] wdata,
    output reg [BYTES-1:0] wstrb,
    output reg wlast,
    input wire bvalid,
    output wire bready,
    input wire [1:0] bresp
);
    localparam LB = $clog2(MAXB);
    localparam LF = $clog2(FIFO);
    localparam LO = $clog2(OUTSTANDING);
    localparam LY = $clog2(BYTES);

    wire burst_valid, generator_idle;
    wire [AW-1:0] burst_word;
    wire [LB:0] burst_beats;
    wire advance = !awvalid || awready;
    reg enough, slot_ok;
    wire burst_ready = enough && slot_ok && advance;
    wire send = burst_valid && burst_ready && !stop;
    /* verilator lint_off UNUSED */
    wire burst_last;              // responses say when a command has ended, not its last burst
    /* verilator lint_on UNUSED */

    burst_generator #(.AW(AW), .CW(CW), .BEATS(BEATS), .MAXB(MAXB)) generator (
        .clk(clk), .resetn(resetn), .stop(stop), .idle(generator_idle),
        .command_valid(command_valid), .command_ready(command_ready), .command_word(command_word),
        .command_rows(command_rows), .command_cols(command_cols), .command_beats(command_beats),
        .command_col_step(command_col_step), .command_row_step(command_row_step), .command_repeat(1'b0),
        .command_odd_row(1'b0), .command_odd_col(1'b0),
        .burst_valid(burst_valid), .burst_ready(burst_ready), .burst_word(burst_word), .burst_beats(burst_beats),
        .burst_last(burst_last));

    // Words held that no burst has been promised. `enough` is of the burst at hand: it is false for a cycle after each.
    reg [LF:0] held;
    wire push = in_valid && in_ready;
    wire [LF:0] promised = send ? {{LF-LB{1'b0}}, burst_beats} : {LF+1{1'b0}};
    reg [LO:0] flying;            // bursts without a response
    reg [LO:0] waiting;           // bursts whose words have not begun to leave

    always @(posedge clk) begin
        if (!resetn) begin
            held <= 0;
            enough <= 1'b0;
            flying <= 0;
            slot_ok <= 1'b0;
        end else begin
            held <= stop ? 0 : held + {{LF{1'b0}}, push} - promised;
            enough <= burst_valid && !send && !stop && held >= {{LF-LB{1'b0}}, burst_beats};
            flying <= flying + {{LO{1'b0}}, send} - {{LO{1'b0}}, bvalid && flying != 0};
            slot_ok <= flying < OUTSTANDING[LO:0] - 1'b1 && !send;
        end
    end

    // The end of a burst, its bounds and its address have a cycle each.
    reg valid1, valid2, beyond2;
    reg [AW-1:0] word1, word2;
    reg [AW:0] end1;
    reg [LB:0] beats1, beats2;
    wire [AW-1:0] safe_word = beyond2 ? {AW{1'b0}} : word2;
    wire issue = advance && valid2;

    always @(posedge clk) begin
        if (!resetn) begin
            valid1 <= 1'b0;
            valid2 <= 1'b0;
            awvalid <= 1'b0;
        end else if (advance) begin
            valid1 <= send;
            valid2 <= valid1;
            awvalid <= valid2;
        end
        if (advance) begin
            word1 <= burst_word;
            beats1 <= burst_beats;
            end1 <= {1'b0, burst_word} + {{AW-LB{1'b0}}, burst_beats};
            word2 <= word1;
            beats2 <= beats1;
            beyond2 <= end1 > {1'b0, limit} || word1 < protected_words;
            awaddr <= base + {{ADDRESS-AW-LY{1'b0}}, safe_word, {LY{1'b0}}};
            awlen <= {{7-LB{1'b0}}, beats2} - 8'd1;
        end
    end

    // Lengths of the bursts that were issued, for the words that follow them.
    reg [LB+1:0] issued [0:OUTSTANDING-1];
    reg [LO-1:0] issue_at, leave_at;
    reg [LB:0] left;
    reg masked, leaving;
    wire w_free = !wvalid || wready;
    wire move = leaving && w_free;
    wire begin_burst = (!leaving || (move && left == 1)) && waiting != 0;
    wire queue_valid;
    wire [8*BYTES-1:0] queue_data;

    always @(posedge clk) begin
        if (issue) issued[issue_at] <= {beyond2, beats2};
        if (!resetn) begin
            issue_at <= 0;
            leave_at <= 0;
            waiting <= 0;
            leaving <= 1'b0;
            wvalid <= 1'b0;
        end else begin
            if (issue) issue_at <= issue_at + 1'b1;
            waiting <= waiting + {{LO{1'b0}}, issue} - {{LO{1'b0}}, begin_burst};
            if (begin_burst) begin
                leaving <= 1'b1;
                leave_at <= leave_at + 1'b1;
                {masked, left} <= issued[leave_at];
            end else if (move) begin
                left <= left - 1'b1;
                if (left == 1) leaving <= 1'b0;
            end
            if (w_free) wvalid <= leaving;
        end
        if (w_free) begin
            wdata <= queue_data;
            wstrb <= {BYTES{!masked}};
            wlast <= left == 1;
        end
    end

    always @(posedge clk) begin
        if (!resetn || clear) begin
            error_bounds <= 1'b0;
            error_response <= 1'b0;
        end else begin
            if (issue && beyond2) error_bounds <= 1'b1;
            if (bvalid && (bresp != 2'b00 || flying == 0)) error_response <= 1'b1;
        end
        drained <= !resetn || (generator_idle && flying == 0 && !valid1 && !valid2 && !command_valid);
    end

    assign bready = 1'b1;

    // Words wait in order: those of bursts that were promised come first, so after a stop the rest may be dropped from behind.
    reg [LF:0] room_used;
    reg [LF:0] dropping;          // unpromised words to be taken out once the promised ones have left
    wire promised_left = flying != 0 || valid1 || valid2;
    wire drop = dropping != 0 && !promised_left && queue_valid;
    assign in_ready = !room_used[LF] && !stop && dropping == 0;
    assign taken = move || drop;

    always @(posedge clk) begin
        if (!resetn) begin
            room_used <= 0;
            dropping <= 0;
            empty <= 1'b1;
        end else begin
            empty <= room_used == 0 && !push;
            room_used <= room_used + {{LF{1'b0}}, push} - {{LF{1'b0}}, taken};
            if (stop) dropping <= dropping + held + {{LF{1'b0}}, push} - {{LF{1'b0}}, drop};
            else dropping <= dropping - {{LF{1'b0}}, drop};
        end
    end

    fifo #(.WIDTH(8 * BYTES), .DEPTH(FIFO), .STYLE("distributed")) queue (
        .clk(clk), .clear(!resetn), .in_valid(push), .in_data(in_data),
        .out_valid(queue_valid), .out_ready(taken), .out_data(queue_data));
endmodule
