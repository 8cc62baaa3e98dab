// The engine's Verilog, which Verilator has made into C++, with a memory behind its ports and its registers to write and read.
#pragma once

#include <memory>

#include "Vengine_top.h"
#include "axi_memory.h"
#include "engine_sizes.h"
#include "verilated.h"

// Registers that hold the arena's address, as each port sees it.
constexpr unsigned ENGINE_PORTS[] = {REGISTER_IFMAP_PORT, REGISTER_WEIGHT_PORT, REGISTER_RESIDUAL_PORT,
                                     REGISTER_OFMAP_PORT};

struct ReadPort {
    CData *arvalid, *arready;
    QData* araddr;
    CData *arlen, *rvalid, *rready;
    void* rdata;
    CData *rresp, *rlast;
};

struct WritePort {
    CData *awvalid, *awready;
    QData* awaddr;
    CData *awlen, *wvalid, *wready;
    void *wdata, *wstrb;
    CData *wlast, *bvalid, *bready, *bresp;
};

class RtlEngine {
public:
    RtlEngine(size_t arena_bytes, const AxiSettings& settings)
        : RtlEngine(std::make_unique<AxiMemory>(arena_bytes, BASE, settings)) {}

    explicit RtlEngine(std::unique_ptr<AxiMemory> behind)
        : owned(std::move(behind)),
          memory(*owned),
          ifmap(memory, {&top.m_axi_ifmap_arvalid, &top.m_axi_ifmap_arready, &top.m_axi_ifmap_araddr,
                         &top.m_axi_ifmap_arlen, &top.m_axi_ifmap_rvalid, &top.m_axi_ifmap_rready,
                         &top.m_axi_ifmap_rdata, &top.m_axi_ifmap_rresp, &top.m_axi_ifmap_rlast}),
          weights(memory, {&top.m_axi_weights_arvalid, &top.m_axi_weights_arready, &top.m_axi_weights_araddr,
                           &top.m_axi_weights_arlen, &top.m_axi_weights_rvalid, &top.m_axi_weights_rready,
                           &top.m_axi_weights_rdata, &top.m_axi_weights_rresp, &top.m_axi_weights_rlast}),
          residual(memory, {&top.m_axi_residual_arvalid, &top.m_axi_residual_arready, &top.m_axi_residual_araddr,
                            &top.m_axi_residual_arlen, &top.m_axi_residual_rvalid, &top.m_axi_residual_rready,
                            &top.m_axi_residual_rdata, &top.m_axi_residual_rresp, &top.m_axi_residual_rlast}),
          ofmap(memory,
                {&top.m_axi_ofmap_awvalid, &top.m_axi_ofmap_awready, &top.m_axi_ofmap_awaddr, &top.m_axi_ofmap_awlen,
                 &top.m_axi_ofmap_wvalid, &top.m_axi_ofmap_wready, &top.m_axi_ofmap_wdata, &top.m_axi_ofmap_wstrb,
                 &top.m_axi_ofmap_wlast, &top.m_axi_ofmap_bvalid, &top.m_axi_ofmap_bready, &top.m_axi_ofmap_bresp}) {
        top.clk = 0;
        top.resetn = 0;
        top.eval();
        for (int i = 0; i < 10; ++i) clock();
        top.resetn = 1;
    }

    void clock() {
        top.clk = 0;
        memory.tick();
        ifmap.drive();
        weights.drive();
        residual.drive();
        ofmap.drive();
        top.eval();
        if (top.resetn) {
            ifmap.sample();
            weights.sample();
            residual.sample();
            ofmap.sample();
        }
        top.clk = 1;
        top.eval();
    }

    void write(unsigned address, uint32_t value) {
        top.s_axi_control_awaddr = address, top.s_axi_control_awvalid = 1;
        top.s_axi_control_wdata = value, top.s_axi_control_wstrb = 15, top.s_axi_control_wvalid = 1;
        top.s_axi_control_bready = 1;
        top.eval();
        while (!top.s_axi_control_awready) clock();
        clock();
        top.s_axi_control_awvalid = top.s_axi_control_wvalid = 0;
        while (!top.s_axi_control_bvalid) clock();
        clock();
    }

    uint32_t read(unsigned address) {
        top.s_axi_control_araddr = address, top.s_axi_control_arvalid = 1, top.s_axi_control_rready = 1;
        top.eval();
        while (!top.s_axi_control_arready) clock();
        clock();
        top.s_axi_control_arvalid = 0;
        while (!top.s_axi_control_rvalid) clock();
        const uint32_t value = top.s_axi_control_rdata;
        clock();
        return value;
    }

    void write_wide(unsigned address, uint64_t value) {
        write(address, static_cast<uint32_t>(value));
        write(address + 4, static_cast<uint32_t>(value >> 32));
    }

    uint64_t read_wide(unsigned address) {
        const uint64_t low = read(address);
        return low | static_cast<uint64_t>(read(address + 4)) << 32;
    }

    // Runs a program to its end; the watchdog ends it where no stage moves for so many cycles.
    void run(uint32_t program_word, uint32_t layers, uint32_t watchdog_cycles) {
        for (unsigned port : ENGINE_PORTS) {
            write_wide(port, BASE);
        }
        write(REGISTER_PROGRAM_WORD, program_word);
        write(REGISTER_LAYER_COUNT, layers);
        write(REGISTER_ARENA_WORDS, static_cast<uint32_t>(memory.bytes.size() / ENGINE_BYTES));
        write(REGISTER_PROTECTED_WORDS, 0);
        write(REGISTER_WATCHDOG, watchdog_cycles);
        write(REGISTER_GLOBAL_INTERRUPT, 1);
        write(REGISTER_INTERRUPT_ENABLE, 1);
        write(REGISTER_INTERRUPT_STATUS, 1);
        write(REGISTER_CONTROL, 1);
        while (!top.done_interrupt) clock();
    }

    // Whether the memory owes no answer.
    bool quiet() const { return ifmap.quiet() && weights.quiet() && residual.quiet() && ofmap.quiet(); }

    static constexpr uint64_t BASE = 0x340000000;
    Vengine_top top;
    const std::unique_ptr<AxiMemory> owned;
    AxiMemory& memory;
    AxiReader<ReadPort, ENGINE_BYTES> ifmap;
    AxiReader<ReadPort, ENGINE_BYTES * ENGINE_PORT_WORDS> weights;
    AxiReader<ReadPort, ENGINE_BYTES> residual;
    AxiWriter<WritePort, ENGINE_BYTES> ofmap;
};
