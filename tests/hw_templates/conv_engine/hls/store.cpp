// Results of random tiles, in memory and in the map memory, beside the formulas of post-processing in 64 bits.
#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "random_bits.h"
#include "stages.h"

constexpr int ROW_WORDS = ROWS / BYTES;

struct Buffers {
    SumBuffer sums;
    ResidualBuffer residual;
    ParameterMemory parameters;
    TableMemory table;
    MapMemory filled, expected;
};

static int64_t saturate(int64_t value, int bits) {
    const int64_t half = int64_t(1) << (bits - 1);
    return std::clamp(value, -half, half - 1);
}

// A number with as many bits as there may be, so that small and large ones are as frequent.
static int64_t of_any_size(int most_bits) {
    const int64_t value = int64_t(random_bits()) >> (32 - range(0, most_bits));
    return range(0, 1) ? value : -value;
}

static void fill_parameters(Buffers& buffers) {
    for (auto& lane : buffers.parameters) {
        for (uint64_t& packed : lane) {
            const uint64_t bias = static_cast<uint32_t>(of_any_size(30)), code = range(0, 31);
            const uint64_t multiplier = range(0, 9) ? range(1 << 15, (1 << 16) - 1) : 0;
            packed = bias | multiplier << 32 | code << 48;
        }
    }
    for (auto& bank : buffers.sums) {
        for (int32_t& sum : bank) sum = static_cast<int32_t>(of_any_size(30));
    }
    int8_t table[256];
    fill(table);
    for (auto& lane : buffers.table) std::memcpy(lane, table, sizeof table);
    fill(buffers.residual);
}

// Sums whose results are where shifts and saturations change, for the parameters of a lane.
static int32_t at_an_edge(uint64_t packed) {
    const int64_t bias = static_cast<int32_t>(packed), multiplier = packed >> 32 & 0xFFFF,
                  shift = (packed >> 48 & 31) + 12;
    const int64_t edges[] = {0, 127, 128, -128, -129, 255, -256, 511, 512, -512, -513, 1 << 20};
    const int64_t r = edges[range(0, 11)] * 2 + range(-1, 1);  // in halves
    const int64_t v =
        range(0, 3) == 0 ? (range(0, 1) ? 1 << 24 : -(1 << 24)) : (r << (shift - 1)) / std::max<int64_t>(multiplier, 1);
    return static_cast<int32_t>(std::clamp<int64_t>(v - bias + range(-2, 2), -(1LL << 30), 1LL << 30));
}

static int8_t result_of(const StoreCommand& command, int64_t sum, uint64_t packed, const int8_t* table,
                        int8_t residual) {
    const int64_t bias = static_cast<int32_t>(packed), multiplier = packed >> 32 & 0xFFFF,
                  shift = (packed >> 48 & 31) + 12;
    const int64_t v = saturate(sum + bias, 25);
    const int64_t r = (v * multiplier + (int64_t(1) << (shift - 1))) >> shift;
    const int64_t added = saturate((residual * static_cast<int64_t>(command.residual_multiplier) + (1 << 15)) >> 16, 9);
    const int64_t y = table[saturate(r + (command.residual == 1 ? added : 0), 8) + 128];
    return static_cast<int8_t>(saturate(y + (command.residual == 2 ? added : 0), 8));
}

static int class_of(int at, int size, int low, int high) {
    return at <= low ? at : at < size - high ? low : low + 1 + at - (size - high);
}

// The tile's results lie behind each other: of a row, of a column, of a word, of a byte.
struct ResultTile {
    int rows, cols, words, pixel_groups, groups;
    StoreCommand command = {};

    explicit ResultTile(bool on_chip) {
        do {
            rows = range(1, 6), cols = range(1, 3 * PIXELS + 2), words = range(1, 4 * ROW_WORDS + 1);
            pixel_groups = (cols + PIXELS - 1) / PIXELS, groups = (words + ROW_WORDS - 1) / ROW_WORDS;
        } while (groups * rows * pixel_groups > SUM_DEPTH);
        command.runs = true, command.on_chip = on_chip;
        command.rows = rows, command.cols = cols, command.words = words;
        command.group_sums = wrapped<OA>(rows * pixel_groups);
        command.first_group = range(0, PARAMETER_DEPTH - words);
        command.residual = on_chip ? 0 : range(0, 2);
        command.residual_multiplier = std::abs(of_any_size(24));
        if (range(0, 3) == 0) average();
    }

