// The ports beside plain loops: random parts of maps, some with repeated rows and runs, some beyond the arena or protected. Each
// word that is read and each byte that is written is compared, and the bursts that the model of the port has counted.
#include "ports.h"

#include <algorithm>
#include <vector>

#include "random_bits.h"

namespace {

constexpr int WORDS = 1 << 16;

struct Burst {
    int word, words;
};

Part random_part() {
    Part part;
    part.word = range(0, 5000);
    part.rows = range(1, 4);
    part.runs = range(1, 5);
    part.beats = range(0, 3) ? range(0, 60) : range(0, 4);  // none count as one
    part.run_step = range(0, 100);
    part.row_step = range(0, 1000);
    return part;
}

// The runs of a part are cut at multiples of MAX_BURST words. With `repeat` a step is made behind every second copy.
std::vector<Burst> bursts_of(const Part& part, bool repeat, bool odd_row, bool odd_col) {
    std::vector<Burst> bursts;
    int row_at = static_cast<int>(part.word);
    bool second_row = odd_row;
    for (int row = 0; row < part.rows; ++row) {
        int at = row_at;
        bool second_col = odd_col;
        for (int run = 0; run < part.runs; ++run) {
            const int end = at + std::max(1, static_cast<int>(part.beats));
            for (int word = at; word < end;) {
                const int next = std::min(end, word / MAX_BURST * MAX_BURST + MAX_BURST);
                bursts.push_back({word, next - word});
                word = next;
            }
            if (!repeat || second_col) at += static_cast<int>(part.run_step);
            second_col = !second_col;
        }
        if (!repeat || second_row) row_at += static_cast<int>(part.row_step);
        second_row = !second_row;
    }
    return bursts;
}

// Of each burst, words of the memory, or of its start where the burst ends beyond the arena.
bool reads_right(std::vector<Word>& content, int limit) {
    hls::HostMemory<Word> memory(reinterpret_cast<uint8_t*>(content.data()), WORDS * sizeof(Word));
    const bool repeat = range(0, 1), odd_row = repeat && range(0, 1), odd_col = repeat && range(0, 1);
    const Part part = random_part();
    const std::vector<Burst> bursts = bursts_of(part, repeat, odd_row, odd_col);
    const ReadPort<Word> port(memory);
    Reading reading;
    reading.begin(port, limit, part, repeat, odd_row, odd_col);
    bool beyond = false;
    for (const Burst& burst : bursts) {
        const bool outside = burst.word + burst.words > limit;
        beyond = beyond || outside;
        for (int word = 0; word < burst.words; ++word) {
            const bool last = &burst == &bursts.back() && word + 1 == burst.words;
            if (reading.last != last || reading.take(port) != content[(outside ? 0 : burst.word) + word]) return false;
        }
    }
    return reading.beyond == beyond && memory.bursts_passed == bursts.size() && memory.is_quiet();
}

// What goes beyond the arena, or to protected words, is masked.
bool writes_right(std::vector<Word>& content, int limit, int protected_words) {
    hls::HostMemory<Word> memory(reinterpret_cast<uint8_t*>(content.data()), WORDS * sizeof(Word));
    std::vector<Word> expected = content;
    const Part part = random_part();
    const std::vector<Burst> bursts = bursts_of(part, false, false, false);
    const WritePort<Word> port(memory);
    U<BURST_BITS> pending = 0;
    Writing writing;
    writing.begin(limit, protected_words, part);
    bool beyond = false;
    for (const Burst& burst : bursts) {
        const bool masked = burst.word + burst.words > limit || burst.word < protected_words;
        beyond = beyond || masked;
        for (int word = 0; word < burst.words; ++word) {
            const Word value = random_bits();
            if (!masked) expected[burst.word + word] = value;
            if (writing.last != (&burst == &bursts.back() && word + 1 == burst.words)) return false;
            writing.put(port, pending, value);
        }
    }
    drain(port, pending);
    return writing.beyond == beyond && content == expected && memory.bursts_passed == bursts.size() &&
           memory.is_quiet();
}

}  // namespace

int main() {
    std::vector<Word> content(WORDS);
    for (Word& word : content) word = random_bits();
    const int trials = 10000;
    for (int trial = 0; trial < trials; ++trial) {
        const int limit = range(0, 2) ? WORDS : 4000, protected_words = range(0, 1) ? 3000 : 0;
        if (!reads_right(content, limit)) return std::printf("trial %d: what is read differs\n", trial), 1;
        if (!writes_right(content, limit, protected_words)) {
            return std::printf("trial %d: what is written differs\n", trial), 1;
        }
    }
    std::printf("compared %d\n", trials);
}
