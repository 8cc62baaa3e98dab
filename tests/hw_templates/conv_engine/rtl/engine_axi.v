// The engine with the signals of AXI4 that it leaves out: identities, sizes and kinds of bursts are constant.
`include "engine_config.vh"
module engine_axi (
    input wire clk,
    input wire resetn,
    input wire [6:0] s_axi_control_awaddr, input wire s_axi_control_awvalid, output wire s_axi_control_awready,
    input wire [31:0] s_axi_control_wdata, input wire [3:0] s_axi_control_wstrb, input wire s_axi_control_wvalid,
    output wire s_axi_control_wready, output wire [1:0] s_axi_control_bresp, output wire s_axi_control_bvalid,
    input wire s_axi_control_bready, input wire [6:0] s_axi_control_araddr, input wire s_axi_control_arvalid,
    output wire s_axi_control_arready, output wire [31:0] s_axi_control_rdata,
    output wire [1:0] s_axi_control_rresp, output wire s_axi_control_rvalid, input wire s_axi_control_rready,
`define READ_PORT(NAME, WIDTH) \
    output wire m_axi_``NAME``_arid, output wire [`ENGINE_ADDRESS-1:0] m_axi_``NAME``_araddr, \
    output wire [7:0] m_axi_``NAME``_arlen, output wire [2:0] m_axi_``NAME``_arsize, \
    output wire [1:0] m_axi_``NAME``_arburst, output wire m_axi_``NAME``_arvalid, \
    input wire m_axi_``NAME``_arready, input wire m_axi_``NAME``_rid, input wire [WIDTH-1:0] m_axi_``NAME``_rdata, \
    input wire [1:0] m_axi_``NAME``_rresp, input wire m_axi_``NAME``_rlast, input wire m_axi_``NAME``_rvalid, \
    output wire m_axi_``NAME``_rready,
    `READ_PORT(ifmap, 8 * `ENGINE_BYTES)
    `READ_PORT(weights, 8 * `ENGINE_BYTES * `ENGINE_PORT_WORDS)
    `READ_PORT(residual, 8 * `ENGINE_BYTES)
    output wire m_axi_ofmap_awid, output wire [`ENGINE_ADDRESS-1:0] m_axi_ofmap_awaddr,
    output wire [7:0] m_axi_ofmap_awlen, output wire [2:0] m_axi_ofmap_awsize, output wire [1:0] m_axi_ofmap_awburst,
    output wire m_axi_ofmap_awvalid, input wire m_axi_ofmap_awready,
    output wire [8*`ENGINE_BYTES-1:0] m_axi_ofmap_wdata, output wire [`ENGINE_BYTES-1:0] m_axi_ofmap_wstrb,
    output wire m_axi_ofmap_wlast, output wire m_axi_ofmap_wvalid, input wire m_axi_ofmap_wready,
    input wire m_axi_ofmap_bid, input wire [1:0] m_axi_ofmap_bresp, input wire m_axi_ofmap_bvalid,
    output wire m_axi_ofmap_bready,
    output wire done_interrupt
);
    assign {m_axi_ifmap_arid, m_axi_weights_arid, m_axi_residual_arid, m_axi_ofmap_awid} = 4'd0;
    assign {m_axi_ifmap_arburst, m_axi_weights_arburst, m_axi_residual_arburst, m_axi_ofmap_awburst} = {4{2'b01}};
    assign m_axi_ifmap_arsize = $clog2(`ENGINE_BYTES);
    assign m_axi_residual_arsize = $clog2(`ENGINE_BYTES);
    assign m_axi_ofmap_awsize = $clog2(`ENGINE_BYTES);
    assign m_axi_weights_arsize = $clog2(`ENGINE_BYTES * `ENGINE_PORT_WORDS);
`define READ_PINS(NAME) \
        .m_axi_``NAME``_araddr(m_axi_``NAME``_araddr), .m_axi_``NAME``_arlen(m_axi_``NAME``_arlen), \
        .m_axi_``NAME``_arvalid(m_axi_``NAME``_arvalid), .m_axi_``NAME``_arready(m_axi_``NAME``_arready), \
        .m_axi_``NAME``_rdata(m_axi_``NAME``_rdata), .m_axi_``NAME``_rresp(m_axi_``NAME``_rresp), \
        .m_axi_``NAME``_rlast(m_axi_``NAME``_rlast), .m_axi_``NAME``_rvalid(m_axi_``NAME``_rvalid), \
        .m_axi_``NAME``_rready(m_axi_``NAME``_rready),
    engine_top engine (
        `READ_PINS(ifmap)
        `READ_PINS(weights)
        `READ_PINS(residual)
        .clk(clk), .resetn(resetn), .s_axi_control_awaddr(s_axi_control_awaddr),
        .s_axi_control_awvalid(s_axi_control_awvalid), .s_axi_control_awready(s_axi_control_awready),
        .s_axi_control_wdata(s_axi_control_wdata), .s_axi_control_wstrb(s_axi_control_wstrb),
        .s_axi_control_wvalid(s_axi_control_wvalid), .s_axi_control_wready(s_axi_control_wready),
        .s_axi_control_bresp(s_axi_control_bresp), .s_axi_control_bvalid(s_axi_control_bvalid),
        .s_axi_control_bready(s_axi_control_bready), .s_axi_control_araddr(s_axi_control_araddr),
        .s_axi_control_arvalid(s_axi_control_arvalid), .s_axi_control_arready(s_axi_control_arready),
        .s_axi_control_rdata(s_axi_control_rdata), .s_axi_control_rresp(s_axi_control_rresp),
        .s_axi_control_rvalid(s_axi_control_rvalid), .s_axi_control_rready(s_axi_control_rready),
        .m_axi_ofmap_awvalid(m_axi_ofmap_awvalid), .m_axi_ofmap_awready(m_axi_ofmap_awready),
        .m_axi_ofmap_awaddr(m_axi_ofmap_awaddr), .m_axi_ofmap_awlen(m_axi_ofmap_awlen),
        .m_axi_ofmap_wvalid(m_axi_ofmap_wvalid), .m_axi_ofmap_wready(m_axi_ofmap_wready),
        .m_axi_ofmap_wdata(m_axi_ofmap_wdata), .m_axi_ofmap_wstrb(m_axi_ofmap_wstrb),
        .m_axi_ofmap_wlast(m_axi_ofmap_wlast), .m_axi_ofmap_bvalid(m_axi_ofmap_bvalid),
        .m_axi_ofmap_bready(m_axi_ofmap_bready), .m_axi_ofmap_bresp(m_axi_ofmap_bresp),
        .done_interrupt(done_interrupt));
endmodule
