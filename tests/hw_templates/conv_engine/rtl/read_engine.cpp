// Random commands to read_engine over a memory with latency, jitter, pauses and shared bandwidth: every word in its order.
#include "Vread_engine.h"
#include "axi_memory.h"
#include "verilated.h"

struct Port {
    CData *arvalid, *arready;
    QData* araddr;
    CData *arlen, *rvalid, *rready;
    void* rdata;
    CData *rresp, *rlast;
};

struct Command {
    unsigned word, rows, cols, beats, col_step, row_step;
    bool repeat, odd_row, odd_col;
};

int main() {
    VerilatedContext context;
    std::mt19937 random(7);
    auto below = [&](unsigned limit) { return static_cast<unsigned>(random() % limit); };
    uint64_t compared = 0, beyond = 0;
    for (int trial = 0; trial < 40; ++trial) {
        Vread_engine top(&context);
        AxiSettings settings;
        settings.latency = below(3) * 40;
        settings.jitter = below(2) * 30;
        settings.pauses = below(3) * 60;
        settings.bytes_a_cycle = below(3) * WORD_BYTES / 2;
        settings.seed = trial + 1;
        const unsigned words = 1 << 16;
        const uint64_t base = 0x340000000;
        AxiMemory memory(static_cast<size_t>(words) * WORD_BYTES, base, settings);
        for (auto& byte : memory.bytes) byte = random();
        AxiReader<Port, WORD_BYTES> reader(memory, Port{&top.arvalid, &top.arready, &top.araddr, &top.arlen,
                                                        &top.rvalid, &top.rready, &top.rdata, &top.rresp, &top.rlast});
        const bool tight = trial % 4 == 3;  // part of what is asked for lies beyond the limit
        const unsigned limit = tight ? words / 2 : words;
        std::deque<Command> commands;
        std::deque<unsigned> places, starts_beyond;
        std::deque<bool> ends;
        for (int i = 0; i < 30; ++i) {
            Command c;
            c.beats = 1 + below(below(4) == 0 ? 200 : 12);
            c.rows = 1 + below(9);
            c.cols = 1 + below(9);
            c.repeat = below(4) == 0;
            c.odd_row = c.repeat && below(2);
            c.odd_col = c.repeat && below(2);
            c.col_step = c.beats + below(4) * below(9);
            c.row_step = c.col_step * c.cols + below(30);
            c.word = below(words - c.row_step * (c.rows + 1));
            for (unsigned row = 0; row < c.rows; ++row) {
                for (unsigned col = 0; col < c.cols; ++col) {
                    const unsigned from_row = c.repeat ? (row + c.odd_row) / 2 : row;
                    const unsigned from_col = c.repeat ? (col + c.odd_col) / 2 : col;
                    unsigned at = c.word + from_row * c.row_step + from_col * c.col_step;
                    for (unsigned left = c.beats; left > 0;) {
                        const unsigned burst = std::min(left, MAX_BURST - at % MAX_BURST);
                        const bool outside = at + burst > limit;
                        for (unsigned i = 0; i < burst; ++i) {
                            places.push_back(outside ? i : at + i);
                            ends.push_back(row + 1 == c.rows && col + 1 == c.cols && left == burst && i + 1 == burst);
                        }
                        beyond += outside;
                        if (outside) starts_beyond.push_back(at);
                        at += burst;
                        left -= burst;
                    }
                }
            }
            commands.push_back(c);
        }
        top.base = base;
        top.limit = limit;
        bool reset = true;
        uint64_t idle = 0;
        for (uint64_t cycle = 0; !places.empty() || idle < 20; ++cycle) {
            if (cycle > 20000000) return std::printf("no progress\n"), 1;
            top.resetn = !reset;
            memory.tick();
            reader.drive();
            top.command_valid = !reset && !commands.empty() && below(4) != 0;
            if (!commands.empty()) {
                const Command& c = commands.front();
                top.command_word = c.word, top.command_rows = c.rows, top.command_cols = c.cols;
                top.command_beats = c.beats, top.command_col_step = c.col_step, top.command_row_step = c.row_step;
                top.command_repeat = c.repeat, top.command_odd_row = c.odd_row, top.command_odd_col = c.odd_col;
            }
            top.out_ready = trial % 2 ? below(2) : 1;
            top.clk = 0;
            top.eval();
            if (!reset) {
                reader.sample();
                if (top.command_valid && top.command_ready) commands.pop_front();
                if (top.out_valid && top.out_ready) {
                    if (places.empty()) return std::printf("a word too many\n"), 1;
                    uint8_t word[WORD_BYTES];
                    std::memcpy(word, &top.out_data, WORD_BYTES);
                    if (std::memcmp(word, &memory.bytes[static_cast<size_t>(places.front()) * WORD_BYTES],
                                    WORD_BYTES) != 0 ||
                        ends.front() != top.out_last) {
                        return std::printf("trial %d: word %u differs\n", trial, places.front()), 1;
                    }
                    places.pop_front(), ends.pop_front();
                    ++compared;
                }
                idle = places.empty() ? idle + 1 : 0;
            }
            top.clk = 1;
            top.eval();
            reset = cycle < 4;
        }
        if (!top.idle || top.error_response || top.error_bounds != !starts_beyond.empty()) {
            return std::printf("trial %d: idle %d, errors %d %d\n", trial, top.idle, top.error_bounds,
                               top.error_response),
                   1;
        }
    }
    std::printf("words %llu beyond %llu\n", static_cast<unsigned long long>(compared),
                static_cast<unsigned long long>(beyond));
    return beyond == 0;
}
