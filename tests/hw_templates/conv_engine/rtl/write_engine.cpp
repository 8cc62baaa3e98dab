// Random commands to write_engine: every word in its place, nothing beyond the limit or before the protected words.
#include "Vwrite_engine.h"
#include "axi_memory.h"
#include "verilated.h"

struct Port {
    CData *awvalid, *awready;
    QData* awaddr;
    CData *awlen, *wvalid, *wready;
    void* wdata;
    STROBES* wstrb;
    CData *wlast, *bvalid, *bready, *bresp;
};

struct Command {
    unsigned word, rows, cols, beats, col_step, row_step;
};

int main() {
    VerilatedContext context;
    std::mt19937 random(11);
    auto below = [&](unsigned limit) { return static_cast<unsigned>(random() % limit); };
    uint64_t compared = 0, masked = 0;
    for (int trial = 0; trial < 40; ++trial) {
        Vwrite_engine top(&context);
        AxiSettings settings;
        settings.latency = below(3) * 40;
        settings.jitter = below(2) * 30;
        settings.pauses = below(3) * 60;
        settings.bytes_a_cycle = below(3) * WORD_BYTES / 2;
        settings.seed = trial + 1;
        const unsigned words = 1 << 16;
        const uint64_t base = 0x340000000;
        AxiMemory memory(static_cast<size_t>(words) * WORD_BYTES, base, settings);
        AxiWriter<Port, WORD_BYTES> writer(
            memory, Port{&top.awvalid, &top.awready, &top.awaddr, &top.awlen, &top.wvalid, &top.wready, &top.wdata,
                         &top.wstrb, &top.wlast, &top.bvalid, &top.bready, &top.bresp});
        const bool tight = trial % 4 == 3;
        const unsigned limit = tight ? words / 2 : words, spared = tight ? 500 : 0;
        std::vector<uint8_t> expected(memory.bytes);
        std::deque<Command> commands;
        std::deque<std::vector<uint8_t>> data;
        bool outside_any = false;
        for (int i = 0; i < 25; ++i) {
            Command c;
            c.beats = 1 + below(below(4) == 0 ? 200 : 12);
            c.rows = 1 + below(9);
            c.cols = 1 + below(9);
            c.col_step = c.beats + below(4) * below(9);
            c.row_step = c.col_step * c.cols + below(30);
            c.word = tight && i == 0 ? 300 : below(words - c.row_step * (c.rows + 1));
            for (unsigned row = 0; row < c.rows; ++row) {
                for (unsigned col = 0; col < c.cols; ++col) {
                    unsigned at = c.word + row * c.row_step + col * c.col_step;
                    for (unsigned left = c.beats; left > 0;) {
                        const unsigned burst = std::min(left, MAX_BURST - at % MAX_BURST);
                        const bool outside = at + burst > limit || at < spared;
                        outside_any |= outside;
                        for (unsigned i = 0; i < burst; ++i) {
                            std::vector<uint8_t> word(WORD_BYTES);
                            for (auto& byte : word) byte = random();
                            if (!outside)
                                std::memcpy(&expected[(static_cast<size_t>(at) + i) * WORD_BYTES], &word[0],
                                            WORD_BYTES);
                            data.push_back(word);
                            ++compared;
                            masked += outside;
                        }
                        at += burst;
                        left -= burst;
                    }
                }
            }
            commands.push_back(c);
        }
        top.base = base;
        top.limit = limit;
        top.protected_words = spared;
        bool reset = true;
        for (uint64_t cycle = 0; cycle < 10 || !commands.empty() || !data.empty() || !top.drained; ++cycle) {
            if (cycle > 20000000) return std::printf("no progress\n"), 1;
            top.resetn = !reset;
            memory.tick();
            writer.drive();
            top.command_valid = !reset && !commands.empty() && below(4) != 0;
            if (!commands.empty()) {
                const Command& c = commands.front();
                top.command_word = c.word, top.command_rows = c.rows, top.command_cols = c.cols;
                top.command_beats = c.beats, top.command_col_step = c.col_step, top.command_row_step = c.row_step;
            }
            top.in_valid = !reset && !data.empty() && (trial % 2 == 0 || below(2));
            if (!data.empty()) std::memcpy(&top.in_data, &data.front()[0], WORD_BYTES);
            top.clk = 0;
            top.eval();
            if (!reset) {
                writer.sample();
                if (top.command_valid && top.command_ready) commands.pop_front();
                if (top.in_valid && top.in_ready) data.pop_front();
            }
            top.clk = 1;
            top.eval();
            reset = cycle < 4;
        }
        if (!writer.quiet() || memory.bytes != expected || top.error_response || top.error_bounds != outside_any) {
            return std::printf("trial %d: memory differs, or errors %d %d\n", trial, top.error_bounds,
                               top.error_response),
                   1;
        }
    }
    std::printf("words %llu masked %llu\n", static_cast<unsigned long long>(compared),
                static_cast<unsigned long long>(masked));
    return masked == 0;
}
