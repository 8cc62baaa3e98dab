// The engine's registers behind AXI-Lite: version 2 of the register map.
//
//     0x00 control      bit 0 start, 1 done (cleared by reading), 2 idle, 3 ready; bit 7 is not used
//     0x04 0x08 0x0c    interrupt: global enable, enable (bit 0: done), status (cleared by writing 1)
//     0x10 0x1c 0x28 0x34   physical address of the arena, as the ifmap, weight, residual and ofmap port see it (64 bits)
//     0x40 program_word, 0x48 layer_count, 0x50 arena_words, 0x58 protected_words
//     0x60 status       bits 0-3 error code, 8 running, 9 ended without having drained, 16-31 layer
//     0x68 cycles       of the last run (64 bits)
//     0x70 watchdog     cycles without progress that end a run, 0: none
//     0x74 abort        bit 0 ends a run
//     0x78 cycle_limit  cycles that end a run, 0: none (64 bits)
//
// A word is written where address and data have come; strobes are obeyed by whole words only (all or none). While a program
// runs only control, interrupt and abort can be written. `unsound`: a place is wider than the engine's, a port does not begin
// at a multiple of 4 KiB, the arena has not the words of a burst, or the program does not lie in it; it is right two cycles after
// a register was written.
`include "engine_format.vh"
module control_regs #(
    parameter AW = 26,
    parameter ADDRESS = 40,
    parameter LEAST_WORDS = 16,   // of an arena
    parameter DESCRIPTOR_SHIFT = 6 // a descriptor has 2^DESCRIPTOR_SHIFT words
) (
    input wire clk,
    input wire resetn,
    input wire [6:0] s_awaddr,
    input wire s_awvalid,
    output wire s_awready,
    input wire [31:0] s_wdata,
    input wire [3:0] s_wstrb,
    input wire s_wvalid,
    output wire s_wready,
    output wire [1:0] s_bresp,
    output reg s_bvalid,
    input wire s_bready,
    input wire [6:0] s_araddr,
    input wire s_arvalid,
    output wire s_arready,
    output reg [31:0] s_rdata,
    output wire [1:0] s_rresp,
    output reg s_rvalid,
    input wire s_rready,
    output wire done_interrupt,
    output reg begin_program,
    output wire [ADDRESS-1:0] ifmap_port,
    output wire [ADDRESS-1:0] weight_port,
    output wire [ADDRESS-1:0] residual_port,
    output wire [ADDRESS-1:0] ofmap_port,
    output reg [AW-1:0] program_word,
    output reg [15:0] layer_count,
    output reg [AW-1:0] arena_words,
    output reg [AW-1:0] protected_words,
    output reg [31:0] watchdog,
    output reg [63:0] cycle_limit,
    output reg abort,
    output reg unsound,
    input wire finished,
    input wire running,
    input wire undrained,
    input wire [3:0] error_code,
    input wire [15:0] layer,
    input wire [63:0] cycles
);
    reg done, global_enable, done_enable, done_status;
    reg [63:0] ports [0:3];
    wire write = s_awvalid && s_wvalid && !s_bvalid;
    wire read = s_arvalid && !s_rvalid;
    wire whole = s_wstrb == 4'hf;
    wire writable = !running || s_awaddr[6:2] <= `REGISTER_INTERRUPT_STATUS || s_awaddr[6:2] == `REGISTER_ABORT;

    assign s_awready = write;
    assign s_wready = write;
    assign s_arready = read;
    assign s_bresp = 2'b00;
    assign s_rresp = 2'b00;
    assign done_interrupt = global_enable && done_status;
    assign ifmap_port = ports[0][ADDRESS-1:0];
    assign weight_port = ports[1][ADDRESS-1:0];
    assign residual_port = ports[2][ADDRESS-1:0];
    assign ofmap_port = ports[3][ADDRESS-1:0];
    /* verilator lint_off UNUSED */
    wire [1:0] byte_of_word = s_awaddr[1:0] | s_araddr[1:0];
    /* verilator lint_on UNUSED */

    always @(posedge clk) begin
        begin_program <= 1'b0;
        abort <= 1'b0;
        if (write && whole && writable) begin
            case (s_awaddr[6:2])
                `REGISTER_CONTROL: begin_program <= s_wdata[0] && !running && !begin_program;
                `REGISTER_GLOBAL_INTERRUPT: global_enable <= s_wdata[0];
                `REGISTER_INTERRUPT_ENABLE: done_enable <= s_wdata[0];
                `REGISTER_IFMAP_PORT: ports[0][31:0] <= s_wdata;
                `REGISTER_IFMAP_PORT + 5'd1: ports[0][63:32] <= s_wdata;
                `REGISTER_WEIGHT_PORT: ports[1][31:0] <= s_wdata;
                `REGISTER_WEIGHT_PORT + 5'd1: ports[1][63:32] <= s_wdata;
                `REGISTER_RESIDUAL_PORT: ports[2][31:0] <= s_wdata;
                `REGISTER_RESIDUAL_PORT + 5'd1: ports[2][63:32] <= s_wdata;
                `REGISTER_OFMAP_PORT: ports[3][31:0] <= s_wdata;
                `REGISTER_OFMAP_PORT + 5'd1: ports[3][63:32] <= s_wdata;
                `REGISTER_PROGRAM_WORD: {program_wide, program_word} <= {s_wdata[31:AW] != 0, s_wdata[AW-1:0]};
                `REGISTER_LAYER_COUNT: {layers_wide, layer_count} <= {s_wdata[31:16] != 0, s_wdata[15:0]};
                `REGISTER_ARENA_WORDS: {arena_wide, arena_words} <= {s_wdata[31:AW] != 0, s_wdata[AW-1:0]};
                `REGISTER_PROTECTED_WORDS: {protected_wide, protected_words} <= {s_wdata[31:AW] != 0, s_wdata[AW-1:0]};
                `REGISTER_WATCHDOG: watchdog <= s_wdata;
                `REGISTER_ABORT: abort <= s_wdata[0];
                `REGISTER_CYCLE_LIMIT: cycle_limit[31:0] <= s_wdata;
                `REGISTER_CYCLE_LIMIT + 5'd1: cycle_limit[63:32] <= s_wdata;
                default: ;
            endcase
        end
        if (read) begin
            case (s_araddr[6:2])
                `REGISTER_CONTROL: s_rdata <= {28'd0, !running, !running, done, running};
                `REGISTER_GLOBAL_INTERRUPT: s_rdata <= {31'd0, global_enable};
                `REGISTER_INTERRUPT_ENABLE: s_rdata <= {31'd0, done_enable};
                `REGISTER_INTERRUPT_STATUS: s_rdata <= {31'd0, done_status};
                `REGISTER_IFMAP_PORT: s_rdata <= ports[0][31:0];
                `REGISTER_IFMAP_PORT + 5'd1: s_rdata <= ports[0][63:32];
                `REGISTER_WEIGHT_PORT: s_rdata <= ports[1][31:0];
                `REGISTER_WEIGHT_PORT + 5'd1: s_rdata <= ports[1][63:32];
                `REGISTER_RESIDUAL_PORT: s_rdata <= ports[2][31:0];
                `REGISTER_RESIDUAL_PORT + 5'd1: s_rdata <= ports[2][63:32];
                `REGISTER_OFMAP_PORT: s_rdata <= ports[3][31:0];
                `REGISTER_OFMAP_PORT + 5'd1: s_rdata <= ports[3][63:32];
                `REGISTER_PROGRAM_WORD: s_rdata <= {{32-AW{1'b0}}, program_word};
                `REGISTER_LAYER_COUNT: s_rdata <= {16'd0, layer_count};
                `REGISTER_ARENA_WORDS: s_rdata <= {{32-AW{1'b0}}, arena_words};
                `REGISTER_PROTECTED_WORDS: s_rdata <= {{32-AW{1'b0}}, protected_words};
                `REGISTER_STATUS: s_rdata <= {layer, 6'd0, undrained, running, 4'd0, error_code};
                `REGISTER_CYCLES: s_rdata <= cycles[31:0];
                `REGISTER_CYCLES + 5'd1: s_rdata <= cycles[63:32];
                `REGISTER_WATCHDOG: s_rdata <= watchdog;
                `REGISTER_CYCLE_LIMIT: s_rdata <= cycle_limit[31:0];
                `REGISTER_CYCLE_LIMIT + 5'd1: s_rdata <= cycle_limit[63:32];
                default: s_rdata <= 32'd0;
            endcase
        end
        s_bvalid <= write || (s_bvalid && !s_bready);
        s_rvalid <= read || (s_rvalid && !s_rready);
        if (finished) done <= 1'b1;
        else if (read && s_araddr[6:2] == `REGISTER_CONTROL) done <= 1'b0;
        if (finished && done_enable) done_status <= 1'b1;
        else if (write && whole && s_awaddr[6:2] == `REGISTER_INTERRUPT_STATUS && s_wdata[0]) done_status <= 1'b0;
        if (!resetn) begin
            {s_bvalid, s_rvalid, done, global_enable, done_enable, done_status} <= 6'd0;
            {begin_program, abort} <= 2'd0;
            layer_count <= 16'd0;
            watchdog <= 32'd0;
            cycle_limit <= 64'd0;
        end
    end

    // What a run is refused for, a sum and a comparison a cycle.
    reg program_wide, layers_wide, arena_wide, protected_wide, unaligned, port_wide;
    reg [AW:0] program_end;
    always @(posedge clk) begin
        program_end <= {1'b0, program_word} + ({{AW-15{1'b0}}, layer_count} << DESCRIPTOR_SHIFT);
        unaligned <= {ports[0][11:0], ports[1][11:0], ports[2][11:0], ports[3][11:0]} != 48'd0;
        port_wide <= {ports[0][63:ADDRESS], ports[1][63:ADDRESS], ports[2][63:ADDRESS], ports[3][63:ADDRESS]} != 0;
        unsound <= program_wide || layers_wide || arena_wide || protected_wide || unaligned || port_wide ||
                   layer_count == 16'd0 || arena_words < LEAST_WORDS[AW-1:0] || program_end > {1'b0, arena_words};
    end
endmodule
