// Fetches what a layer begins with: its descriptor, then its parameters, then its activation table where it asks for one.
//
// It makes commands to the loader of the weight port, one after the other, and may do so while another layer runs: the fields
// go to where they wait for their turn. `clear` goes back to the program's first descriptor; `go` fetches the next one's. A layer
// that is not `sound` is fetched no further than its descriptor. Handshake: `busy` is set from the cycle behind go; `command` is set for one
// cycle a command, and `command_done` is level from the loader.
`include "engine_format.vh"
module layer_fetch #(
    parameter AW = 26,
    parameter BEATS = 16,
    parameter PORT_BYTES = 8,     // of a beat of the weight port
    parameter SHIFT = 0           // memory words of a beat, as a power of two
) (
    input wire clk,
    input wire resetn,
    input wire config_write,
    input wire [5:0] config_unit,
    input wire [63:0] config_data,
    input wire clear,
    input wire [AW-1:0] program_word,
    input wire go,
    output wire busy,
    output wire sound,
    output wire has_table,        // of the layer that was fetched
    output reg command,
    output reg [1:0] kind,
    output reg [AW-1:0] beat,
    output reg [BEATS-1:0] beats,
    input wire command_done
);
    localparam [1:0] DESCRIPTOR = 0, PARAMETERS = 1, TABLE = 2;
    localparam DESCRIPTOR_BEATS = `DESCRIPTOR_BYTES / PORT_BYTES, TABLE_BEATS = 256 / PORT_BYTES;

    `define FIELD(NAME, BITS, AT) \
        wire [BITS-1:0] NAME; \
        field #(.WIDTH(BITS), .INDEX(AT)) of_``NAME ( \
            .clk(clk), .config_write(config_write), .config_unit(config_unit), .config_data(config_data), .value(NAME));
    /* verilator lint_off UNUSED */  // lowest bits of places that the weight port reads
    `FIELD(parameter_word, AW, `AT_PARAMETER_WORD)
    `FIELD(table_word, AW, `AT_TABLE_WORD)
    /* verilator lint_on UNUSED */
    `FIELD(parameter_beats, BEATS, `AT_PARAMETER_BEATS)
    `FIELD(load_table, 1, `AT_LOAD_TABLE)
    `undef FIELD
    assign has_table = load_table;

    descriptor_check of_descriptor (
        .clk(clk), .clear(go), .config_write(config_write), .config_unit(config_unit), .config_data(config_data),
        .sound(sound));

    // A command, and the wait for it; the check of the last unit comes a cycle behind the descriptor.
    localparam [1:0] IDLE = 0, WAIT = 1, NEXT = 2;
    reg [1:0] state;
    reg [AW-1:0] descriptor_beat;
    assign busy = state != IDLE;

    always @(posedge clk) begin
        command <= 1'b0;
        case (state)
            IDLE: if (go) begin
                command <= 1'b1;
                kind <= DESCRIPTOR;
                beat <= descriptor_beat;
                beats <= DESCRIPTOR_BEATS[BEATS-1:0];
                descriptor_beat <= descriptor_beat + DESCRIPTOR_BEATS[AW-1:0];
                state <= WAIT;
            end
            WAIT: if (!command && command_done) state <= NEXT;
            default: begin
                if (kind == TABLE || (kind == DESCRIPTOR && !sound) || (kind == PARAMETERS && !load_table)) begin
                    state <= IDLE;
                end else begin
                    command <= 1'b1;
                    kind <= kind + 1'b1;
                    beat <= (kind == DESCRIPTOR ? parameter_word : table_word) >> SHIFT;
                    beats <= kind == DESCRIPTOR ? parameter_beats : TABLE_BEATS[BEATS-1:0];
                    state <= WAIT;
                end
            end
        endcase
        if (clear) descriptor_beat <= program_word >> SHIFT;
        if (!resetn) begin
            state <= IDLE;
            command <= 1'b0;
        end
    end
endmodule
