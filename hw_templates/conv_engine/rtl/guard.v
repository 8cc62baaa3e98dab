// Counts the cycles of a run, and says why it must end before its program does.
//
// `code` is 0, 6 (no stage moved for `watchdog` cycles), 7 (the run took `cycle_limit` cycles) or 8 (`abort` was set); it stays
// until the next begin. A watchdog or a limit of 0 watches nothing. Latency: two cycles from the cycle that is one too many.
module guard (
    input wire clk,
    input wire resetn,
    input wire begin_program,
    input wire running,
    input wire abort,
    input wire progress,          // something moves at a port, or the array computes
    input wire [31:0] watchdog,
    input wire [63:0] cycle_limit,
    output reg [63:0] cycles,
    output reg [3:0] code
);
    reg [31:0] still;
    reg still_long, low_reached, high_reached, watches, limits;

    always @(posedge clk) begin
        watches <= watchdog != 32'd0;
        limits <= cycle_limit != 64'd0;
        still <= progress || !running ? 32'd0 : still + 32'd1;
        still_long <= still == watchdog;
        low_reached <= cycles[31:0] == cycle_limit[31:0];
        high_reached <= cycles[63:32] == cycle_limit[63:32];
        if (begin_program) cycles <= 64'd0;
        else if (running) cycles <= cycles + 64'd1;
        if (!resetn || begin_program) code <= 4'd0;
        else if (running && code == 4'd0) begin
            if (abort) code <= 4'd8;
            else if (limits && low_reached && high_reached) code <= 4'd7;
            else if (watches && still_long) code <= 4'd6;
        end
    end
endmodule