    // There is a row, and a column, of no class at the border.
    void average() {
        const int top = range(0, 3), bottom = range(0, 3), left = range(0, 3), right = range(0, 3);
        const int shift = left + right == 0 ? 0 : 32 - __builtin_clz(left + right);
        command.averages = true;
        command.edges = top | bottom << 4 | left << 8 | right << 12 | shift << 16;
        command.first_row = range(0, 5), command.first_col = range(0, 5);
        command.out_height = std::max<int64_t>(command.first_row + rows + range(0, 5), top + bottom + 1);
        command.out_width = std::max<int64_t>(command.first_col + cols + range(0, 5), left + right + 1);
    }

    int line(int row, int col, int word) const {
        if (!command.averages) return command.first_group + (POST_LANES == BYTES ? word : word / ROW_WORDS);
        const int64_t edges = EDGES ? static_cast<int64_t>(command.edges) : 0;
        const int row_class = class_of(command.first_row + row, command.out_height, edges & 15, edges >> 4 & 15);
        const int col_class = class_of(command.first_col + col, command.out_width, edges >> 8 & 15, edges >> 12 & 15);
        return EDGES ? (row_class << (edges >> 16)) + col_class : 0;
    }

    int lane(int word, int byte) const { return (POST_LANES == BYTES ? 0 : word % ROW_WORDS * BYTES) + byte; }

    int32_t& sum(Buffers& buffers, int row, int col, int word, int byte) const {
        const int bank = (word % ROW_WORDS * BYTES + byte) * PIXELS + col % PIXELS;
        return buffers.sums[bank][(word / ROW_WORDS * rows + row) * pixel_groups + col / PIXELS];
    }

    Word expected(Buffers& buffers, int row, int col, int word) const {
        Word results = 0;
        const Word added = buffers.residual[(row * cols + col) * words + word];
        for (int byte = 0; byte < BYTES; ++byte) {
            const int at = lane(word, byte);
            const int8_t out =
                result_of(command, sum(buffers, row, col, word, byte), buffers.parameters[at][line(row, col, word)],
                          buffers.table[at], byte_of(added, byte));
            results |= static_cast<Word>(static_cast<uint8_t>(out)) << (8 * byte);
        }
        return results;
    }

    template <typename Do>
    void for_each_word(Do&& call) const {
        for (int row = 0; row < rows; ++row) {
            for (int col = 0; col < cols; ++col) {
                for (int word = 0; word < words; ++word) call(row, col, word);
            }
        }
    }
};

// In memory: a whole row a run, or a pixel a run, of a map of wider pixels. Returns the words that are stored.
static int place_in_memory(ResultTile& tile, std::vector<Word>& expected, Buffers& buffers) {
    const bool whole = range(0, 2) == 0;
    const int pitch = whole ? tile.words : tile.words + range(0, 3), width = tile.cols + range(0, 5);
    const int begin = range(0, static_cast<int>(expected.size()) - tile.rows * width * pitch);
    Part& part = tile.command.part;
    part.word = begin, part.rows = tile.rows, part.runs = whole ? 1 : tile.cols;
    part.beats = whole ? tile.cols * tile.words : tile.words, part.run_step = pitch, part.row_step = width * pitch;
    tile.for_each_word([&](int row, int col, int word) {
        expected.at(begin + (row * width + col) * pitch + word) = tile.expected(buffers, row, col, word);
    });
    return tile.rows * tile.cols * tile.words;
}

// In the map memory: a ring of rows, in which the tile may begin anywhere. Returns the lines, or 0 where the ring would not fit.
static int place_in_ring(ResultTile& tile, Buffers& buffers) {
    const int first_word = range(0, 2) * ROW_WORDS, pixel_lines = (first_word + tile.words + MAP_BANKS - 1) / MAP_BANKS;
    const int first_col = range(0, 3), width = first_col + tile.cols + range(0, 3);
    const int ring_rows = tile.rows + range(0, 3), first_row = range(0, ring_rows - 1);
    const int row_lines = width * pixel_lines, ring = ring_rows * row_lines;
    if (ring > MAP_LINES) return 0;
    const int begin = range(0, MAP_LINES - ring);
    StoreCommand& command = tile.command;
    command.line = begin + (first_row * width + first_col) * pixel_lines + first_word / MAP_BANKS;
    command.bank = first_word % MAP_BANKS;
    command.ring = ring, command.ring_end = begin + ring, command.col_step = pixel_lines, command.row_step = row_lines;
    tile.for_each_word([&](int row, int col, int word) {
        const int line = begin + ((first_row + row) % ring_rows * width + first_col + col) * pixel_lines,
                  at = first_word + word;
        buffers.expected[at % MAP_BANKS][line + at / MAP_BANKS] = tile.expected(buffers, row, col, word);
    });
    return tile.rows * tile.cols * tile.groups;
}

