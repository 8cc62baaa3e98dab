// A memory behind AXI ports, for simulations of the engine's Verilog: latency, jitter, shared bandwidth, pauses, errors.
//
// A cycle has three parts: `drive` sets what the ports show the engine, the caller lets the engine's wires settle, `sample`
// looks at the handshakes, and then the clock rises. What is shown stays until it is taken, as AXI asks. Requests are checked:
// they must lie where the memory lets them, be whole words, and not cross 4 KiB. Of what AXI allows the memory does the worst:
// a read brings what was there when it was asked for, and what is written is there when its response is.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <random>
#include <vector>

struct AxiSettings {
    int latency = 60;       // cycles from an address to its first word, or from the last word to the response
    int jitter = 0;         // and up to this many more, at random
    int bytes_a_cycle = 0;  // that all ports share; 0: no limit
    int pauses = 0;         // of 256 cycles, those in which a ready or valid that could be set is not
    int errors = 0;         // of 65,536 answers, those that are SLVERR
    unsigned seed = 1;
};

struct AxiMemory {
    AxiMemory(size_t size, uint64_t base, const AxiSettings& settings)
        : bytes(size), base(base), settings(settings), random(settings.seed) {}
    virtual ~AxiMemory() = default;

    // Begins a cycle: what the ports share is there again.
    void tick() {
        ++cycle;
        budget = settings.bytes_a_cycle > 0 ? std::min(budget, 0L) + settings.bytes_a_cycle : 1L << 40;
    }
    bool pauses() { return settings.pauses > 0 && static_cast<int>(random() & 255) < settings.pauses; }
    bool fails() { return settings.errors > 0 && static_cast<int>(random() & 65535) < settings.errors; }
    uint64_t due() { return cycle + settings.latency + (settings.jitter > 0 ? random() % (settings.jitter + 1) : 0); }
    // Takes the bytes of a word from the share; what a word takes too much, the next cycles lack.
    bool spend(int count) {
        if (budget <= 0) return false;
        budget -= count;
        return true;
    }
    // Where a burst lies; one that breaks the protocol ends the simulation. None where nothing answers but with DECERR.
    uint8_t* place(uint64_t address, int beats, int word_bytes) {
        const uint64_t count = static_cast<uint64_t>(beats) * word_bytes;
        if (address % word_bytes != 0 || address / 4096 != (address + count - 1) / 4096) illegal(address, count);
        return reach(address, count);
    }
    // Where the bytes from an address on lie; a simulation ends that asks for others than these.
    virtual uint8_t* reach(uint64_t address, uint64_t count) {
        if (address < base || address + count > base + bytes.size()) illegal(address, count);
        return &bytes[address - base];
    }
    [[noreturn]] static void illegal(uint64_t address, uint64_t count) {
        std::fprintf(stderr, "rtlsim: error: illegal AXI request: address 0x%llx, %llu bytes\n",
                     static_cast<unsigned long long>(address), static_cast<unsigned long long>(count));
        std::exit(2);
    }

    std::vector<uint8_t> bytes;
    uint64_t base;
    AxiSettings settings;
    std::mt19937 random;
    uint64_t cycle = 0;
    long budget = 0;
};

enum AxiResponse : uint8_t { OKAY = 0, SLVERR = 2, DECERR = 3 };

// One AXI read channel pair. `Port` has arvalid, arready, araddr, arlen, rvalid, rready, rdata, rresp and rlast as pointers.
template <typename Port, int BYTES>
class AxiReader {
public:
    AxiReader(AxiMemory& memory, Port port) : memory(memory), port(port) {}

