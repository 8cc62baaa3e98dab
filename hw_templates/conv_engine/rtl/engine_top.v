// The convolution engine: control registers, sequencer, three loaders, compute stage and store around one arena in memory.
//
// Its parameters stand in engine_config.vh, which is made for each accelerator. The memory ports are AXI4 with whole words
// only (size is the port's width, bursts are INCR), and see the arena each at an address of its own.
`include "engine_config.vh"
`include "engine_format.vh"
module engine_top (
    input wire clk,
    input wire resetn,
    input wire [6:0] s_axi_control_awaddr,
    input wire s_axi_control_awvalid,
    output wire s_axi_control_awready,
    input wire [31:0] s_axi_control_wdata,
    input wire [3:0] s_axi_control_wstrb,
    input wire s_axi_control_wvalid,
    output wire s_axi_control_wready,
    output wire [1:0] s_axi_control_bresp,
    output wire s_axi_control_bvalid,
    input wire s_axi_control_bready,
    input wire [6:0] s_axi_control_araddr,
    input wire s_axi_control_arvalid,
    output wire s_axi_control_arready,
    output wire [31:0] s_axi_control_rdata,
    output wire [1:0] s_axi_control_rresp,
    output wire s_axi_control_rvalid,
    input wire s_axi_control_rready,
    output wire m_axi_ifmap_arvalid,
    input wire m_axi_ifmap_arready,
    output wire [`ENGINE_ADDRESS-1:0] m_axi_ifmap_araddr,
    output wire [7:0] m_axi_ifmap_arlen,
    input wire m_axi_ifmap_rvalid,
    output wire m_axi_ifmap_rready,
    input wire [8*`ENGINE_BYTES-1:0] m_axi_ifmap_rdata,
    input wire [1:0] m_axi_ifmap_rresp,
    input wire m_axi_ifmap_rlast,
    output wire m_axi_weights_arvalid,
    input wire m_axi_weights_arready,
    output wire [`ENGINE_ADDRESS-1:0] m_axi_weights_araddr,
    output wire [7:0] m_axi_weights_arlen,
    input wire m_axi_weights_rvalid,
    output wire m_axi_weights_rready,
    input wire [8*`ENGINE_BYTES*`ENGINE_PORT_WORDS-1:0] m_axi_weights_rdata,
    input wire [1:0] m_axi_weights_rresp,
    input wire m_axi_weights_rlast,
    output wire m_axi_residual_arvalid,
    input wire m_axi_residual_arready,
    output wire [`ENGINE_ADDRESS-1:0] m_axi_residual_araddr,
    output wire [7:0] m_axi_residual_arlen,
    input wire m_axi_residual_rvalid,
    output wire m_axi_residual_rready,
    input wire [8*`ENGINE_BYTES-1:0] m_axi_residual_rdata,
    input wire [1:0] m_axi_residual_rresp,
    input wire m_axi_residual_rlast,
    output wire m_axi_ofmap_awvalid,
    input wire m_axi_ofmap_awready,
    output wire [`ENGINE_ADDRESS-1:0] m_axi_ofmap_awaddr,
    output wire [7:0] m_axi_ofmap_awlen,
    output wire m_axi_ofmap_wvalid,
    input wire m_axi_ofmap_wready,
    output wire [8*`ENGINE_BYTES-1:0] m_axi_ofmap_wdata,
    output wire [`ENGINE_BYTES-1:0] m_axi_ofmap_wstrb,
    output wire m_axi_ofmap_wlast,
    input wire m_axi_ofmap_bvalid,
    output wire m_axi_ofmap_bready,
    input wire [1:0] m_axi_ofmap_bresp,
    output wire done_interrupt
);
    // Parameters of the accelerator, and what follows from them.
    localparam BYTES = `ENGINE_BYTES, PORT_WORDS = `ENGINE_PORT_WORDS, PORT_BYTES = BYTES * PORT_WORDS;
    localparam ROWS = `ENGINE_ROWS, COLS = `ENGINE_COLS, PIXELS = `ENGINE_PIXELS, LANES = `ENGINE_LANES;
    localparam WORDS = COLS / BYTES;
    localparam IFMAP_DEPTH = `ENGINE_IFMAP_DEPTH, IFMAP_BUFFERS = `ENGINE_IFMAP_BUFFERS;
    localparam WEIGHT_DEPTH = `ENGINE_WEIGHT_DEPTH, WEIGHT_BUFFERS = `ENGINE_WEIGHT_BUFFERS;
    localparam SUM_DEPTH = `ENGINE_SUM_DEPTH, OFMAP_BUFFERS = `ENGINE_OFMAP_BUFFERS;
    localparam RESIDUAL_DEPTH = `ENGINE_RESIDUAL_DEPTH;
    localparam AW = 26, CW = 12, BEATS = 16, ACC = 32, ADDRESS = `ENGINE_ADDRESS;
    localparam IA = `ENGINE_IA, WA = `ENGINE_WA, OA = `ENGINE_OA, RA = `ENGINE_RA, PA = `ENGINE_PA;
    localparam KW = `ENGINE_KW, TW = `ENGINE_TW, DW = `ENGINE_DW, RW = `ENGINE_RW, PW = `ENGINE_PW, LW = RW;
    localparam CHAIN = `ENGINE_CHAIN, FIELD_BITS = `ENGINE_FIELD, LATENCY = 4 + CHAIN + $clog2(COLS / CHAIN);
    localparam MAXB = `ENGINE_MAX_BURST, READ_FIFO = `ENGINE_READ_FIFO, WRITE_FIFO = `ENGINE_WRITE_FIFO;
    localparam SHIFT = PORT_WORDS == 2 ? 1 : 0;
    localparam POST_LANES = `ENGINE_POST_LANES, MAP_BANKS = `ENGINE_MAP_BANKS, MAP_DEPTH = `ENGINE_MAP_DEPTH;
    localparam MA = `ENGINE_MA, BW = `ENGINE_BW, MAPS = MAP_DEPTH != 0 ? 1 : 0;

    // Control.
    wire begin_program, finished, running;
    wire [ADDRESS-1:0] ifmap_base_address, weight_base_address, residual_base_address, ofmap_base_address;
    wire [AW-1:0] program_word, arena_words, protected_words;
    wire [15:0] layer_count, layer;
    wire [3:0] error_code, guard_code;
    wire unsound, abort, halt, undrained;
    wire [31:0] watchdog;
    wire [63:0] cycle_limit, cycles;
    localparam DESCRIPTOR_WORDS = `DESCRIPTOR_BYTES / BYTES;
    control_regs #(
        .AW(AW), .ADDRESS(ADDRESS), .LEAST_WORDS(MAXB * PORT_WORDS), .DESCRIPTOR_SHIFT($clog2(DESCRIPTOR_WORDS))
    ) registers (
        .clk(clk), .resetn(resetn), .s_awaddr(s_axi_control_awaddr), .s_awvalid(s_axi_control_awvalid),
        .s_awready(s_axi_control_awready), .s_wdata(s_axi_control_wdata), .s_wstrb(s_axi_control_wstrb),
        .s_wvalid(s_axi_control_wvalid), .s_wready(s_axi_control_wready), .s_bresp(s_axi_control_bresp),
        .s_bvalid(s_axi_control_bvalid), .s_bready(s_axi_control_bready), .s_araddr(s_axi_control_araddr),
        .s_arvalid(s_axi_control_arvalid), .s_arready(s_axi_control_arready), .s_rdata(s_axi_control_rdata),
        .s_rresp(s_axi_control_rresp), .s_rvalid(s_axi_control_rvalid), .s_rready(s_axi_control_rready),
        .done_interrupt(done_interrupt), .begin_program(begin_program), .ifmap_port(ifmap_base_address),
        .weight_port(weight_base_address), .residual_port(residual_base_address), .ofmap_port(ofmap_base_address),
        .program_word(program_word), .layer_count(layer_count), .arena_words(arena_words),
        .protected_words(protected_words), .watchdog(watchdog), .cycle_limit(cycle_limit), .abort(abort),
        .unsound(unsound), .finished(finished), .running(running), .undrained(undrained), .error_code(error_code),
        .layer(layer), .cycles(cycles));
    wire compute_done;
    wire ifmap_moves = (m_axi_ifmap_arvalid && m_axi_ifmap_arready) || m_axi_ifmap_rvalid;
    wire weights_move = (m_axi_weights_arvalid && m_axi_weights_arready) || m_axi_weights_rvalid;
    wire residual_moves = (m_axi_residual_arvalid && m_axi_residual_arready) || m_axi_residual_rvalid;
    wire ofmap_moves = (m_axi_ofmap_awvalid && m_axi_ofmap_awready) || (m_axi_ofmap_wvalid && m_axi_ofmap_wready) ||
                       m_axi_ofmap_bvalid;
    wire map_reads, map_valid;
    wire map_moves = map_reads || map_valid;
    guard of_run (
        .clk(clk), .resetn(resetn), .begin_program(begin_program), .running(running), .abort(abort),
        .progress(ifmap_moves || weights_move || residual_moves || ofmap_moves || map_moves || !compute_done), .watchdog(watchdog),
        .cycle_limit(cycle_limit), .cycles(cycles), .code(guard_code));
    wire stages_resetn = resetn && !halt;

    // The layer's constants, from the configuration bus: loaders and array turn to the next layer before the store does.
    wire config_write, turn_fetch, turn_store;
    wire [5:0] config_unit;
    wire [63:0] config_data;
    `define FIELD(NAME, BITS, AT, TURN) \
        wire [BITS-1:0] NAME; \
        layer_field #(.WIDTH(BITS), .INDEX(AT)) of_``NAME ( \
            .clk(clk), .config_write(config_write), .config_unit(config_unit), .config_data(config_data), .turn(TURN), \
            .value(NAME));
    `FIELD(operation, 3, `AT_OPERATION, turn_fetch)
    `FIELD(four_bit, 1, `AT_FOUR_BIT_WEIGHTS, turn_fetch)
    `FIELD(pad_value, 8, `AT_PAD_VALUE, turn_fetch)
    `FIELD(repeated, 1, `AT_REPEAT, turn_fetch)
    `FIELD(kernel_rows, KW, `AT_KERNEL_HEIGHT, turn_fetch)
    `FIELD(kernel_cols, KW, `AT_KERNEL_WIDTH, turn_fetch)
    `FIELD(stride_rows, DW, `AT_STRIDE_HEIGHT, turn_fetch)
    `FIELD(stride_cols, DW, `AT_STRIDE_WIDTH, turn_fetch)
    `FIELD(dilation_rows, DW, `AT_DILATION_HEIGHT, turn_fetch)
    `FIELD(dilation_cols, DW, `AT_DILATION_WIDTH, turn_fetch)
    `FIELD(in_width, CW, `AT_IN_WIDTH, turn_fetch)
    `FIELD(in_height, CW, `AT_IN_HEIGHT, turn_fetch)
    `FIELD(d_slots, IA, `AT_D_SLOTS, turn_fetch)
    `FIELD(d_line, IA, `AT_D_LINE, turn_fetch)
    `FIELD(d_row, IA, `AT_D_ROW, turn_fetch)
    `FIELD(d_group, IA, `AT_D_GROUP, turn_fetch)
    `FIELD(d_out_row, IA, `AT_D_OUT_ROW, turn_fetch)
    `FIELD(x_pixel, CW, `AT_X_PIXEL, turn_fetch)
    `FIELD(in_col_step, AW, `AT_IN_COL_STEP, turn_fetch)
    `FIELD(in_row_step, AW, `AT_IN_ROW_STEP, turn_fetch)
    `FIELD(stored_operation, 3, `AT_OPERATION, turn_store)
    `FIELD(out_width, CW, `AT_OUT_WIDTH, turn_store)
    `FIELD(out_height, CW, `AT_OUT_HEIGHT, turn_store)
    `FIELD(out_col_step, AW, `AT_OUT_COL_STEP, turn_store)
    `FIELD(out_row_step, AW, `AT_OUT_ROW_STEP, turn_store)
    `FIELD(res_col_step, AW, `AT_RES_COL_STEP, turn_store)
    `FIELD(res_row_step, AW, `AT_RES_ROW_STEP, turn_store)
    `FIELD(residual, 2, `AT_RESIDUAL, turn_store)
    `FIELD(residual_multiplier, 24, `AT_RESIDUAL_MULTIPLIER, turn_store)
    `FIELD(edges, 19, `AT_EDGES, turn_store)
    `FIELD(map_out, 1, `AT_MAP_OUT, turn_store)
    `FIELD(map_out_ring, MA, `AT_MAP_OUT_RING, turn_store)
    `FIELD(map_out_end, MA, `AT_MAP_OUT_END, turn_store)
    `undef FIELD
    wire channel_wise = operation != `OPERATION_CONV;
    wire averages = operation == `OPERATION_POOL;
    wire maximum = operation == `OPERATION_MAX_POOL;

    // The table of tap columns: two fields a unit, from AT_TAP_COL_0 on, into the half that no tile reads.
    reg tap_half;
    always @(posedge clk) tap_half <= resetn && (tap_half ^ turn_fetch);
    localparam [7:0] FIRST_TAP = `AT_TAP_COL_0, TAPS = 11;
    reg [31:0] tap_late;
    reg [7:0] tap_late_at;
    reg tap_late_valid;
    wire [7:0] unit_field = {1'b0, config_unit, 1'b0};
    wire low_is_tap = unit_field >= FIRST_TAP && unit_field < FIRST_TAP + TAPS;
    wire high_is_tap = unit_field + 8'd1 >= FIRST_TAP && unit_field + 8'd1 < FIRST_TAP + TAPS;
    reg tap_write;
    reg [7:0] tap_at;
    /* verilator lint_off UNUSED */
    reg [31:0] tap;
    wire [7:0] tap_number = tap_at - FIRST_TAP;
    /* verilator lint_on UNUSED */
    always @(posedge clk) begin
        tap_late_valid <= config_write && high_is_tap && low_is_tap;
        tap_late <= config_data[63:32];
        tap_late_at <= unit_field + 8'd1;
        tap_write <= resetn && (tap_late_valid || (config_write && (low_is_tap || high_is_tap)));
        tap <= tap_late_valid ? tap_late : low_is_tap ? config_data[31:0] : config_data[63:32];
        tap_at <= tap_late_valid ? tap_late_at : low_is_tap ? unit_field : unit_field + 8'd1;
    end

    // The sequencer's commands.
    wire ifmap_idle, weight_idle, residual_idle;
    /* verilator lint_off UNUSED */
    wire [WA-1:0] weight_address, weight_base;   // their lowest bits count half lines
    /* verilator lint_on UNUSED */
    wire ifmap_request, ifmap_taken, ifmap_odd_row, ifmap_odd_col, ifmap_start, ifmap_empty, ifmap_done;
    wire [AW-1:0] ifmap_word, weight_beat, residual_word, store_word;
    wire [CW-1:0] ifmap_rows, ifmap_runs, ifmap_cols, ifmap_words, residual_rows, residual_runs, store_rows, store_runs;
    wire [BEATS-1:0] ifmap_beats, weight_beats, residual_beats, store_beats;
    wire [IA-1:0] ifmap_place, compute_ifmap_base;
    wire [LW-1:0] ifmap_lane;
    wire [DW-1:0] ifmap_phase;
    wire [31:0] ifmap_count, weight_count, compute_iterations, store_count;
    wire weight_request, weight_taken, weight_start, weight_empty, weight_done, table_busy;
    wire [1:0] weight_kind;
    wire [WA-1:0] compute_weight_base;
    wire compute_start, compute_follows, compute_zero;
    wire [CW-1:0] col_groups, pixel_groups, rows, row_groups;
    wire signed [CW:0] left, top;
    wire [OA-1:0] compute_sum_base, group_sums, store_sum_base, store_group_sums;
    wire residual_request, residual_taken, residual_start, residual_done, store_request, store_taken, store_start;
    wire [RA-1:0] residual_base, store_residual_base;
    wire [CW-1:0] store_cols, store_words, store_first_group, store_first_row, store_first_col;
    wire ifmap_on_chip, map_start, parameter_half, table_copy;
    wire [MA-1:0] ifmap_line, ifmap_ring, ifmap_ring_end, store_line;
    wire [BW-1:0] ifmap_bank, store_bank;
    wire store_done, drained, empty, counter_valid, counter_ready;
    wire [8*BYTES-1:0] counter_data;
    wire [2:0] read_bounds, read_response;
    wire write_bounds, write_response;
    sequencer #(
        .BYTES(BYTES), .PORT_WORDS(PORT_WORDS), .AW(AW), .CW(CW), .IA(IA), .WA(WA), .OA(OA), .RA(RA), .LW(LW), .DW(DW),
        .BEATS(BEATS), .IFMAP_DEPTH(IFMAP_DEPTH), .WEIGHT_DEPTH(2 * WEIGHT_DEPTH), .SUM_DEPTH(SUM_DEPTH),
        .RESIDUAL_DEPTH(RESIDUAL_DEPTH), .IFMAP_BUFFERS(IFMAP_BUFFERS), .WEIGHT_BUFFERS(WEIGHT_BUFFERS),
        .OFMAP_BUFFERS(OFMAP_BUFFERS), .BANKS(MAP_BANKS), .MA(MA), .BW(BW)
    ) layers (
        .clk(clk), .resetn(resetn), .config_write(config_write), .config_unit(config_unit), .config_data(config_data),
        .turn_fetch(turn_fetch), .turn_store(turn_store), .begin_program(begin_program), .program_word(program_word),
        .layer_count(layer_count), .unsound(unsound),
        .guard_code(guard_code), .finished(finished), .running(running), .halt(halt), .undrained(undrained),
        .error_code(error_code), .layer(layer),
        .port_errors({
            write_response, read_response[0] || read_response[2], write_bounds, read_bounds[0] || read_bounds[2]}),
        .weight_errors({read_response[1], read_bounds[1]}), .ifmap_request(ifmap_request),
        .ifmap_taken(ifmap_taken), .ifmap_word(ifmap_word), .ifmap_rows(ifmap_rows), .ifmap_runs(ifmap_runs),
        .ifmap_beats(ifmap_beats), .ifmap_odd_row(ifmap_odd_row), .ifmap_odd_col(ifmap_odd_col),
        .ifmap_start(ifmap_start), .ifmap_empty(ifmap_empty), .ifmap_cols(ifmap_cols), .ifmap_words(ifmap_words),
        .ifmap_place(ifmap_place), .ifmap_lane(ifmap_lane), .ifmap_phase(ifmap_phase), .ifmap_done(ifmap_done),
        .ifmap_count(ifmap_count), .ifmap_on_chip(ifmap_on_chip), .map_start(map_start), .ifmap_line(ifmap_line),
        .ifmap_bank(ifmap_bank), .ifmap_ring(ifmap_ring), .ifmap_ring_end(ifmap_ring_end), .weight_request(weight_request), .weight_taken(weight_taken),
        .weight_beat(weight_beat), .weight_beats(weight_beats), .weight_start(weight_start),
        .weight_empty(weight_empty), .weight_kind(weight_kind), .weight_base(weight_base), .weight_done(weight_done),
        .weight_count(weight_count), .parameter_half(parameter_half), .table_copy(table_copy), .table_busy(table_busy), .compute_start(compute_start),
        .compute_col_groups(col_groups), .compute_pixel_groups(pixel_groups), .compute_rows(rows),
        .compute_row_groups(row_groups), .compute_left(left), .compute_top(top),
        .compute_ifmap_base(compute_ifmap_base), .compute_weight_base(compute_weight_base),
        .compute_sum_base(compute_sum_base), .compute_follows(compute_follows), .compute_zero(compute_zero),
        .compute_done(compute_done), .compute_iterations(compute_iterations), .compute_group_sums(group_sums),
        .residual_request(residual_request), .residual_taken(residual_taken), .residual_word(residual_word),
        .residual_rows(residual_rows), .residual_runs(residual_runs), .residual_beats(residual_beats),
        .residual_start(residual_start), .residual_base(residual_base), .residual_done(residual_done),
        .store_request(store_request), .store_taken(store_taken), .store_word(store_word), .store_rows(store_rows),
        .store_runs(store_runs), .store_beats(store_beats), .store_start(store_start), .store_cols(store_cols),
        .store_words(store_words), .store_on_chip(on_chip), .store_first_group(store_first_group), .store_line(store_line),
        .store_bank(store_bank), .store_first_row(store_first_row),
        .store_first_col(store_first_col), .store_sum_base(store_sum_base), .store_group_sums(store_group_sums),
        .store_residual_base(store_residual_base), .store_done(store_done), .store_count(store_count),
        .drained(drained), .empty(empty), .reads_idle(ifmap_idle && weight_idle && residual_idle), .counter_valid(counter_valid), .counter_ready(counter_ready),
        .counter_data(counter_data));

    // The ifmap port, the map memory's reader, their loader and the banks.
    wire ifmap_valid, ifmap_ready, ifmap_last, ifmap_command_ready, line_valid, line_last;
    wire [8*BYTES-1:0] ifmap_stream;
    wire [8*COLS-1:0] map_line, ifmap_write_data;
    wire from_map = MAPS != 0 && ifmap_on_chip;
    wire [PIXELS*WORDS-1:0] ifmap_write;
    wire [IA-1:0] ifmap_write_address;
    wire [PIXELS*IA-1:0] ifmap_address;
    wire [PIXELS*COLS*8-1:0] ifmap_data;
    assign ifmap_taken = ifmap_request && ifmap_command_ready;
    read_engine #(
        .BYTES(BYTES), .AW(AW), .CW(CW), .BEATS(BEATS), .ADDRESS(ADDRESS), .MAXB(MAXB), .FIFO(READ_FIFO)
    ) ifmap_reader (
        .clk(clk), .resetn(resetn), .stop(halt), .clear(begin_program), .idle(ifmap_idle),
        .error_bounds(read_bounds[0]), .error_response(read_response[0]), .base(ifmap_base_address),
        .limit(arena_words), .command_valid(ifmap_request), .command_ready(ifmap_command_ready),
        .command_word(ifmap_word), .command_rows(ifmap_rows), .command_cols(ifmap_runs), .command_beats(ifmap_beats),
        .command_col_step(in_col_step), .command_row_step(in_row_step), .command_repeat(repeated),
        .command_odd_row(ifmap_odd_row), .command_odd_col(ifmap_odd_col), .arvalid(m_axi_ifmap_arvalid),
        .arready(m_axi_ifmap_arready), .araddr(m_axi_ifmap_araddr), .arlen(m_axi_ifmap_arlen),
        .rvalid(m_axi_ifmap_rvalid), .rready(m_axi_ifmap_rready), .rdata(m_axi_ifmap_rdata),
        .rresp(m_axi_ifmap_rresp), .rlast(m_axi_ifmap_rlast), .out_valid(ifmap_valid), .out_ready(ifmap_ready && !from_map),
        .out_data(ifmap_stream), .out_last(ifmap_last));
    ifmap_loader #(
        .BYTES(BYTES), .PIXELS(PIXELS), .WORDS(WORDS), .IA(IA), .CW(CW), .DW(DW), .LW(LW)
    ) load_ifmap (
        .clk(clk), .resetn(stages_resetn), .start(ifmap_start), .done(ifmap_done), .empty(ifmap_empty), .by_line(from_map), .cols(ifmap_cols),
        .words(ifmap_words), .stride(stride_cols), .slots(d_slots), .d_line(d_line), .d_group(d_group),
        .place(ifmap_place), .place_lane(ifmap_lane), .place_phase(ifmap_phase), .count(ifmap_count),
        .in_valid(from_map ? line_valid : ifmap_valid), .in_ready(ifmap_ready),
        .in_data(from_map ? map_line : {WORDS{ifmap_stream}}), .in_last(from_map ? line_last : ifmap_last),
        .write(ifmap_write), .write_address(ifmap_write_address), .write_data(ifmap_write_data));
    genvar p, w;
    generate
        for (p = 0; p < PIXELS; p = p + 1) begin : ifmap_pixels
            for (w = 0; w < WORDS; w = w + 1) begin : words
                bank #(
                    .DEPTH(IFMAP_DEPTH * IFMAP_BUFFERS), .WIDTH(8 * BYTES), .ADDRESS(IA), .STYLE(`ENGINE_IFMAP_STYLE)
                ) ifmap_bank (
                    .clk(clk), .write(ifmap_write[p*WORDS+w]), .write_address(ifmap_write_address),
                    .write_data(ifmap_write_data[w*8*BYTES+:8*BYTES]), .read_address(ifmap_address[p*IA+:IA]),
                    .read_data(ifmap_data[(p*COLS+w*BYTES)*8+:8*BYTES]));
            end
        end
    endgenerate

    // The map memory: lines of results go in, lines of the ifmap buffer come out.
    generate
        if (MAPS != 0) begin : maps
            wire last;
            wire [MA-1:0] read_line;
            wire [BW-1:0] read_bank;
            map_reader #(.BANKS(MAP_BANKS), .WORDS(WORDS), .MA(MA), .BW(BW), .CW(CW)) reader (
                .clk(clk), .resetn(stages_resetn), .start(map_start), .rows(ifmap_rows), .cols(ifmap_cols),
                .words(ifmap_words), .line(ifmap_line), .bank(ifmap_bank), .col_step(in_col_step[MA-1:0]),
                .row_step(in_row_step[MA-1:0]), .ring(ifmap_ring), .ring_end(ifmap_ring_end), .valid(map_reads),
                .last(last), .at(read_line), .at_bank(read_bank));
            delay #(.WIDTH(2), .CYCLES(4)) to_line (
                .clk(clk), .in({map_reads && stages_resetn, last}), .out({line_valid, line_last}));
            map_memory #(
                .BANKS(MAP_BANKS), .DEPTH(2 * MAP_DEPTH), .STYLE(`ENGINE_MAP_STYLE), .BYTES(BYTES),
                .IN_WORDS(ROWS / BYTES), .OUT_WORDS(WORDS), .MA(MA), .BW(BW)
            ) memory (
                .clk(clk), .resetn(stages_resetn), .write(map_valid), .write_words(map_words), .write_line(stored_line),
                .write_bank(stored_bank), .write_data(stored_data), .read_line(read_line), .read_bank(read_bank),
                .read_data(map_line));
        end else begin : no_maps
            assign {map_reads, line_valid, line_last} = 3'd0;
            assign map_line = {8*COLS{1'b0}};
            wire unused = &{map_valid, map_words, stored_line, stored_bank, stored_data, map_start, ifmap_line, ifmap_bank,
                            ifmap_ring, ifmap_ring_end};
        end
    endgenerate

    // The weight port, its loader and the banks: a bank is a beat of the port wide.
    localparam GROUPS = ROWS * COLS / PORT_BYTES;
    wire weight_valid, weight_ready, weight_last, weight_command_ready, table_write;
    wire [8*PORT_BYTES-1:0] weight_stream, weight_write_data;
    wire [GROUPS-1:0] weight_write;
    wire [WA-2:0] weight_write_address;
    wire [ROWS*COLS*8-1:0] weight_data;
    wire [POST_LANES-1:0] parameter_write;
    wire [PA-1:0] parameter_line;
    wire [55:0] parameter_data;
    wire [7:0] table_address, table_data;
    assign weight_taken = weight_request && weight_command_ready;
    read_engine #(
        .BYTES(PORT_BYTES), .AW(AW), .CW(CW), .BEATS(BEATS), .ADDRESS(ADDRESS), .MAXB(MAXB), .FIFO(READ_FIFO)
    ) weight_reader (
        .clk(clk), .resetn(resetn), .stop(halt), .clear(begin_program), .idle(weight_idle),
        .error_bounds(read_bounds[1]), .error_response(read_response[1]), .base(weight_base_address),
        .limit(arena_words >> SHIFT), .command_valid(weight_request), .command_ready(weight_command_ready),
        .command_word(weight_beat), .command_rows({{CW-1{1'b0}}, 1'b1}), .command_cols({{CW-1{1'b0}}, 1'b1}),
        .command_beats(weight_beats), .command_col_step({AW{1'b0}}), .command_row_step({AW{1'b0}}),
        .command_repeat(1'b0), .command_odd_row(1'b0), .command_odd_col(1'b0), .arvalid(m_axi_weights_arvalid),
        .arready(m_axi_weights_arready), .araddr(m_axi_weights_araddr), .arlen(m_axi_weights_arlen),
        .rvalid(m_axi_weights_rvalid), .rready(m_axi_weights_rready), .rdata(m_axi_weights_rdata),
        .rresp(m_axi_weights_rresp), .rlast(m_axi_weights_rlast), .out_valid(weight_valid), .out_ready(weight_ready),
        .out_data(weight_stream), .out_last(weight_last));
    weight_loader #(
        .BYTES(PORT_BYTES), .LINE(ROWS * COLS), .WA(WA - 1), .LANES(POST_LANES), .PA(PA)
    ) load_weights (
        .clk(clk), .resetn(stages_resetn), .start(weight_start), .done(weight_done), .kind(weight_kind),
        .empty(weight_empty), .weight_base(weight_base[WA-1:1]), .parameter_half(!parameter_half),
        .copy(table_copy), .count(weight_count), .in_valid(weight_valid),
        .in_ready(weight_ready), .in_data(weight_stream), .in_last(weight_last), .config_write(config_write),
        .config_unit(config_unit), .config_data(config_data), .parameter_write(parameter_write),
        .parameter_line(parameter_line), .parameter_data(parameter_data), .table_busy(table_busy),
        .table_write(table_write), .table_address(table_address), .table_data(table_data),
        .weight_write(weight_write), .weight_address(weight_write_address), .weight_data(weight_write_data));
    genvar g;
    generate
        for (g = 0; g < GROUPS; g = g + 1) begin : weight_groups
            bank #(
                .DEPTH(WEIGHT_DEPTH * WEIGHT_BUFFERS), .WIDTH(8 * PORT_BYTES), .ADDRESS(WA - 1),
                .STYLE(`ENGINE_WEIGHT_STYLE)
            ) weight_bank (
                .clk(clk), .write(weight_write[g]), .write_address(weight_write_address),
                .write_data(weight_write_data), .read_address(weight_address[WA-2:0]),
                .read_data(weight_data[g*8*PORT_BYTES+:8*PORT_BYTES]));
        end
    endgenerate

    // The compute stage, with the banks of sums.
    wire [OA-1:0] store_address;
    wire [ROWS*PIXELS*ACC-1:0] sum_line;
    compute #(
        .ROWS(ROWS), .COLS(COLS), .PIXELS(PIXELS), .LANES(LANES), .PACK(`ENGINE_PACK), .FIELD(FIELD_BITS), .CHAIN(CHAIN),
        .ACC(ACC), .LATENCY(LATENCY), .ZERO_POINT(`ENGINE_ZERO_POINT), .IA(IA), .WA(WA), .OA(OA),
        .SUM_DEPTH(SUM_DEPTH * OFMAP_BUFFERS), .SUM_STYLE(`ENGINE_SUM_STYLE), .CW(CW), .KW(KW), .TW(TW), .DW(DW), .RW(RW),
        .PW(PW)
    ) array (
        .clk(clk), .resetn(stages_resetn), .tap_write(tap_write && tap_number >> TW == 0), .tap_half(tap_half), .tap_index(tap_number[TW-1:0]), .tap_rotate(tap[RW-1:0]),
        .tap_step(tap[8+:IA]), .channel_wise(channel_wise), .averages(averages), .maximum(maximum),
        .four_bit(four_bit), .pad_value(pad_value), .kernel_rows(kernel_rows), .kernel_cols(kernel_cols),
        .d_row(d_row), .d_group(d_group), .d_out_row(d_out_row), .stride_rows(stride_rows),
        .stride_cols(stride_cols), .dilation_rows(dilation_rows), .dilation_cols(dilation_cols), .x_pixel(x_pixel),
        .width(in_width), .height(in_height), .start(compute_start), .done(compute_done), .col_groups(col_groups),
        .pixel_groups(pixel_groups), .rows(rows), .row_groups(row_groups), .left(left), .top(top),
        .ifmap_base(compute_ifmap_base), .weight_base(four_bit ? compute_weight_base : compute_weight_base >> 1),
        .sum_base(compute_sum_base), .sum_follows(compute_follows), .zero(compute_zero), .group_sums(group_sums),
        .iterations(compute_iterations), .ifmap_address(ifmap_address), .ifmap_data(ifmap_data),
        .weight_address(weight_address), .weight_data(weight_data), .store_reads(!store_done),
        .store_address(store_address), .store_sums(sum_line));

    // The residual port and its buffer.
    wire residual_valid, residual_ready, residual_last, residual_command_ready, residual_write;
    wire [8*BYTES-1:0] residual_stream, residual_write_data, residual_data;
    wire [RA-1:0] residual_write_address, residual_address;
    assign residual_taken = residual_request && residual_command_ready;
    read_engine #(
        .BYTES(BYTES), .AW(AW), .CW(CW), .BEATS(BEATS), .ADDRESS(ADDRESS), .MAXB(MAXB), .FIFO(READ_FIFO)
    ) residual_reader (
        .clk(clk), .resetn(resetn), .stop(halt), .clear(begin_program), .idle(residual_idle),
        .error_bounds(read_bounds[2]), .error_response(read_response[2]), .base(residual_base_address),
        .limit(arena_words), .command_valid(residual_request), .command_ready(residual_command_ready),
        .command_word(residual_word), .command_rows(residual_rows), .command_cols(residual_runs),
        .command_beats(residual_beats), .command_col_step(res_col_step), .command_row_step(res_row_step),
        .command_repeat(1'b0), .command_odd_row(1'b0), .command_odd_col(1'b0), .arvalid(m_axi_residual_arvalid),
        .arready(m_axi_residual_arready), .araddr(m_axi_residual_araddr), .arlen(m_axi_residual_arlen),
        .rvalid(m_axi_residual_rvalid), .rready(m_axi_residual_rready), .rdata(m_axi_residual_rdata),
        .rresp(m_axi_residual_rresp), .rlast(m_axi_residual_rlast), .out_valid(residual_valid),
        .out_ready(residual_ready), .out_data(residual_stream), .out_last(residual_last));
    residual_loader #(.BYTES(BYTES), .RA(RA)) load_residual (
        .clk(clk), .resetn(stages_resetn), .start(residual_start), .done(residual_done), .base(residual_base),
        .in_valid(residual_valid), .in_ready(residual_ready), .in_data(residual_stream), .in_last(residual_last),
        .write(residual_write), .write_address(residual_write_address), .write_data(residual_write_data));
    bank #(
        .DEPTH(RESIDUAL_DEPTH * OFMAP_BUFFERS), .WIDTH(8 * BYTES), .ADDRESS(RA), .STYLE("block")
    ) residual_bank (
        .clk(clk), .write(residual_write), .write_address(residual_write_address), .write_data(residual_write_data),
        .read_address(residual_address), .read_data(residual_data));

    // The store and the ofmap port; counters go the same way.
    wire store_valid, taken, write_ready, write_command_ready;
    wire [8*BYTES-1:0] store_data;
    wire on_chip = MAPS != 0 && map_out;
    wire [ROWS/BYTES-1:0] map_words;
    wire [MA-1:0] stored_line;
    wire [BW-1:0] stored_bank;
    wire [8*ROWS-1:0] stored_data;
    assign store_taken = store_request && write_command_ready;
    assign counter_ready = write_ready && counter_valid;
    store #(
        .ROWS(ROWS), .PIXELS(PIXELS), .BYTES(BYTES), .LANES(POST_LANES), .ACC(ACC), .OA(OA), .PA(PA),
        .PARAMETER_STYLE(`ENGINE_PARAMETER_STYLE), .RA(RA), .CW(CW), .LW(LW), .ROOM(WRITE_FIFO), .EDGES(`ENGINE_EDGES),
        .MAPS(MAPS), .BANKS(MAP_BANKS), .MA(MA), .BW(BW)
    ) put_away (
        .clk(clk), .resetn(stages_resetn), .averages(stored_operation == `OPERATION_POOL), .residual(residual),
        .residual_multiplier(residual_multiplier), .edges(edges), .out_height(out_height), .out_width(out_width),
        .on_chip(on_chip), .col_step(out_col_step[MA-1:0]), .row_step(out_row_step[MA-1:0]), .ring(map_out_ring),
        .ring_end(map_out_end), .parameter_half(parameter_half),
        .start(store_start), .done(store_done), .rows(store_rows), .cols(store_cols), .words(store_words),
        .first_group(store_first_group), .first_line(store_line), .first_bank(store_bank), .first_row(store_first_row), .first_col(store_first_col),
        .sum_base(store_sum_base), .group_sums(store_group_sums), .residual_base(store_residual_base),
        .count(store_count), .parameter_write(parameter_write), .parameter_line(parameter_line),
        .parameter_data(parameter_data), .table_write(table_write), .table_address(table_address),
        .table_data(table_data), .sum_address(store_address), .sum_line(sum_line),
        .residual_address(residual_address), .residual_data(residual_data), .out_valid(store_valid),
        .out_data(store_data), .map_valid(map_valid), .map_words(map_words), .map_line(stored_line),
        .map_bank(stored_bank), .map_data(stored_data), .taken(taken), .borrowed(counter_ready));
    write_engine #(
        .BYTES(BYTES), .AW(AW), .CW(CW), .BEATS(BEATS), .ADDRESS(ADDRESS), .MAXB(MAXB), .FIFO(WRITE_FIFO)
    ) writer (
        .clk(clk), .resetn(resetn), .stop(halt), .clear(begin_program), .drained(drained), .empty(empty),
        .error_bounds(write_bounds), .error_response(write_response), .base(ofmap_base_address), .limit(arena_words),
        .protected_words(protected_words), .command_valid(store_request), .command_ready(write_command_ready),
        .command_word(store_word), .command_rows(store_rows), .command_cols(store_runs),
        .command_beats(store_beats), .command_col_step(out_col_step), .command_row_step(out_row_step),
        .in_valid(store_valid || counter_valid), .in_ready(write_ready),
        .in_data(counter_valid ? counter_data : store_data), .taken(taken), .awvalid(m_axi_ofmap_awvalid),
        .awready(m_axi_ofmap_awready), .awaddr(m_axi_ofmap_awaddr), .awlen(m_axi_ofmap_awlen),
        .wvalid(m_axi_ofmap_wvalid), .wready(m_axi_ofmap_wready), .wdata(m_axi_ofmap_wdata),
        .wstrb(m_axi_ofmap_wstrb), .wlast(m_axi_ofmap_wlast), .bvalid(m_axi_ofmap_bvalid),
        .bready(m_axi_ofmap_bready), .bresp(m_axi_ofmap_bresp));
endmodule
