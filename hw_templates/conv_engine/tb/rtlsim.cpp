// Runs programs on the engine's Verilog, which Verilator has made into C++, over a memory behind its AXI ports.
//
//     rtlsim PROJECT [--images N] [--latency CYCLES] [--jitter CYCLES] [--bytes-a-cycle N] [--pauses N] [--errors N] [--seed N]
//
// PROJECT holds arena.bin and layout.txt (lines `name value`). Without --images the program runs once on the arena as it is;
// else images.bin holds one image after the other, each put in its place before a run. After a run the memory from
// `results_word` on is appended to results.bin. Prints a line a run: cycles, words and bursts of the ports.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "Vengine_top.h"
#include "axi_memory.h"
#include "engine_sizes.h"
#include "verilated.h"

namespace {

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

std::vector<uint8_t> content_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        std::fprintf(stderr, "rtlsim: cannot read %s\n", path.c_str());
        std::exit(2);
    }
    return {std::istreambuf_iterator<char>(file), {}};
}

class Simulation {
public:
    Simulation(size_t arena_bytes, const AxiSettings& settings)
        : memory(arena_bytes, BASE, settings),
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
        top.clk = 0;
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

    // Runs the program; false if it does not end within so many cycles.
    bool run(uint32_t program_word, uint32_t layers, uint64_t most_cycles) {
        for (unsigned port : {0x10, 0x1c, 0x28, 0x34}) {
            write(port, static_cast<uint32_t>(BASE));
            write(port + 4, static_cast<uint32_t>(BASE >> 32));
        }
        write(0x40, program_word);
        write(0x48, layers);
        write(0x50, static_cast<uint32_t>(memory.bytes.size() / ENGINE_BYTES));
        write(0x58, 0);
        write(0x04, 1);
        write(0x08, 1);
        write(0x0c, 1);
        write(0x00, 1);
        const uint64_t begin = memory.cycle;
        while (!top.done_interrupt) {
            clock();
            if (memory.cycle - begin > most_cycles) return false;
        }
        return true;
    }

    static constexpr uint64_t BASE = 0x340000000;
    Vengine_top top;
    AxiMemory memory;
    AxiReader<ReadPort, ENGINE_BYTES> ifmap;
    AxiReader<ReadPort, ENGINE_BYTES * ENGINE_PORT_WORDS> weights;
    AxiReader<ReadPort, ENGINE_BYTES> residual;
    AxiWriter<WritePort, ENGINE_BYTES> ofmap;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: rtlsim PROJECT [--option value ...]\n");
        return 2;
    }
    const std::string project = argv[1];
    std::map<std::string, long> options = {{"--images", 0}, {"--latency", 60}, {"--jitter", 0}, {"--bytes-a-cycle", 0},
                                           {"--pauses", 0}, {"--errors", 0},   {"--seed", 1}};
    for (int i = 2; i + 1 < argc; i += 2) {
        if (!options.count(argv[i])) {
            std::fprintf(stderr, "rtlsim: no option %s\n", argv[i]);
            return 2;
        }
        options[argv[i]] = std::strtol(argv[i + 1], nullptr, 10);
    }
    std::map<std::string, long> layout;
    std::ifstream lines(project + "/layout.txt");
    std::string name;
    for (long value; lines >> name >> value;) layout[name] = value;

    AxiSettings settings;
    settings.latency = options["--latency"];
    settings.jitter = options["--jitter"];
    settings.bytes_a_cycle = options["--bytes-a-cycle"];
    settings.pauses = options["--pauses"];
    settings.errors = options["--errors"];
    settings.seed = options["--seed"];
    Simulation simulation(layout["arena_words"] * ENGINE_BYTES, settings);
    auto& bytes = simulation.memory.bytes;
    const std::vector<uint8_t> arena = content_of(project + "/arena.bin");
    std::copy(arena.begin(), arena.end(), bytes.begin());
    const size_t image_bytes = layout["image_words"] * ENGINE_BYTES;
    const std::vector<uint8_t> images =
        options["--images"] > 0 ? content_of(project + "/images.bin") : std::vector<uint8_t>();
    std::ofstream results(project + "/results.bin", std::ios::binary);
    const long runs = options["--images"] > 0 ? options["--images"] : 1;
    for (long run = 0; run < runs; ++run) {
        if (!images.empty()) {
            std::copy_n(images.begin() + run * image_bytes, image_bytes,
                        bytes.begin() + layout["image_word"] * ENGINE_BYTES);
        }
        const bool ended = simulation.run(layout["program_word"], layout["layer_count"], layout["most_cycles"]);
        const uint32_t status = simulation.read(0x60);
        std::printf(
            "run %ld cycles %u status 0x%08x ifmap %llu %llu weights %llu %llu residual %llu %llu ofmap %llu %llu\n",
            run, simulation.read(0x68), status, (unsigned long long)simulation.ifmap.words,
            (unsigned long long)simulation.ifmap.requests, (unsigned long long)simulation.weights.words,
            (unsigned long long)simulation.weights.requests, (unsigned long long)simulation.residual.words,
            (unsigned long long)simulation.residual.requests, (unsigned long long)simulation.ofmap.words,
            (unsigned long long)simulation.ofmap.requests);
        if (!ended) {
            std::fprintf(stderr, "rtlsim: run %ld does not end within %ld cycles\n", run, layout["most_cycles"]);
            return 3;
        }
        if ((status & 15) != 0) {
            std::fprintf(stderr, "rtlsim: run %ld ends with error %u in layer %u\n", run, status & 15, status >> 16);
            return 4;
        }
        const size_t from = layout["results_word"] * ENGINE_BYTES;
        results.write(reinterpret_cast<const char*>(&bytes[from]), bytes.size() - from);
    }
    return 0;
}