    void drive() {
        *port.arready = bursts.size() < 64 && !memory.pauses();
        if (!offering && !bursts.empty() && bursts.front().due <= memory.cycle && !memory.pauses() &&
            memory.spend(BYTES)) {
            offering = true;
            response = bursts.front().content.empty() ? DECERR : memory.fails() ? SLVERR : OKAY;
        }
        *port.rvalid = offering;
        if (offering) {
            const Burst& burst = bursts.front();
            const size_t left = static_cast<size_t>(burst.beats) * BYTES;
            if (!burst.content.empty()) std::memcpy(port.rdata, &burst.content[burst.content.size() - left], BYTES);
            *port.rlast = burst.beats == 1;
            *port.rresp = response;
        }
    }

    void sample() {
        if (offering && *port.rready) {
            offering = false;
            ++words;
            Burst& burst = bursts.front();
            if (--burst.beats == 0) bursts.pop_front();
        }
        if (*port.arvalid && *port.arready) {
            const int beats = *port.arlen + 1;
            const uint8_t* from = memory.place(*port.araddr, beats, BYTES);
            bursts.push_back({{from, from ? from + beats * BYTES : from}, beats, memory.due()});
            ++requests;
        }
    }
    bool quiet() const { return bursts.empty(); }

    uint64_t words = 0, requests = 0;

private:
    struct Burst {
        std::vector<uint8_t> content;
        int beats;
        uint64_t due;
    };
    AxiMemory& memory;
    Port port;
    std::deque<Burst> bursts;
    bool offering = false;
    uint8_t response = 0;
};

// One AXI write channel triple. `Port` has awvalid, awready, awaddr, awlen, wvalid, wready, wdata, wstrb, wlast, bvalid, bready
// and bresp as pointers.
template <typename Port, int BYTES>
class AxiWriter {
public:
    AxiWriter(AxiMemory& memory, Port port) : memory(memory), port(port) {}

    void drive() {
        *port.awready = bursts.size() < 64 && !memory.pauses();
        // A memory may wait for the address, and for the word itself, before it is ready.
        *port.wready = *port.wvalid && !bursts.empty() && !memory.pauses() && memory.spend(BYTES);
        if (!offering && !written.empty() && written.front().due <= memory.cycle && !memory.pauses()) {
            offering = true;
            bool there = true;
            for (const Word& word : written.front().words) {
                there = there && word.at;
                for (int b = 0; b < BYTES; ++b) {
                    if (word.at && ((word.strobes >> b) & 1)) word.at[b] = word.bytes[b];
                }
            }
            *port.bresp = !there ? DECERR : memory.fails() ? SLVERR : OKAY;
        }
        *port.bvalid = offering;
    }

    void sample() {
        if (offering && *port.bready) {
            offering = false;
            written.pop_front();
        }
        if (*port.wvalid && *port.wready) {
            Burst& burst = bursts.front();
            Word word = {burst.at, 0, {}};
            std::memcpy(word.bytes, port.wdata, BYTES);
            std::memcpy(&word.strobes, port.wstrb, (BYTES + 7) / 8);
            if (word.strobes) ++words;
            burst.words.push_back(word);
            if (burst.at) burst.at += BYTES;
            --burst.beats;
            if ((burst.beats == 0) != (*port.wlast != 0)) {
                std::fprintf(stderr, "rtlsim: error: wlast does not end its burst\n");
                std::exit(2);
            }
            if (burst.beats == 0) {
                burst.due = memory.due();
                written.push_back(std::move(burst));
                bursts.pop_front();
            }
        }
        if (*port.awvalid && *port.awready) {
            const int beats = *port.awlen + 1;
            bursts.push_back({memory.place(*port.awaddr, beats, BYTES), beats, 0, {}});
            ++requests;
        }
    }
    bool quiet() const { return bursts.empty() && written.empty(); }

    uint64_t words = 0, requests = 0;

private:
    struct Word {
        uint8_t* at;
        uint32_t strobes;
        uint8_t bytes[BYTES];
    };
    struct Burst {
        uint8_t* at;
        int beats;
        uint64_t due;
        std::vector<Word> words;
    };
    AxiMemory& memory;
    Port port;
    std::deque<Burst> bursts, written;
    bool offering = false;
};
