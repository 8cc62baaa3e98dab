// Cuts a part of a map into AXI bursts: `rows` x `cols` runs of `beats` words that follow each other in memory.
//
// A run begins `col_step` words after the run before it, a row `row_step` words after the row before it. A burst has at most
// MAXB words and ends at a multiple of MAXB words, so that none crosses 4 KiB. With `repeat` rows and columns are counted
// twice over: each row is made twice, and each run of a row twice; `odd_row` (`odd_col`) begins with the second copy.
//
// Handshake: a command is taken where command_valid and command_ready are set; its rows, cols and beats are at least 1. A
// burst leaves where burst_valid and burst_ready are set. Latency: five cycles from a command to its first burst, then two
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
    output reg [AW-1:0] burst_word,
    output reg [$clog2(MAXB):0] burst_beats,
    output reg burst_last         // the command's last burst
);
    localparam LB = $clog2(MAXB);

    // Runs, one a cycle. A step is added after the second copy alone where runs are repeated.
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
    wire next_row = !repeated || second_row;
    wire next_col = !repeated || second_col;
    wire [AW-1:0] following_row = row_at + (next_row ? row_step : {AW{1'b0}});

    assign command_ready = !busy && !run_valid;

    always @(posedge clk) begin
        if (!resetn || stop) begin
            busy <= 1'b0;
            run_valid <= 1'b0;
        end else begin
            if (command_valid && command_ready) begin
                busy <= 1'b1;
                at <= command_word;
                row_at <= command_word;
                cols <= command_cols;
                cols_left <= command_cols;
                rows_left <= command_rows;
                beats <= command_beats;
                col_step <= command_col_step;
                row_step <= command_row_step;
                repeated <= command_repeat;
                odd_col <= command_odd_col;
                second_col <= command_odd_col;
                second_row <= command_odd_row;
            end
            if (step) begin
                run_valid <= 1'b1;
                run_word <= at;
                run_last <= last_col && last_row;
                if (last_col) begin
                    cols_left <= cols;
                    rows_left <= rows_left - 1'b1;
                    second_row <= ~second_row;
                    second_col <= odd_col;
                    row_at <= following_row;
                    at <= following_row;
                    if (last_row) busy <= 1'b0;
                end else begin
                    cols_left <= cols_left - 1'b1;
                    second_col <= ~second_col;
                    if (next_col) at <= at + col_step;
                end
            end else if (run_take) begin
                run_valid <= 1'b0;
            end
        end
    end

    // Bursts of a run: first the length, then what is left of the run.
    reg in_run, last_run;
    reg [AW-1:0] word;
    reg [BEATS-1:0] rest;
    wire [LB:0] room = MAXB[LB:0] - {1'b0, word[LB-1:0]};
    wire short = rest < {{BEATS-LB-1{1'b0}}, room};
    wire sent = burst_valid && burst_ready;
    wire ends = rest == {{BEATS-LB-1{1'b0}}, burst_beats};

    assign run_take = run_valid && (!in_run || (sent && ends));
    assign idle = !busy && !run_valid && !in_run;

    always @(posedge clk) begin
        if (!resetn || stop) begin
            in_run <= 1'b0;
            burst_valid <= 1'b0;
        end else if (run_take) begin
            in_run <= 1'b1;
            last_run <= run_last;
            word <= run_word;
            rest <= beats;
            burst_valid <= 1'b0;
        end else if (in_run && !burst_valid) begin
            burst_valid <= 1'b1;
            burst_word <= word;
            burst_beats <= short ? rest[LB:0] : room;
            burst_last <= last_run && (short || rest == {{BEATS-LB-1{1'b0}}, room});
        end else if (sent) begin
            burst_valid <= 1'b0;
            word <= word + {{AW-LB-1{1'b0}}, burst_beats};
            rest <= rest - {{BEATS-LB-1{1'b0}}, burst_beats};
            if (ends) in_run <= 1'b0;
        end
    end
endmodule
