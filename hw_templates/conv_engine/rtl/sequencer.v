// Runs a program: layer after layer, slot after slot, stage beside stage.
//
// In a slot the loaders fetch one tile, the array works on the tile before, and the store puts away what the tile before that
// finished. Where a buffer is single, its slot has a phase more: the store goes first, or the loads come last. A layer begins
// with its descriptor, parameters and activation table, and ends when all its results are in memory.
//
// Handshake with a stage: `start` is set for one cycle, with a command that stays until `done`. A program whose registers are
// `unsound`, and a layer of whose descriptor a field is out of range, are not run (code 5); after an error of a memory port (codes 1 to 4)
// the layer ends with the slot, or with its last write, and no other follows. `finished` is set for one cycle at the end;
// error_code and layer stay until the next begin.
//
// A code of the guard halts: `halt` resets the stages and stops the ports, until all that they asked for has been answered. Where
// that takes more than STOP_CYCLES, `finished` comes before, and `undrained` stays until it has; no program begins until then. A
// layer whose results are not as many words as its descriptor says halts too (code 5), so that nothing stays for the next.
`include "engine_format.vh"
module sequencer #(
    parameter BYTES = 8,          // of a memory word
    parameter PORT_WORDS = 1,     // of the weight port, in memory words
    parameter AW = 26,
    parameter CW = 12,
    parameter IA = 11,
    parameter WA = 11,
    parameter OA = 9,
    parameter RA = 11,
    parameter LW = 2,
    parameter DW = 2,
    parameter BEATS = 16,
    parameter IFMAP_DEPTH = 1024, // words of a bank in one half
    parameter WEIGHT_DEPTH = 512,
    parameter SUM_DEPTH = 256,
    parameter RESIDUAL_DEPTH = 1024,
    parameter IFMAP_BUFFERS = 2,
    parameter WEIGHT_BUFFERS = 2,
    parameter OFMAP_BUFFERS = 2,
    parameter STOP_CYCLES = 4000
) (
    input wire clk,
    input wire resetn,
    input wire config_write,
    input wire [5:0] config_unit,
    input wire [63:0] config_data,
    // The program.
    input wire begin_program,
    input wire [AW-1:0] program_word,
    input wire [15:0] layer_count,
    input wire unsound,
    input wire [3:0] guard_code,
    output reg finished,
    output reg running,
    output reg halt,
    output reg undrained,
    output reg [3:0] error_code,
    output reg [15:0] layer,
    input wire [3:0] port_errors, // bounds of reads, of writes; responses of reads, of writes
    // The ifmap port and its loader.
    output reg ifmap_request,
    input wire ifmap_taken,
    output wire [AW-1:0] ifmap_word,
    output wire [CW-1:0] ifmap_rows,
    output wire [CW-1:0] ifmap_runs,
    output wire [BEATS-1:0] ifmap_beats,
    output wire ifmap_odd_row,
    output wire ifmap_odd_col,
    output wire ifmap_start,
    output wire ifmap_empty,
    output wire [CW-1:0] ifmap_cols,
    output wire [CW-1:0] ifmap_words,
    output wire [IA-1:0] ifmap_place,
    output wire [LW-1:0] ifmap_lane,
    output wire [DW-1:0] ifmap_phase,
    input wire ifmap_done,
    input wire [31:0] ifmap_count,
    // The weight port and its loader; places count beats of the port.
    output reg weight_request,
    input wire weight_taken,
    output reg [AW-1:0] weight_beat,
    output reg [BEATS-1:0] weight_beats,
    output reg weight_start,
    output reg weight_empty,
    output reg [1:0] weight_kind,
    output wire [WA-1:0] weight_base,
    input wire weight_done,
    input wire [31:0] weight_count,
    input wire table_busy,
    // The compute stage.
    output wire compute_start,
    output reg [CW-1:0] compute_col_groups,
    output reg [CW-1:0] compute_pixel_groups,
    output reg [CW-1:0] compute_rows,
    output reg [CW-1:0] compute_row_groups,
    output reg signed [CW:0] compute_left,
    output reg signed [CW:0] compute_top,
    output reg [IA-1:0] compute_ifmap_base,
    output reg [WA-1:0] compute_weight_base,
    output reg [OA-1:0] compute_sum_base,
    output reg compute_follows,
    output reg compute_zero,
    input wire compute_done,
    input wire [31:0] compute_iterations,
    input wire [OA-1:0] compute_group_sums,
    // The residual port and its loader.
    output reg residual_request,
    input wire residual_taken,
    output wire [AW-1:0] residual_word,
    output wire [CW-1:0] residual_rows,
    output wire [CW-1:0] residual_runs,
    output wire [BEATS-1:0] residual_beats,
    output wire residual_start,
    output wire [RA-1:0] residual_base,
    input wire residual_done,
    // The store and the ofmap port.
    output reg store_request,
    input wire store_taken,
    output reg [AW-1:0] store_word,
    output reg [CW-1:0] store_rows,
    output reg [CW-1:0] store_runs,
    output reg [BEATS-1:0] store_beats,
    output wire store_start,
    output reg [CW-1:0] store_cols,
    output reg [CW-1:0] store_words,
    output reg [CW-1:0] store_first_word,
    output reg [CW-1:0] store_first_row,
    output reg [CW-1:0] store_first_col,
    output reg [OA-1:0] store_sum_base,
    output reg [OA-1:0] store_group_sums,
    output reg [RA-1:0] store_residual_base,
    input wire store_done,
    input wire [31:0] store_count,
    input wire drained,
    input wire empty,             // no word waits to be stored
    input wire reads_idle,
    // The counters, as words behind the store's.
    output wire counter_valid,
    input wire counter_ready,
    output wire [8*BYTES-1:0] counter_data
);
    `define FIELD(NAME, BITS, AT) \
        wire [BITS-1:0] NAME; \
        field #(.WIDTH(BITS), .INDEX(AT)) of_``NAME ( \
            .clk(clk), .config_write(config_write), .config_unit(config_unit), .config_data(config_data), .value(NAME));
    `FIELD(weight_word, AW, `AT_WEIGHT_WORD)
    `FIELD(parameter_word, AW, `AT_PARAMETER_WORD)
    `FIELD(parameter_beats, BEATS, `AT_PARAMETER_BEATS)
    `FIELD(table_word, AW, `AT_TABLE_WORD)
    `FIELD(load_table, 1, `AT_LOAD_TABLE)
    `FIELD(counter_word, AW, `AT_COUNTER_WORD)
    `FIELD(residual, 2, `AT_RESIDUAL)
    `FIELD(whole_out, 1, `AT_WHOLE_OUT)
    `FIELD(whole_res, 1, `AT_WHOLE_RES)
    `undef FIELD

    localparam SHIFT = PORT_WORDS == 2 ? 1 : 0;
    localparam PORT_BYTES = BYTES * PORT_WORDS;
    localparam [BEATS-1:0] DESCRIPTOR_BEATS = `DESCRIPTOR_BYTES / PORT_BYTES, TABLE_BEATS = 256 / PORT_BYTES;
    localparam [AW-1:0] DESCRIPTOR_STEP = `DESCRIPTOR_BYTES / PORT_BYTES;
    localparam COUNTER_WORDS = 32 / BYTES;
    localparam [1:0] DESCRIPTOR = 0, PARAMETERS = 1, TABLE = 2, WEIGHTS = 3;

    // States. A phase is a cycle of starts and a wait for all that were started.
    localparam [3:0] IDLE = 0, DESCRIBE = 1, DESCRIBED = 2, CHECK = 3, LOAD_PARAMETERS = 4, LOAD_TABLE = 5, WALK = 6,
                     SLOT = 7, STORE_PHASE = 8, MAIN_PHASE = 9, LOAD_PHASE = 10, SHIFT_TILES = 11, COUNTERS = 12,
                     DRAIN = 13, NEXT_LAYER = 14, STOP = 15;
    reg [3:0] state;

    wire described;
    descriptor_check of_descriptor (
        .clk(clk), .clear(state == DESCRIBE), .config_write(config_write), .config_unit(config_unit),
        .config_data(config_data), .sound(described));

    // The tile that is fetched.
    wire walk_ready, walk_ended, fetch_ifmap, fetch_weights, first_in, sum_follows, finishes;
    wire [AW-1:0] weight_offset, result_word, walk_residual_word;
    wire [BEATS-1:0] tile_weight_beats, result_beats, walk_residual_beats;
    wire [CW-1:0] col_groups, pixel_groups, row_groups, rows, cols, result_words, result_first, result_row, result_col;
    wire signed [CW:0] left, top;
    wire walk_empty;
    reg walk_restart, walk_next;
    wire [IA-1:0] walk_place;
    tile_walk #(.AW(AW), .CW(CW), .IA(IA), .LW(LW), .DW(DW), .BEATS(BEATS)) walk (
        .clk(clk), .resetn(resetn), .config_write(config_write), .config_unit(config_unit), .config_data(config_data),
        .restart(walk_restart), .next(walk_next), .ready(walk_ready), .ended(walk_ended), .fetch_ifmap(fetch_ifmap),
        .fetch_weights(fetch_weights), .ifmap_word(ifmap_word), .ifmap_rows(ifmap_rows), .ifmap_runs(ifmap_runs),
        .ifmap_beats(ifmap_beats), .ifmap_empty(walk_empty), .ifmap_odd_row(ifmap_odd_row),
        .ifmap_odd_col(ifmap_odd_col), .ifmap_cols(ifmap_cols), .ifmap_words(ifmap_words), .ifmap_place(walk_place),
        .ifmap_lane(ifmap_lane), .ifmap_phase(ifmap_phase), .weight_offset(weight_offset),
        .weight_beats(tile_weight_beats), .first_in(first_in), .sum_follows(sum_follows), .col_groups(col_groups),
        .pixel_groups(pixel_groups), .row_groups(row_groups), .rows(rows), .cols(cols), .left(left), .top(top),
        .finishes(finishes), .result_word(result_word), .result_beats(result_beats),
        .residual_word(walk_residual_word), .residual_beats(walk_residual_beats), .result_words(result_words),
        .result_first(result_first), .result_row(result_row), .result_col(result_col));

    // Halves: what is fetched goes to the other half, if there is one; sums change theirs behind a tile that finishes.
    reg ifmap_half, weight_half, sum_half;
    wire [IA-1:0] ifmap_base = ifmap_half ? IFMAP_DEPTH[IA-1:0] : {IA{1'b0}};
    wire [OA-1:0] sum_base = sum_half ? SUM_DEPTH[OA-1:0] : {OA{1'b0}};
    assign ifmap_place = ifmap_base + walk_place;
    assign weight_base = weight_half ? WEIGHT_DEPTH[WA-1:0] : {WA{1'b0}};

    // The tile that is computed, with what is stored behind it; and what is stored.
    reg computes, compute_finishes, stores;
    reg [AW-1:0] c_word;
    reg [BEATS-1:0] c_beats;
    reg [CW-1:0] c_cols, c_words, c_first_word, c_first_row, c_first_col;
    reg compute_half;
    reg [AW-1:0] c_residual_word;
    reg [BEATS-1:0] c_residual_beats;
    wire has_residual = residual != 2'd0;
    assign residual_word = c_residual_word;
    assign residual_rows = compute_rows;
    assign residual_runs = whole_res ? {{CW-1{1'b0}}, 1'b1} : c_cols;
    assign residual_beats = c_residual_beats;
    wire [RA-1:0] compute_residual_base = compute_half ? RESIDUAL_DEPTH[RA-1:0] : {RA{1'b0}};
    assign residual_base = compute_residual_base;

    reg starting;                 // the first cycle of a phase
    reg [AW-1:0] descriptor_beat;
    reg [3:0] counter_left;
    reg [12:0] stop_cycles;
    localparam FLUSH_CYCLES = 64; // more than any pipeline of a stage is deep
    wire fetches = !walk_ended;
    wire store_first = OFMAP_BUFFERS == 1;
    wire loads_done = ifmap_done && weight_done && !ifmap_request && !weight_request;
    wire all_done = loads_done && compute_done && residual_done && store_done && !residual_request && !store_request &&
                    !weight_start && !starting;
    wire in_main = state == MAIN_PHASE && starting;
    wire in_loads = state == LOAD_PHASE && starting;
    wire in_store = state == STORE_PHASE && starting;
    wire load_ifmap = fetches && fetch_ifmap && (IFMAP_BUFFERS == 2 ? in_main : in_loads);
    wire load_weights = fetches && fetch_weights && (WEIGHT_BUFFERS == 2 ? in_main : in_loads);
    assign ifmap_start = load_ifmap;
    assign ifmap_empty = walk_empty;
    assign compute_start = in_main && computes;
    assign residual_start = in_main && computes && compute_finishes && has_residual;
    assign store_start = stores && (store_first ? in_store : in_main);
    wire stage_error = port_errors != 4'd0;
    wire [3:0] port_error = port_errors[0] ? 4'd1 : port_errors[1] ? 4'd2 : port_errors[2] ? 4'd3 : 4'd4;

    // What the layer counts.
    reg [31:0] iterations, ifmap_total, weight_total, store_total, cycles, compute_cycles, load_wait, store_wait;
    reg ran_ifmap, ran_weights, ran_compute, ran_store;
    reg [255:0] counters;
    assign counter_valid = state == COUNTERS && counter_left != 0 && !starting;
    assign counter_data = counters[8*BYTES-1:0];

    always @(posedge clk) begin
        walk_restart <= 1'b0;
        walk_next <= 1'b0;
        weight_start <= 1'b0;
        finished <= 1'b0;
        starting <= 1'b0;
        if (ifmap_taken) ifmap_request <= 1'b0;
        if (weight_taken) weight_request <= 1'b0;
        if (residual_taken) residual_request <= 1'b0;
        if (store_taken) store_request <= 1'b0;
        cycles <= cycles + 32'd1;

        if (load_ifmap && !walk_empty) ifmap_request <= 1'b1;
        if (residual_start) residual_request <= 1'b1;
        if (store_start) store_request <= 1'b1;
        if (load_weights) begin
            weight_request <= tile_weight_beats != 0;
            weight_start <= 1'b1;
            weight_empty <= tile_weight_beats == 0;
            weight_kind <= WEIGHTS;
            weight_beat <= (weight_word >> SHIFT) + weight_offset;
            weight_beats <= tile_weight_beats;
        end

        case (state)
            IDLE: begin
                if (begin_program) begin
                    state <= DESCRIBE;
                    running <= 1'b1;
                    layer <= 16'd0;
                    error_code <= unsound ? 4'd5 : 4'd0;
                    descriptor_beat <= program_word >> SHIFT;
                    ifmap_half <= 1'b0;
                    weight_half <= 1'b0;
                    sum_half <= 1'b0;
                    if (unsound) state <= DRAIN;
                end
            end
            DESCRIBE: begin
                cycles <= 32'd0;
                weight_request <= 1'b1;
                weight_start <= 1'b1;
                weight_empty <= 1'b0;
                weight_kind <= DESCRIPTOR;
                weight_beat <= descriptor_beat;
                weight_beats <= DESCRIPTOR_BEATS;
                descriptor_beat <= descriptor_beat + DESCRIPTOR_STEP;
                state <= DESCRIBED;
            end
            DESCRIBED: if (!weight_start && !weight_request && weight_done) state <= CHECK;
            CHECK: begin
                {iterations, ifmap_total, weight_total, store_total} <= 128'd0;
                {compute_cycles, load_wait, store_wait} <= 96'd0;
                computes <= 1'b0;
                stores <= 1'b0;
                if (stage_error || !described) begin
                    error_code <= stage_error ? port_error : 4'd5;
                    state <= DRAIN;
                end else begin
                    walk_restart <= 1'b1;
                    weight_request <= 1'b1;
                    weight_start <= 1'b1;
                    weight_empty <= 1'b0;
                    weight_kind <= PARAMETERS;
                    weight_beat <= parameter_word >> SHIFT;
                    weight_beats <= parameter_beats;
                    state <= LOAD_PARAMETERS;
                end
            end
            LOAD_PARAMETERS: if (!weight_start && !weight_request && weight_done) begin
                state <= load_table ? LOAD_TABLE : WALK;
                if (load_table) begin
                    weight_request <= 1'b1;
                    weight_start <= 1'b1;
                    weight_empty <= 1'b0;
                    weight_kind <= TABLE;
                    weight_beat <= table_word >> SHIFT;
                    weight_beats <= TABLE_BEATS;
                end
            end
            LOAD_TABLE: if (!weight_start && !weight_request && weight_done) state <= WALK;
            WALK: if (walk_ready && !walk_next && !walk_restart) begin
                state <= SLOT;
                if (fetches && fetch_ifmap) ifmap_half <= IFMAP_BUFFERS == 2 && !ifmap_half;
                if (fetches && fetch_weights) weight_half <= WEIGHT_BUFFERS == 2 && !weight_half;
            end
            SLOT: begin
                {ran_ifmap, ran_weights, ran_compute, ran_store} <= 4'd0;
                if (!(stores && table_busy)) begin
                    state <= store_first && stores ? STORE_PHASE : MAIN_PHASE;
                    starting <= 1'b1;
                end
            end
            STORE_PHASE: if (all_done) begin
                state <= MAIN_PHASE;
                starting <= 1'b1;
            end
            MAIN_PHASE: if (all_done) begin
                state <= fetches && (IFMAP_BUFFERS == 1 || WEIGHT_BUFFERS == 1) ? LOAD_PHASE : SHIFT_TILES;
                starting <= 1'b1;
            end
            LOAD_PHASE: if (all_done) state <= SHIFT_TILES;
            SHIFT_TILES: begin
                if (ran_ifmap) ifmap_total <= ifmap_total + ifmap_count;
                if (ran_weights) weight_total <= weight_total + (weight_count << SHIFT);
                if (ran_compute) iterations <= iterations + compute_iterations;
                if (ran_store) store_total <= store_total + store_count;
                stores <= computes && compute_finishes;
                computes <= fetches;
                if (fetches) walk_next <= 1'b1;
                if (stage_error) begin
                    error_code <= port_error;
                    state <= COUNTERS;
                end else if (!fetches && !(computes && compute_finishes)) begin
                    state <= COUNTERS;
                end else begin
                    state <= fetches ? WALK : SLOT;
                end
                counter_left <= COUNTER_WORDS[3:0];
                starting <= 1'b1;
            end
            COUNTERS: begin
                if (starting) begin
                    counters <= {store_wait, load_wait, compute_cycles, cycles, store_total, weight_total, ifmap_total,
                                 iterations};
                    store_request <= 1'b1;
                end else if (counter_ready && counter_left != 0) begin
                    counters <= counters >> (8 * BYTES);
                    counter_left <= counter_left - 1'b1;
                end else if (counter_left == 0 && !store_request) begin
                    state <= DRAIN;
                end
            end
            DRAIN: if (drained && !store_request) begin
                // Of the last writes of a layer only now all answers are there.
                if (error_code == 4'd0 && stage_error) error_code <= port_error;
                state <= NEXT_LAYER;
            end
            NEXT_LAYER: begin
                if (!empty) begin
                    halt <= 1'b1;
                    state <= STOP;
                    if (error_code == 4'd0) error_code <= 4'd5;
                end else if (error_code != 4'd0 || layer + 16'd1 == layer_count) begin
                    state <= IDLE;
                    running <= 1'b0;
                    finished <= 1'b1;
                end else begin
                    layer <= layer + 16'd1;
                    state <= DESCRIBE;
                end
            end
            STOP: begin
                if (!stop_cycles[12]) stop_cycles <= stop_cycles + 13'd1;
                if (stop_cycles >= FLUSH_CYCLES && reads_idle && drained && empty) begin
                    halt <= 1'b0;
                    state <= IDLE;
                    running <= 1'b0;
                    finished <= !undrained;
                    undrained <= 1'b0;
                end else if (stop_cycles == STOP_CYCLES[12:0]) begin
                    finished <= 1'b1;
                    undrained <= 1'b1;
                end
            end
            default: state <= IDLE;
        endcase

        if (!halt) stop_cycles <= 13'd0;
        if (guard_code != 4'd0 && running && !halt && state != NEXT_LAYER) begin
            halt <= 1'b1;
            state <= STOP;
            error_code <= guard_code;
            {ifmap_request, weight_request, residual_request, store_request} <= 4'd0;
            {weight_start, walk_restart, walk_next} <= 3'd0;
        end

        if (load_ifmap) ran_ifmap <= 1'b1;
        if (load_weights) ran_weights <= 1'b1;
        if (compute_start) ran_compute <= 1'b1;
        if (store_start) ran_store <= 1'b1;

        // Each cycle of a slot counts for the stage that is waited for.
        if (state == MAIN_PHASE || state == STORE_PHASE || state == LOAD_PHASE) begin
            if (compute_start || !compute_done) compute_cycles <= compute_cycles + 32'd1;
            else if (!loads_done || !residual_done) load_wait <= load_wait + 32'd1;
            else if (!store_done) store_wait <= store_wait + 32'd1;
        end

        // A slot ends: each tile goes on to the next stage.
        if (state == SHIFT_TILES) begin
            store_word <= c_word;
            store_rows <= compute_rows;
            store_runs <= whole_out ? {{CW-1{1'b0}}, 1'b1} : c_cols;
            store_beats <= c_beats;
            store_cols <= c_cols;
            store_words <= c_words;
            store_first_word <= c_first_word;
            store_first_row <= c_first_row;
            store_first_col <= c_first_col;
            store_sum_base <= compute_half ? SUM_DEPTH[OA-1:0] : {OA{1'b0}};
            store_group_sums <= compute_group_sums;
            store_residual_base <= compute_residual_base;

            compute_finishes <= finishes;
            compute_col_groups <= col_groups;
            compute_pixel_groups <= pixel_groups;
            compute_rows <= rows;
            compute_row_groups <= row_groups;
            compute_left <= left;
            compute_top <= top;
            compute_ifmap_base <= ifmap_base;
            compute_weight_base <= weight_base;
            compute_sum_base <= sum_base;
            compute_half <= sum_half;
            compute_follows <= sum_follows;
            compute_zero <= first_in;
            c_word <= result_word;
            c_beats <= result_beats;
            c_cols <= cols;
            c_words <= result_words;
            c_first_word <= result_first;
            c_first_row <= result_row;
            c_first_col <= result_col;
            c_residual_word <= walk_residual_word;
            c_residual_beats <= walk_residual_beats;
            if (fetches && finishes) sum_half <= OFMAP_BUFFERS == 2 && !sum_half;
        end
        if (state == COUNTERS && starting) begin
            store_word <= counter_word;
            store_rows <= 1;
            store_runs <= 1;
            store_beats <= COUNTER_WORDS[BEATS-1:0];
        end
        if (!resetn) begin
            state <= IDLE;
            running <= 1'b0;
            error_code <= 4'd0;
            {halt, undrained} <= 2'd0;
            {ifmap_request, weight_request, residual_request, store_request} <= 4'd0;
            {computes, stores} <= 2'd0;
        end
    end
endmodule
