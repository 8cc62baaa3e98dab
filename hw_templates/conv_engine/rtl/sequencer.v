// Runs a program: layer after layer, slot after slot, stage beside stage. A layer here is a descriptor: a whole one, or a band of rows.
//
// In a slot the loaders fetch one tile, the array works on the tile before, and the store puts away what the tile before that
// finished. Where a buffer is single, its slot has a phase more: the store goes first, or the loads come last. In the first slot
// that leaves the weight port free, descriptor, parameters and table of the next layer are fetched; only the program's first layer
// waits for its own.
//
// The last two slots of a layer fetch nothing of it. In the last one, beside the store, goes what the next layer may fetch `early`: the
// weights of its first tile, or its part of the map too. Then the counters are written and the next layer goes on. It waits until all
// results have been answered (`drained`) before it reads what its descriptor says may just have been made.
//
// Handshake with a stage: `start` is set for one cycle, with a command that stays until `done`. A program whose registers are
// `unsound`, and a layer of whose descriptor a field is out of range, are not run (code 5); after an error of a memory port (codes 1 to 4)
// the program ends with the slot. `finished` is set for one cycle at the end; error_code and layer stay until the next begin. The
// layer is the one that ran when the error was noticed: of a write, the one that made it or one behind it.
//
// A code of the guard halts: `halt` resets the stages and stops the ports, until all that they asked for has been answered. Where
// that takes more than STOP_CYCLES, `finished` comes before, and `undrained` stays until it has; no program begins until then. Results
// that are not as many words as their descriptor says halt too (code 5) where they are noticed: at a wait, or at the end.
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
    parameter BANKS = 1,          // of the map memory
    parameter MA = 1,
    parameter BW = 1,
    parameter STOP_CYCLES = 4000
) (
    input wire clk,
    input wire resetn,
    input wire config_write,
    input wire [5:0] config_unit,
    input wire [63:0] config_data,
    output wire turn_fetch,       // loaders and array take the fields of the next layer
    output reg turn_store,        // and so does the store
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
    input wire [3:0] port_errors, // bounds of reads, of writes; responses of reads, of writes; the weight port's are apart
    input wire [1:0] weight_errors, // bounds, responses
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
    output wire ifmap_on_chip,    // the part comes from the map memory
    output wire map_start,
    output wire [MA-1:0] ifmap_line,
    output wire [BW-1:0] ifmap_bank,
    output wire [MA-1:0] ifmap_ring,
    output wire [MA-1:0] ifmap_ring_end,
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
    output reg parameter_half,    // that the store reads
    output reg table_copy,
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
    input wire store_on_chip,
    output reg [CW-1:0] store_first_group,
    output reg [MA-1:0] store_line,
    output reg [BW-1:0] store_bank,
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
    `define FIELD(NAME, BITS, AT, TURN) \
        wire [BITS-1:0] NAME; \
        layer_field #(.WIDTH(BITS), .INDEX(AT)) of_``NAME ( \
            .clk(clk), .config_write(config_write), .config_unit(config_unit), .config_data(config_data), .turn(TURN), \
            .value(NAME));
    `FIELD(weight_word, AW, `AT_WEIGHT_WORD, turn_fetch)
    `FIELD(results_wanted, 3, `AT_WAITS, turn_fetch)
    `FIELD(early, 2, `AT_EARLY, turn_fetch)
    `FIELD(counter_word, AW, `AT_COUNTER_WORD, turn_store)
    `FIELD(residual, 2, `AT_RESIDUAL, turn_store)
    `FIELD(whole_out, 1, `AT_WHOLE_OUT, turn_store)
    `FIELD(whole_res, 1, `AT_WHOLE_RES, turn_store)
    `undef FIELD

    localparam SHIFT = PORT_WORDS == 2 ? 1 : 0;
    localparam COUNTER_WORDS = 32 / BYTES;
    localparam [1:0] WEIGHTS = 3;

    // States. A phase is a cycle of starts and a wait for all that were started.
    localparam [3:0] IDLE = 0, FIRST = 1, TURN = 2, WALK = 3, STORE_PHASE = 4, MAIN_PHASE = 5,
                     LOAD_PHASE = 6, SHIFT_TILES = 7, COUNTERS = 8, DRAIN = 9, END = 10, STOP = 11;
    reg [3:0] state;

    // The next layer: fetched once, in a slot of the present one.
    reg next_fetched;
    wire has_next = layer + 16'd1 != layer_count;
    reg next_failed;              // what was read of it brought an error
    wire fetch_go, fetch_busy, fetch_sound, fetch_command, has_table;
    wire goes_on = has_next && fetch_sound && !next_failed;
    wire [1:0] fetch_kind;
    wire [AW-1:0] fetch_beat;
    wire [BEATS-1:0] fetch_beats;
    layer_fetch #(
        .AW(AW), .BEATS(BEATS), .PORT_BYTES(BYTES * PORT_WORDS), .SHIFT(SHIFT)
    ) of_next (
        .clk(clk), .resetn(resetn && !halt), .config_write(config_write), .config_unit(config_unit),
        .config_data(config_data), .clear(begin_program), .program_word(program_word), .go(fetch_go), .busy(fetch_busy),
        .sound(fetch_sound), .has_table(has_table), .command(fetch_command), .kind(fetch_kind), .beat(fetch_beat),
        .beats(fetch_beats), .command_done(!weight_start && !weight_request && weight_done));

    // The tile that is fetched.
    wire walk_ready, walk_ended, fetch_ifmap, fetch_weights, first_in, sum_follows, finishes;
    wire [AW-1:0] weight_offset, result_word, walk_residual_word;
    wire [BEATS-1:0] tile_weight_beats, result_beats, walk_residual_beats;
    wire [CW-1:0] col_groups, pixel_groups, row_groups, rows, cols, result_words, result_group, result_row, result_col;
    wire [MA-1:0] result_line;
    wire [BW-1:0] result_bank;
    wire signed [CW:0] left, top;
    wire walk_empty;
    reg walk_restart, wants_tile;
    wire walk_next = state == WALK && wants_tile && walk_ready && !walk_restart;
    wire [IA-1:0] walk_place;
    tile_walk #(
        .AW(AW), .CW(CW), .IA(IA), .LW(LW), .DW(DW), .BEATS(BEATS), .BANKS(BANKS), .MA(MA), .BW(BW)
    ) walk (
        .clk(clk), .resetn(resetn), .config_write(config_write), .config_unit(config_unit), .config_data(config_data),
        .turn(turn_fetch), .restart(walk_restart), .next(walk_next), .ready(walk_ready), .ended(walk_ended),
        .fetch_ifmap(fetch_ifmap), .fetch_weights(fetch_weights), .ifmap_word(ifmap_word), .ifmap_rows(ifmap_rows), .ifmap_runs(ifmap_runs),
        .ifmap_beats(ifmap_beats), .ifmap_empty(walk_empty), .ifmap_odd_row(ifmap_odd_row),
        .ifmap_odd_col(ifmap_odd_col), .ifmap_cols(ifmap_cols), .ifmap_words(ifmap_words), .ifmap_place(walk_place),
        .ifmap_lane(ifmap_lane), .ifmap_phase(ifmap_phase), .ifmap_on_chip(ifmap_on_chip),
        .ifmap_line(ifmap_line), .ifmap_bank(ifmap_bank), .ifmap_ring(ifmap_ring), .ifmap_ring_end(ifmap_ring_end),
        .weight_offset(weight_offset), .weight_beats(tile_weight_beats), .first_in(first_in), .sum_follows(sum_follows), .col_groups(col_groups),
        .pixel_groups(pixel_groups), .row_groups(row_groups), .rows(rows), .cols(cols), .left(left), .top(top),
        .finishes(finishes), .result_word(result_word), .result_beats(result_beats),
        .residual_word(walk_residual_word), .residual_beats(walk_residual_beats), .result_words(result_words),
        .result_group(result_group), .result_line(result_line), .result_bank(result_bank), .result_row(result_row),
        .result_col(result_col));

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
    reg [CW-1:0] c_cols, c_words, c_group, c_first_row, c_first_col;
    reg [MA-1:0] c_line;
    reg [BW-1:0] c_bank;
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
    reg [3:0] counter_left;
    reg [12:0] stop_cycles;
    localparam FLUSH_CYCLES = 64; // more than any pipeline of a stage is deep
    wire fetches = !walk_ended;
    wire store_first = OFMAP_BUFFERS == 1;

    // A slot may be the last of one layer and fetch, early, of the next (`beside`); what it leaves out of the first tile follows
    // in a slot of its own. What the descriptor says may just have been made is read only once it is in memory.
    reg beside, weights_there, first_tile;
    wire takes_ifmap = fetches && fetch_ifmap && (!beside || early == 2'd2);
    wire takes_weights = fetches && fetch_weights && (beside ? early != 2'd0 : !weights_there);
    wire wants_map = results_wanted[0] && fetches && fetch_ifmap;
    wire waits = beside ? (early == 2'd2 && wants_map) || (early != 2'd0 && results_wanted[2]) :
                 first_tile && (wants_map || (computes ? results_wanted[1] : results_wanted[2]));

    wire loads_done = ifmap_done && weight_done && !ifmap_request && !weight_request && !weight_start && !fetch_busy;
    wire all_done = loads_done && compute_done && residual_done && store_done && !residual_request && !store_request &&
                    !starting;
    wire in_main = state == MAIN_PHASE && starting;
    wire in_loads = state == LOAD_PHASE && starting;
    wire in_store = state == STORE_PHASE && starting;
    wire load_ifmap = takes_ifmap && (IFMAP_BUFFERS == 2 ? in_main : in_loads);
    wire load_weights = takes_weights && (WEIGHT_BUFFERS == 2 ? in_main : in_loads);
    wire fetch_next = in_main && computes && has_next && !next_fetched && !load_weights;
    assign fetch_go = fetch_next || (state == FIRST && starting);
    assign turn_fetch = state == TURN;
    assign ifmap_start = load_ifmap;
    assign ifmap_empty = walk_empty;
    assign map_start = load_ifmap && ifmap_on_chip && !walk_empty;
    assign compute_start = in_main && computes;
    assign residual_start = in_main && computes && compute_finishes && has_residual;
    assign store_start = stores && (store_first ? in_store : in_main);
    wire moves = fetches && (!beside || early == 2'd2);   // the fetched tile is complete
    // An error of the next layer's fetch is its own; those of what is fetched early are, too.
    wire [3:0] errors = port_errors | {1'b0, weight_errors[1] && !next_failed, 1'b0, weight_errors[0] && !next_failed};
    wire stage_error = errors != 4'd0;
    wire [3:0] port_error = errors[0] ? 4'd1 : errors[1] ? 4'd2 : errors[2] ? 4'd3 : 4'd4;
    wire [3:0] next_error = !next_failed ? 4'd5 : weight_errors[0] ? 4'd1 : 4'd3;

    // What the layer counts. Loads of the next layer's first tile are counted for it.
    reg [31:0] iterations, ifmap_total, weight_total, store_total, cycles, compute_cycles, load_wait, store_wait;
    reg ran_ifmap, ran_weights, ran_compute, ran_store;
    reg [255:0] counters;
    assign counter_valid = state == COUNTERS && counter_left != 0 && !starting;
    assign counter_data = counters[8*BYTES-1:0];

    always @(posedge clk) begin
        walk_restart <= 1'b0;
        weight_start <= 1'b0;
        finished <= 1'b0;
        starting <= 1'b0;
        turn_store <= 1'b0;
        table_copy <= 1'b0;
        if (ifmap_taken) ifmap_request <= 1'b0;
        if (weight_taken) weight_request <= 1'b0;
        if (residual_taken) residual_request <= 1'b0;
        if (store_taken) store_request <= 1'b0;
        cycles <= cycles + 32'd1;

        if (load_ifmap && !walk_empty && !ifmap_on_chip) ifmap_request <= 1'b1;
        if (residual_start) residual_request <= 1'b1;
        if (store_start && !store_on_chip) store_request <= 1'b1;
        if (fetch_command || load_weights) begin
            weight_request <= fetch_command || tile_weight_beats != 0;
            weight_start <= 1'b1;
            weight_empty <= !fetch_command && tile_weight_beats == 0;
            weight_kind <= fetch_command ? fetch_kind : WEIGHTS;
            weight_beat <= fetch_command ? fetch_beat : (weight_word >> SHIFT) + weight_offset;
            weight_beats <= fetch_command ? fetch_beats : tile_weight_beats;
        end
        if (fetch_next) next_fetched <= 1'b1;
        if (fetch_busy && weight_errors != 2'd0) next_failed <= 1'b1;

        case (state)
            IDLE: if (begin_program) begin
                state <= unsound ? DRAIN : FIRST;
                starting <= 1'b1;
                running <= 1'b1;
                layer <= 16'd0;
                error_code <= unsound ? 4'd5 : 4'd0;
                {ifmap_half, weight_half, sum_half, parameter_half} <= 4'd0;
                {computes, stores, beside, weights_there, next_fetched, next_failed} <= 6'd0;
                cycles <= 32'd0;
                {ifmap_total, weight_total} <= 64'd0;
                {iterations, store_total, compute_cycles, load_wait, store_wait} <= 160'd0;
            end
            FIRST: if (!starting && !fetch_busy) begin
                state <= next_failed || !fetch_sound ? DRAIN : TURN;
                if (next_failed || !fetch_sound) error_code <= next_error;
            end
            // Loaders and array turn to the layer that was fetched.
            TURN: begin
                walk_restart <= 1'b1;
                wants_tile <= 1'b1;
                state <= WALK;
                turn_store <= !beside;
            end
            WALK: if (walk_next) begin
                wants_tile <= 1'b0;
            end else if (!wants_tile && !turn_store && (!waits || drained) && !(stores && table_busy)) begin
                state <= store_first && stores ? STORE_PHASE : MAIN_PHASE;
                starting <= 1'b1;
                {ran_ifmap, ran_weights, ran_compute, ran_store} <= 4'd0;
                if (takes_ifmap) ifmap_half <= IFMAP_BUFFERS == 2 && !ifmap_half;
                if (takes_weights) weight_half <= WEIGHT_BUFFERS == 2 && !weight_half;
                if (waits && !empty) begin
                    halt <= 1'b1;
                    state <= STOP;
                    error_code <= 4'd5;
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
                computes <= moves;
                wants_tile <= moves;
                if (computes) first_tile <= 1'b0;
                weights_there <= beside && early == 2'd1;
                counter_left <= COUNTER_WORDS[3:0];
                starting <= 1'b1;
                if (stage_error) begin
                    error_code <= port_error;
                    if (beside && (errors[0] || (errors[2] && !errors[1]))) layer <= layer + 16'd1;
                    beside <= 1'b0;
                    counters[32+:64] <= {weight_total, ifmap_total};
                    state <= COUNTERS;
                end else if (beside) begin
                    state <= COUNTERS;
                end else if (fetches) begin
                    state <= WALK;
                end else if (computes) begin
                    // The layer's last slot is left.
                    beside <= goes_on;
                    state <= goes_on ? TURN : WALK;
                    counters[32+:64] <= {weight_total, ifmap_total};
                    {ifmap_total, weight_total} <= 64'd0;
                end else begin
                    state <= COUNTERS;
                end
            end
            COUNTERS: begin
                if (starting) begin
                    counters <= {store_wait, load_wait, compute_cycles, cycles, store_total, counters[32+:64], iterations};
                    store_request <= 1'b1;
                    cycles <= 32'd0;
                    {iterations, store_total, compute_cycles, load_wait, store_wait} <= 160'd0;
                end else if (counter_ready && counter_left != 0) begin
                    counters <= counters >> (8 * BYTES);
                    counter_left <= counter_left - 1'b1;
                end else if (counter_left == 0 && !store_request) begin
                    state <= beside ? WALK : DRAIN;
                    beside <= 1'b0;
                    if (beside) begin
                        layer <= layer + 16'd1;
                        turn_store <= 1'b1;
                    end
                end
            end
            DRAIN: if (drained && !store_request) begin
                // Of the last writes of a layer only now all answers are there.
                if (error_code == 4'd0 && stage_error) error_code <= port_error;
                state <= END;
            end
            END: begin
                if (!empty) begin
                    halt <= 1'b1;
                    state <= STOP;
                    if (error_code == 4'd0) error_code <= 4'd5;
                end else begin
                    state <= IDLE;
                    running <= 1'b0;
                    finished <= 1'b1;
                    if (error_code == 4'd0 && has_next) begin
                        // The next layer could not be fetched, or is not sound.
                        layer <= layer + 16'd1;
                        error_code <= next_error;
                    end
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

        // The store turns to a layer's fields; the table goes to its lanes beside the slots in which no store runs.
        if (turn_store) begin
            parameter_half <= !parameter_half;
            table_copy <= has_table;
            next_fetched <= 1'b0;
            first_tile <= 1'b1;
        end

        if (!halt) stop_cycles <= 13'd0;
        if (guard_code != 4'd0 && running && !halt && state != END) begin
            halt <= 1'b1;
            state <= STOP;
            error_code <= guard_code;
            {ifmap_request, weight_request, residual_request, store_request} <= 4'd0;
            {weight_start, walk_restart, table_copy} <= 3'd0;
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
            store_first_group <= c_group;
            store_line <= c_line;
            store_bank <= c_bank;
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
            c_group <= result_group;
            c_line <= result_line;
            c_bank <= result_bank;
            c_first_row <= result_row;
            c_first_col <= result_col;
            c_residual_word <= walk_residual_word;
            c_residual_beats <= walk_residual_beats;
            if (moves && finishes) sum_half <= OFMAP_BUFFERS == 2 && !sum_half;
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
            {computes, stores, beside} <= 3'd0;
        end
    end
endmodule
