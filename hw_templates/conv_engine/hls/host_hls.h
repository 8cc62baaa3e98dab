// The memory port of Vitis HLS, `hls::burst_maxi`, under a compiler of the host.
//
// Of what a memory may do it does the worst: a read brings what was there when it was asked for, and what is written is there
// with its response. It counts what passes, and ends the program where hardware would hang or break AXI: more is taken or given
// than was asked for, a request crosses 4 KiB, leaves the memory, or is one more than the adapter holds. With ENGINE_EXACT_BITS
// it is only declared, so that LLVM IR shows calls.
#pragma once

#include <cstddef>
#include <cstdint>

#if !defined(ENGINE_EXACT_BITS)
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <vector>
#endif

namespace hls {

#if defined(ENGINE_EXACT_BITS)

template <typename Wide>
class burst_maxi {
public:
    void read_request(size_t offset, size_t length);
    Wide read();
    void write_request(size_t offset, size_t length);
    void write(const Wide& value, int byte_enable);
    void write_response();
};

#else

// What lies behind a port, and what passed it; the port itself is copied into each function that uses it.
template <typename Wide>
struct HostMemory {
    static constexpr size_t MOST_BURSTS = 16, MOST_WORDS = 256;  // that the adapter holds

    uint8_t* bytes;
    size_t words;  // of this port's width
    uint64_t words_passed = 0, bursts_passed = 0;
    std::deque<Wide> read;  // asked for, in order
    std::deque<size_t> read_left;
    struct Written {
        size_t offset, length;
        std::vector<Wide> values;
        std::vector<bool> enabled;
    };
    std::deque<Written> written;

    HostMemory(uint8_t* bytes, size_t size) : bytes(bytes), words(size / sizeof(Wide)) {}

    bool is_quiet() const { return read.empty() && written.empty(); }
    void check(size_t offset, size_t length) const {
        const size_t first = offset * sizeof(Wide), last = (offset + length) * sizeof(Wide) - 1;
        if (length == 0 || length > MOST_BURSTS) fails("a request of so many words", length);
        if (first / 4096 != last / 4096) fails("a request crosses 4 KiB at word", offset);
        if (offset + length > words) fails("a request leaves the memory at word", offset);
    }
    [[noreturn]] static void fails(const char* what, size_t value) {
        std::fprintf(stderr, "conv_engine: error: memory port: %s %zu\n", what, value);
        std::abort();
    }
};

template <typename Wide>
class burst_maxi {
public:
    explicit burst_maxi(HostMemory<Wide>& memory) : memory(&memory) {}

    void read_request(size_t offset, size_t length) {
        HostMemory<Wide>& m = *memory;
        m.check(offset, length);
        if (m.read_left.size() == m.MOST_BURSTS) m.fails("requests in front of this one", m.read_left.size());
        if (m.read.size() + length > m.MOST_WORDS) m.fails("words that wait", m.read.size() + length);
        for (size_t at = offset; at < offset + length; ++at) {
            Wide value;
            std::memcpy(&value, m.bytes + at * sizeof value, sizeof value);
            m.read.push_back(value);
        }
        m.read_left.push_back(length);
        ++m.bursts_passed;
    }

    Wide read() {
        HostMemory<Wide>& m = *memory;
        if (m.read.empty()) m.fails("a word is taken that was not asked for, behind", m.words_passed);
        const Wide value = m.read.front();
        m.read.pop_front();
        if (--m.read_left.front() == 0) m.read_left.pop_front();
        ++m.words_passed;
        return value;
    }

    void write_request(size_t offset, size_t length) {
        HostMemory<Wide>& m = *memory;
        m.check(offset, length);
        if (m.written.size() == m.MOST_BURSTS) m.fails("bursts without a response", m.written.size());
        if (!m.written.empty() && m.written.back().values.size() != m.written.back().length) {
            m.fails("a request before the words of the last one, at word", offset);
        }
        m.written.push_back({offset, length, {}, {}});
        ++m.bursts_passed;
    }

    void write(const Wide& value, int byte_enable) {
        HostMemory<Wide>& m = *memory;
        if (m.written.empty() || m.written.back().values.size() == m.written.back().length) {
            m.fails("a word is given that was not asked for, behind", m.words_passed);
        }
        m.written.back().values.push_back(value);
        m.written.back().enabled.push_back(byte_enable != 0);
        // As the memory of the Verilog's simulation, which counts no word that is masked.
        if (byte_enable != 0) ++m.words_passed;
    }

    void write_response() {
        HostMemory<Wide>& m = *memory;
        if (m.written.empty() || m.written.front().values.size() != m.written.front().length) {
            m.fails("a response is awaited that does not come, of bursts", m.written.size());
        }
        const auto& burst = m.written.front();
        for (size_t i = 0; i < burst.length; ++i) {
            if (burst.enabled[i]) {
                std::memcpy(m.bytes + (burst.offset + i) * sizeof(Wide), &burst.values[i], sizeof(Wide));
            }
        }
        m.written.pop_front();
    }

private:
    HostMemory<Wide>* memory;
};

#endif

}  // namespace hls
