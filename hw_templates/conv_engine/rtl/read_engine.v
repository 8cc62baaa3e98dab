// Reads parts of maps from memory: the addresses run ahead of the data, as far as the FIFO has room.
//
// A command is one of `burst_generator`; words leave in the command's order, the last one with out_last, where out_valid and
// out_ready are both set. Words count from the arena's start at `base` (a multiple of 4 KiB). A burst that would end beyond
// `limit` words is made at the arena's start instead, so that its handshake is completed, and sets `error_bounds`. An answer
// other than OKAY, and a word that nobody asked for (it is dropped), set `error_response`. `clear` resets both errors.
//
// Latency: nine cycles from a command to arvalid, three from rvalid to out_valid. A request is made every second cycle, and
// rready is always set. `stop` drops what was not asked for yet and all words that arrive; `idle`: nothing is under way.
module read_engine #(
    parameter BYTES = 8,          // of a word
    parameter AW = 26,            // bits of a place in memory, in words
    parameter CW = 12,            // bits of rows and columns
    parameter BEATS = 16,         // bits of the words of a run
    parameter ADDRESS = 40,       // bits of an AXI address
    parameter MAXB = 16,          // most words of a burst, a power of two
    parameter FIFO = 256,         // words, a power of two, at least 4 * MAXB
    parameter OUTSTANDING = 16    // most bursts under way, a power of two
) (
    input wire clk,
    input wire resetn,
    input wire stop,
    input wire clear,
    output wire idle,
    output reg error_bounds,
    output reg error_response,
    input wire [ADDRESS-1:0] base,
    input wire [AW-1:0] limit,
    input wire command_valid,
    output wire command_ready,
    input wire [AW-1:0] command_word,
    input wire [CW-1:0] command_rows,
    input wire [CW-1:0] command_cols,
    input wire [BEATS-1:0] command_beats,
    input wire [AW-1:0] command_col_step,
    input wire [AW-1:0] command_row_step,
    input wire command_repeat,
    input wire command_odd_row,
    input wire command_odd_col,
    output reg arvalid,
    input wire arready,
    output reg [ADDRESS-1:0] araddr,
    output reg [7:0] arlen,
    input wire rvalid,
    output wire rready,
    input wire [8*BYTES-1:0] rdata,
    input wire [1:0] rresp,
    input wire rlast,
    output wire out_valid,
    input wire out_ready,
    output wire [8*BYTES-1:0] out_data,
    output wire out_last
);
    localparam LB = $clog2(MAXB);
    localparam LF = $clog2(FIFO);
    localparam LO = $clog2(OUTSTANDING);
    localparam LY = $clog2(BYTES);

    wire burst_valid, burst_last, generator_idle;
    wire [AW-1:0] burst_word;
    wire [LB:0] burst_beats;
    wire advance = !arvalid || arready;
    reg credit_ok, slot_ok;
    wire burst_ready = credit_ok && slot_ok && advance;
    wire send = burst_valid && burst_ready && !stop;

    burst_generator #(.AW(AW), .CW(CW), .BEATS(BEATS), .MAXB(MAXB)) generator (
        .clk(clk), .resetn(resetn), .stop(stop), .idle(generator_idle),
        .command_valid(command_valid), .command_ready(command_ready), .command_word(command_word),
        .command_rows(command_rows), .command_cols(command_cols), .command_beats(command_beats),
        .command_col_step(command_col_step), .command_row_step(command_row_step), .command_repeat(command_repeat),
        .command_odd_row(command_odd_row), .command_odd_col(command_odd_col),
        .burst_valid(burst_valid), .burst_ready(burst_ready), .burst_word(burst_word), .burst_beats(burst_beats),
        .burst_last(burst_last));

    // The end of a burst, its bounds and its address have a cycle each.
    reg valid1, valid2, beyond2;
    reg [AW-1:0] word1, word2;
    reg [AW:0] end1;
    reg [LB:0] beats1, beats2;
    wire [AW-1:0] safe_word = beyond2 ? {AW{1'b0}} : word2;

    always @(posedge clk) begin
        if (!resetn) begin
            valid1 <= 1'b0;
            valid2 <= 1'b0;
            arvalid <= 1'b0;
        end else if (advance) begin
            valid1 <= send;
            valid2 <= valid1;
            arvalid <= valid2;
        end
        if (advance) begin
            word1 <= burst_word;
            beats1 <= burst_beats;
            end1 <= {1'b0, burst_word} + {{AW-LB{1'b0}}, burst_beats};
            word2 <= word1;
            beats2 <= beats1;
            beyond2 <= end1 > {1'b0, limit};
            araddr <= base + {{ADDRESS-AW-LY{1'b0}}, safe_word, {LY{1'b0}}};
            arlen <= {{7-LB{1'b0}}, beats2} - 8'd1;
        end
    end

    // Room in the FIFO is promised when a burst is sent; a burst of slack gives each comparison a cycle of its own.
    reg [LF:0] credits;
    reg [LO:0] flying;            // bursts asked for that have not ended
    wire accept = rvalid && flying != 0;
    wire ended = accept && rlast;
    wire leave = out_valid && (out_ready || stop);
    wire [LF:0] sent_words = send ? {{LF-LB{1'b0}}, burst_beats} : {LF+1{1'b0}};

    always @(posedge clk) begin
        if (!resetn) begin
            credits <= FIFO[LF:0];
            flying <= 0;
            credit_ok <= 1'b0;
            slot_ok <= 1'b0;
        end else begin
            credits <= credits - sent_words + {{LF{1'b0}}, leave};
            flying <= flying + {{LO{1'b0}}, send} - {{LO{1'b0}}, ended};
            credit_ok <= credits >= 2 * MAXB[LF:0];
            slot_ok <= flying < OUTSTANDING[LO:0] - 1'b1;
        end
    end

    // Which of the bursts under way ends its command.
    (* ram_style = "distributed" *) reg lasts [0:OUTSTANDING-1];
    reg [LO-1:0] first_burst, next_burst;
    always @(posedge clk) begin
        if (send) lasts[next_burst] <= burst_last;
        if (!resetn) begin
            first_burst <= 0;
            next_burst <= 0;
        end else begin
            if (send) next_burst <= next_burst + 1'b1;
            if (ended) first_burst <= first_burst + 1'b1;
        end
    end

    always @(posedge clk) begin
        if (!resetn || clear) begin
            error_bounds <= 1'b0;
            error_response <= 1'b0;
        end else begin
            if (advance && valid2 && beyond2) error_bounds <= 1'b1;
            if (rvalid && (rresp != 2'b00 || !accept)) error_response <= 1'b1;
        end
    end

    assign rready = 1'b1;
    assign idle = generator_idle && flying == 0 && credits == FIFO[LF:0];

    fifo #(.WIDTH(8 * BYTES + 1), .DEPTH(FIFO), .STYLE("block")) queue (
        .clk(clk), .clear(!resetn), .in_valid(accept), .in_data({lasts[first_burst] && rlast, rdata}),
        .out_valid(out_valid), .out_ready(out_ready || stop), .out_data({out_last, out_data}));
endmodule