int main() {
    const auto buffers = std::make_unique<Buffers>();
    std::vector<Word> memory(20000), expected;
    for (Word& word : memory) fill(word);
    hls::HostMemory<Word> behind(reinterpret_cast<uint8_t*>(memory.data()), memory.size() * sizeof(Word));
    const WritePort<Word> port(behind);
    CycleClock clock = {};
    long compared = 0;
    fill(buffers->filled);
    Spent spent;
    auto run = [&](const StoreCommand& command, const Arena& arena) {
        store(port, arena, command, clock, buffers->sums, buffers->residual, buffers->parameters, buffers->table,
              buffers->filled, spent);
    };
    const Arena arena = {memory.size(), 0};
    StoreCommand drains = {};
    drains.runs = drains.drains = true;
    for (int trial = 0; compared < 200000; ++trial) {
        fill_parameters(*buffers);
        ResultTile tile(MAP_DEPTH > 0 && range(0, 1));
        tile.for_each_word([&](int row, int col, int word) {
            for (int byte = 0; byte < BYTES; ++byte) {
                if (range(0, 1)) {
                    tile.sum(*buffers, row, col, word, byte) =
                        at_an_edge(buffers->parameters[tile.lane(word, byte)][tile.line(row, col, word)]);
                }
            }
        });
        expected = memory;
        std::memcpy(buffers->expected, buffers->filled, sizeof buffers->filled);
        const int count =
            tile.command.on_chip ? place_in_ring(tile, *buffers) : place_in_memory(tile, expected, *buffers);
        if (count == 0) continue;
        run(tile.command, arena);
        if (static_cast<int>(spent.count) != count || spent.beyond || spent.uneven) {
            return std::printf("trial %d: %u words or lines, not %d\n", trial, spent.count, count), 1;
        }
        run(drains, arena);
        if (spent.count != 0 || !behind.is_quiet()) return std::printf("trial %d: it does not drain\n", trial), 1;
        for (size_t i = 0; i < memory.size(); ++i) {
            if (memory[i] != expected[i]) return std::printf("trial %d: word %zu differs\n", trial, i), 1;
        }
        if (std::memcmp(buffers->filled, buffers->expected, sizeof buffers->filled) != 0) {
            return std::printf("trial %d: the map memory differs\n", trial), 1;
        }
        compared += static_cast<long>(tile.rows) * tile.cols * tile.words * BYTES;
    }

    // What would be written outside the arena, or over what is protected, is not written, and the stage says so.
    expected = memory;
    for (const bool low : {false, true}) {
        ResultTile tile(false);
        std::vector<Word> ignored = memory;
        place_in_memory(tile, ignored, *buffers);
        const U<AW> begin = tile.command.part.word;
        run(tile.command, low ? Arena{memory.size(), memory.size()} : Arena{begin, 0});
        if (!spent.beyond) return std::printf("a part outside the arena passes\n"), 1;
        run(drains, arena);
        if (memory != expected) return std::printf("a masked word is written\n"), 1;
    }

    // A part that has more or fewer words than there are results is written to its end, and the stage says so.
    for (const int more : {-1, 1}) {
        ResultTile tile(false);
        tile.words += tile.rows * tile.cols * tile.words == 1 ? 1 : 0;
        tile.command.words = tile.words;
        std::vector<Word> ignored = memory;
        place_in_memory(tile, ignored, *buffers);
        Part& part = tile.command.part;
        part.word = 64, part.beats = tile.rows * tile.cols * tile.words + more, part.rows = part.runs = 1;
        run(tile.command, arena);
        if (!spent.uneven || static_cast<int64_t>(spent.count) != part.beats)
            return std::printf("an uneven part passes\n"), 1;
        run(drains, arena);
    }
    expected = memory;

    // Counters, little-endian, and a stage that does not run.
    StoreCommand counts = {};
    counts.runs = counts.counts = true;
    counts.part.word = 4096 / BYTES - 1, counts.part.rows = counts.part.runs = 1,
    counts.part.beats = 4 * COUNTERS / BYTES;
    for (uint32_t& counter : counts.counters) counter = random_bits();
    std::memcpy(&expected[4096 / BYTES - 1], counts.counters, sizeof counts.counters);
    run(counts, arena);
    run(drains, arena);
    run(StoreCommand(), arena);
    if (memory != expected || spent.count != 0) return std::printf("counters differ\n"), 1;
    std::printf("compared %ld\n", compared);
}
