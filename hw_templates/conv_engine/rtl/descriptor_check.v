// Checks each field of a descriptor against the least and the greatest value that this engine takes.
//
// The descriptor comes as 64-bit units of two fields, on the bus that all fields share. `clear` begins one; `sound` stays set
// until a field is out of its range. Latency: two cycles from a unit to `sound`.
`include "engine_ranges.vh"
module descriptor_check (
    input wire clk,
    input wire clear,
    input wire config_write,
    input wire [5:0] config_unit,
    input wire [63:0] config_data,
    output reg sound
);
    // Least value and what the greatest is above it, of the upper and of the lower field.
    reg [31:0] least1, span1, least0, span0;
    always @* begin
        case (config_unit)
            `FIELD_RANGES
            default: {least1, span1, least0, span0} = 128'd0;
        endcase
    end

    reg valid;
    reg [31:0] above1, above0, most1, most0;
    always @(posedge clk) begin
        valid <= config_write;
        above1 <= config_data[63:32] - least1;
        above0 <= config_data[31:0] - least0;
        most1 <= span1;
        most0 <= span0;
        if (clear) sound <= 1'b1;
        else if (valid && (above1 > most1 || above0 > most0)) sound <= 1'b0;
    end
endmodule
