// Cuts a part of a map into AXI bursts: `rows` x `cols` runs of `beats` words that follow each other in memory.
//
// A run begins `col_step` words after the run before it, a row `row_step` words after the row before it. A burst has at most
// MAXB words and ends at a multiple of MAXB words, so that none crosses 4 KiB. With `repeat` rows and columns are counted
// twice over: each row is made twice, and each run of a row twice; `odd_row` (`odd_col`) begins with the second copy.
//
// Handshake: a command is taken where command_valid and command_ready are set; rows and columns of 0 count as 2^CW, beats of 0
// as 1. A burst leaves where burst_valid and burst_ready are set. Latency: five cycles from a command to its first burst, then two
// cycles a burst. `stop` drops what has not left. `idle`: nothing is held.
module burst_generator #(
    parameter AW = 26,            // bits of a place in memory, in words
    parameter CW = 12,            // bits of rows and columns
    parameter BEATS = 16,         // bits of the words of a run
    parameter MAXB = 16           // most words of a burst, a power of two
) (
    input wire clk,
    input wire resetn,
    input wire stop,
    output wire idle,
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
    output reg burst_valid,
    input wire burst_ready,
    output wire [AW-1:0] burst_word,
    output reg [$clog2(MAXB):0] burst_beats,
    output wire burst_last        // the command's last burst
);
    localparam LB = $clog2(MAXB);

    // Runs: one adder makes the next run of a row, and the next row. A repeated run or row is made twice before it steps.
    reg busy, repeated, odd_col, second_row, second_col;
    reg [AW-1:0] at, row_at, col_step, row_step;
    reg [CW-1:0] cols, cols_left, rows_left;
    reg [BEATS-1:0] beats;
    reg run_valid, run_last;
    reg [AW-1:0] run_word;
    wire run_take;
    wire step = busy && (!run_valid || run_take);
    wire last_col = cols_left == 1;
    wire last_row = rows_left == 1;
    wire moves = !repeated || (last_col ? second_row : second_col);
    wire [AW-1:0] from = last_col ? row_at : at;
    wire [AW-1:0] by = !moves ? {AW{1'b0}} : last_col ? row_step : col_step;
    wire [AW-1:0] next_at = from + by;

    assign command_ready = !busy && !run_valid;
    wire take = command_valid && command_ready;

    always @(posedge clk) begin
        if (!resetn || stop) begin
            busy <= 1'b0;
            run_valid <= 1'b0;
        end else begin
            if (take) busy <= 1'b1;
            else if (step && last_col && last_row) busy <= 1'b0;
            if (step) run_valid <= 1'b1;
            else if (run_take) run_valid <= 1'b0;
        end
        if (take) begin
            cols <= command_cols;
            // A burst of no words would be one of 256 on the bus.
            beats <= command_beats | {{BEATS-1{1'b0}}, command_beats == 0};
            col_step <= command_col_step;
            row_step <= command_row_step;
            repeated <= command_repeat;
            odd_col <= command_odd_col;
        end
        if (take || step) begin
            at <= take ? command_word : next_at;
            cols_left <= take ? command_cols : last_col ? cols : cols_left - 1'b1;
            second_col <= take ? command_odd_col : last_col ? odd_col : !second_col;
        end
        if (take || (step && last_col)) begin
            row_at <= take ? command_word : next_at;
            rows_left <= take ? command_rows : rows_left - 1'b1;
            second_row <= take ? command_odd_row : !second_row;
        end
        if (step) begin
            run_word <= at;
            run_last <= last_col && last_row;
        end
    end

    // Bursts of a run: first the length, then what is left of the run.
    reg in_run, last_run, ends;
    reg [AW-1:0] word;
    reg [BEATS-1:0] rest;
    wire [LB:0] room = MAXB[LB:0] - {1'b0, word[LB-1:0]};
    wire fits = rest <= {{BEATS-LB-1{1'b0}}, room};
    wire sent = burst_valid && burst_ready;

    assign run_take = run_valid && (!in_run || (sent && ends));
    assign idle = !busy && !run_valid && !in_run;
    assign burst_word = word;
    assign burst_last = ends && last_run;

    always @(posedge clk) begin
        if (!resetn || stop) begin
            in_run <= 1'b0;
            burst_valid <= 1'b0;
        end else begin
            if (run_take) in_run <= 1'b1;
            else if (sent && ends) in_run <= 1'b0;
            burst_valid <= in_run && !sent;
        end
        if (run_take) last_run <= run_last;
        if (run_take || sent) begin
            word <= run_take ? run_word : word + {{AW-LB-1{1'b0}}, burst_beats};
            rest <= run_take ? beats : rest - {{BEATS-LB-1{1'b0}}, burst_beats};
        end
        if (!burst_valid) begin
            ends <= fits;
            burst_beats <= fits ? rest[LB:0] : room;
        end
    end
endmodule
