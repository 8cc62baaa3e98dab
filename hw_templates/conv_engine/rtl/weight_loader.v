// Takes what comes over the weight port to where it belongs: descriptors, parameters, the activation table, weights.
//
// `kind` says what the stream holds until its last word: DESCRIPTOR units go out on the configuration bus, one every other cycle;
// PARAMETERS fill the lines of a half of the parameter memory, LANES of them a line, from its first line; TABLE fills a buffer of
// 256 bytes, whose entries leave one a cycle once `copy` is set, while the port goes on with other things (`table_busy`); WEIGHTS
// fill lines of the weight buffer from weight_base.
//
// Handshake: `start` for one cycle with the command, which stays until `done`; `done` is level until the next start. `empty`
// commands are done at once. `count` counts the beats.
module weight_loader #(
    parameter BYTES = 8,          // of a beat
    parameter LINE = 64,          // bytes of a line of the weight buffer, a multiple of BYTES
    parameter WA = 11,            // bits of a line's address
    parameter LANES = 8,          // of post-processing
    parameter PA = 8              // bits of a line of the parameter memory
) (
    input wire clk,
    input wire resetn,
    input wire start,
    output wire done,
    input wire [1:0] kind,
    input wire empty,
    input wire [WA-1:0] weight_base,
    input wire parameter_half,    // that is filled
    input wire copy,
    output reg [31:0] count,
    input wire in_valid,
    output wire in_ready,
    input wire [8*BYTES-1:0] in_data,
    input wire in_last,
    output wire config_write,
    output reg [5:0] config_unit,
    output wire [63:0] config_data,
    output wire [LANES-1:0] parameter_write,
    output wire [PA-1:0] parameter_line,
    output wire [55:0] parameter_data,
    output wire table_busy,
    output wire table_write,
    output wire [7:0] table_address,
    output wire [7:0] table_data,
    output reg [LINE/BYTES-1:0] weight_write,
    output reg [WA-1:0] weight_address,
    output reg [8*BYTES-1:0] weight_data
);
    localparam [1:0] DESCRIPTOR = 0, PARAMETERS = 1, TABLE = 2, WEIGHTS = 3;
    localparam GROUPS = LINE / BYTES;
    localparam LL = LANES > 1 ? $clog2(LANES) : 1;

    reg running;
    wire units = kind == DESCRIPTOR || kind == PARAMETERS;
    wire unit_ready, unit_valid;
    wire take = in_valid && in_ready;
    // A table waits until the one before it has left.
    assign in_ready = running && (!units || unit_ready) && !(kind == TABLE && table_busy);

    unit_stream #(.BYTES(BYTES)) to_units (
        .clk(clk), .resetn(resetn && !start), .pauses(kind == DESCRIPTOR), .in_valid(in_valid && running && units), .in_ready(unit_ready), .in_data(in_data),
        .unit_valid(unit_valid), .unit(config_data));

    // Units: the configuration bus, and a parameter line's lanes one after the other.
    reg [LL-1:0] lane;
    reg [PA-2:0] line_of_half;
    assign parameter_line = {parameter_half, line_of_half};
    wire last_lane = {{32-LL{1'b0}}, lane} == LANES - 1;
    assign config_write = unit_valid && kind == DESCRIPTOR;
    assign parameter_data = config_data[55:0];
    genvar l;
    generate
        for (l = 0; l < LANES; l = l + 1) begin : lanes
            assign parameter_write[l] = unit_valid && kind == PARAMETERS && {{32-LL{1'b0}}, lane} == l;
        end
    endgenerate

    // The table: its beats are kept, and leave byte by byte.
    localparam BEATS = 256 / BYTES;
    localparam LB = $clog2(BYTES);
    (* ram_style = "distributed" *) reg [8*BYTES-1:0] beats [0:BEATS-1];
    reg [8*BYTES-1:0] beat;
    reg [7-LB:0] fill;
    reg [7:0] entry;
    reg copying, leaving;
    reg [7:0] leaving_entry;
    wire table_take = take && kind == TABLE;
    assign table_busy = copying || leaving;
    assign table_write = leaving;
    assign table_address = leaving_entry;
    assign table_data = beat[7:0];

    always @(posedge clk) begin
        if (table_take) beats[fill] <= in_data;
        if (start) fill <= 0;
        else if (table_take) fill <= fill + 1'b1;
        if (!resetn) copying <= 1'b0;
        else if (copy) copying <= 1'b1;
        else if (entry == 8'd255) copying <= 1'b0;
        entry <= copying ? entry + 1'b1 : 8'd0;
        leaving <= copying && resetn;
        leaving_entry <= entry;
        beat <= entry[LB-1:0] == 0 ? beats[entry[7:LB]] : beat >> 8;
    end

    reg [GROUPS-1:0] group;       // of the weight line, one-hot
    reg [WA-1:0] line;
    assign done = !running && !unit_valid && weight_write == 0;

    always @(posedge clk) begin
        if (!resetn) running <= 1'b0;
        else if (start) running <= !empty;
        else if (take && in_last) running <= 1'b0;

        if (start) count <= 32'd0;
        else if (take) count <= count + 32'd1;

        if (start) begin
            config_unit <= 6'd0;
            lane <= 0;
            line_of_half <= 0;
        end else if (unit_valid) begin
            config_unit <= config_unit + 1'b1;
            lane <= last_lane ? {LL{1'b0}} : lane + 1'b1;
            if (last_lane) line_of_half <= line_of_half + 1'b1;
        end

        if (start) begin
            group <= 1;
            line <= weight_base;
        end else if (take) begin
            group <= GROUPS == 1 ? group : {group[GROUPS-2:0], group[GROUPS-1]};
            if (group[GROUPS-1]) line <= line + 1'b1;
        end
        weight_write <= take && kind == WEIGHTS ? group : {GROUPS{1'b0}};
        weight_address <= line;
        weight_data <= in_data;
    end
endmodule
