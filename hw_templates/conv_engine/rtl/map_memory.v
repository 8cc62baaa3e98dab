// The memory in which maps stay on chip: BANKS banks of memory words, of which a line is written and a line is read a cycle.
//
// A place is a line and the bank of its first word; the words that follow go round the banks, behind the last one in the next
// line. Of those that are written `write_words` says which are there. Latency: written two cycles after write; read_data follows
// the place by four cycles.
module map_memory #(
    parameter BANKS = 2,
    parameter DEPTH = 1024,       // lines of both halves
    parameter STYLE = "block",
    parameter BYTES = 8,          // of a word
    parameter IN_WORDS = 1,       // that are written together
    parameter OUT_WORDS = 1,      // that are read together
    parameter MA = 11,            // bits of a line; one more than an address may need
    parameter BW = 1              // bits of a bank
) (
    input wire clk,
    input wire resetn,
    input wire write,
    input wire [IN_WORDS-1:0] write_words,
    input wire [MA-1:0] write_line,
    input wire [BW-1:0] write_bank,
    input wire [8*BYTES*IN_WORDS-1:0] write_data,
    input wire [MA-1:0] read_line,
    input wire [BW-1:0] read_bank,
    output reg [8*BYTES*OUT_WORDS-1:0] read_data
);
    localparam ADDRESS = $clog2(DEPTH);
    localparam WIDTH = 8 * BYTES;

    // Words only ever begin at multiples of what divides BANKS and the words of a line.
    function integer divisor(input integer a, input integer b);
        integer x, y, rest;
        begin
            x = a;
            y = b;
            while (y != 0) begin
                rest = x % y;
                x = y;
                y = rest;
            end
            divisor = x;
        end
    endfunction
    localparam IN_STEP = divisor(BANKS, IN_WORDS), OUT_STEP = divisor(BANKS, OUT_WORDS);

    /* verilator lint_off UNUSED */
    reg [MA-1:0] write_line1, write_next1, read_line1, read_next1;   // the top bit only counts to the end of a ring
    /* verilator lint_on UNUSED */
    reg [BW-1:0] write_bank1, read_bank1;
    reg [IN_WORDS-1:0] words1;
    reg [WIDTH*IN_WORDS-1:0] data1;
    wire [BW-1:0] read_bank4;
    wire [BANKS*WIDTH-1:0] read_words;
    always @(posedge clk) begin
        write_line1 <= write_line;
        write_next1 <= write_line + 1'b1;
        write_bank1 <= write_bank;
        words1 <= write && resetn ? write_words : {IN_WORDS{1'b0}};
        data1 <= write_data;
        read_line1 <= read_line;
        read_next1 <= read_line + 1'b1;
        read_bank1 <= read_bank;
    end
    delay #(.WIDTH(BW), .CYCLES(2)) to_words (.clk(clk), .in(read_bank1), .out(read_bank4));

    genvar b;
    generate
        for (b = 0; b < BANKS; b = b + 1) begin : banks
            reg here;
            reg [ADDRESS-1:0] address;
            reg [WIDTH-1:0] data;
            reg there;
            reg [WIDTH-1:0] word;
            integer first;
            always @* begin
                there = 1'b0;
                word = {WIDTH{1'b0}};
                for (first = 0; first < BANKS; first = first + IN_STEP)
                    if ({{32-BW{1'b0}}, write_bank1} == first && (b + BANKS - first) % BANKS < IN_WORDS) begin
                        there = words1[(b + BANKS - first) % BANKS % IN_WORDS];
                        word = data1[(b + BANKS - first) % BANKS % IN_WORDS * WIDTH +: WIDTH];
                    end
            end
            wire [31:0] number = b;
            wire [ADDRESS-1:0] read_address = number < {{32-BW{1'b0}}, read_bank1} ? read_next1[ADDRESS-1:0] :
                                                                                    read_line1[ADDRESS-1:0];
            always @(posedge clk) begin
                here <= there && resetn;
                address <= number < {{32-BW{1'b0}}, write_bank1} ? write_next1[ADDRESS-1:0] : write_line1[ADDRESS-1:0];
                data <= word;
            end
            bank #(.DEPTH(DEPTH), .WIDTH(WIDTH), .ADDRESS(ADDRESS), .STYLE(STYLE)) lines (
                .clk(clk), .write(here), .write_address(address), .write_data(data), .read_address(read_address),
                .read_data(read_words[b*WIDTH+:WIDTH]));
        end
    endgenerate

    integer w, from;
    always @(posedge clk)
        for (w = 0; w < OUT_WORDS; w = w + 1)
            for (from = 0; from < BANKS; from = from + OUT_STEP)
                if ({{32-BW{1'b0}}, read_bank4} == from)
                    read_data[w*WIDTH+:WIDTH] <= read_words[(from + w) % BANKS * WIDTH +: WIDTH];
endmodule
