// Parts of maps, from memory and from the map memory, in the banks of the ifmap buffer beside what their layout says.
#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "random_bits.h"
#include "stages.h"

struct Buffers {
    MapMemory map;
    IfmapBuffer filled, expected;
};

// A part of a tile: its first row and column are those of the tile's part that lies inside the map.
struct PartOfTile {
    int stride, slots, d_line, in_rows, in_cols, first_row, first_col, rows, cols, words, lines;
    IfmapCommand command = {};

    PartOfTile() {
        stride = range(1, MAX_STRIDE);
        in_rows = range(1, 9), in_cols = range(1, 20), words = range(1, 4 * LINE_WORDS);
        first_row = range(0, in_rows - 1), first_col = range(0, in_cols - 1);
        rows = range(1, in_rows - first_row), cols = range(1, in_cols - first_col);
        slots = ((in_cols + stride - 1) / stride + PIXELS - 1) / PIXELS;
        d_line = stride * slots;
        lines = (words + LINE_WORDS - 1) / LINE_WORDS;
        command.runs = true;
        command.rows = rows, command.cols = cols, command.words = words, command.stride = stride;
    }

    bool fits() const { return lines * in_rows * d_line <= IFMAP_DEPTH; }

    void lay_out() {
        command.slots = slots, command.d_line = d_line, command.d_group = in_rows * d_line;
        command.place = first_row * d_line + first_col % stride * slots + first_col / stride / PIXELS;
        command.lane = first_col / stride % PIXELS, command.phase = first_col % stride;
    }

    Word& at(IfmapBuffer& buffer, int row, int col, int word) const {
        const int j = first_col + col;
        const int line = (word / LINE_WORDS * in_rows + first_row + row) * d_line;
        return buffer[j / stride % PIXELS * LINE_WORDS + word % LINE_WORDS]
                     [line + j % stride * slots + j / stride / PIXELS];
    }
};

static PartOfTile random_part() {
    for (;;) {
        PartOfTile part;
        if (!part.fits()) continue;
        part.lay_out();
        return part;
    }
}

// In memory: a whole row a run, or a pixel a run, of a map of wider pixels or one whose rows and columns are read twice.
static int place_in_memory(PartOfTile& part, std::vector<Word>& memory, Buffers& buffers) {
    const bool whole = range(0, 2) == 0, repeat = !whole && range(0, 2) == 0;
    const int pitch = whole ? part.words : part.words + range(0, 3);
    const int width = part.cols + range(0, 5), begin = range(0, 5000);
    IfmapCommand& command = part.command;
    command.repeat = repeat, command.odd_row = repeat && range(0, 1), command.odd_col = repeat && range(0, 1);
    command.part.word = begin, command.part.rows = part.rows, command.part.runs = whole ? 1 : part.cols;
    command.part.beats = whole ? part.cols * part.words : part.words;
    command.part.run_step = pitch, command.part.row_step = width * pitch;
    for (int row = 0; row < part.rows; ++row) {
        for (int col = 0; col < part.cols; ++col) {
            for (int word = 0; word < part.words; ++word) {
                const int from_row = repeat ? (row + command.odd_row) / 2 : row,
                          from_col = repeat ? (col + command.odd_col) / 2 : col;
                part.at(buffers.expected, row, col, word) =
                    memory.at(begin + (from_row * width + from_col) * pitch + word);
            }
        }
    }
    return part.rows * part.cols * part.words;
}

// In the map memory: a ring of rows, in which the part may begin anywhere.
static int place_in_ring(PartOfTile& part, Buffers& buffers) {
    for (;;) {
        const int first_word = range(0, 2) * LINE_WORDS, pixel_words = first_word + part.lines * LINE_WORDS;
        const int pixel_lines = (pixel_words + MAP_BANKS - 1) / MAP_BANKS;
        const int first_col = range(0, 3), width = first_col + part.cols + range(0, 3);
        const int ring_rows = part.rows + range(0, 3), first_row = range(0, ring_rows - 1);
        const int row_lines = width * pixel_lines, ring = ring_rows * row_lines;
        if (ring > MAP_LINES) {  // a smaller part will do
            part = random_part();
            continue;
        }
        const int begin = range(0, MAP_LINES - ring);
        IfmapCommand& command = part.command;
        command.on_chip = true;
        command.line = begin + (first_row * width + first_col) * pixel_lines + first_word / MAP_BANKS;
        command.bank = first_word % MAP_BANKS;
        command.ring = ring, command.ring_end = begin + ring, command.col_step = pixel_lines,
        command.row_step = row_lines;
        for (int row = 0; row < part.rows; ++row) {
            for (int col = 0; col < part.cols; ++col) {
                for (int word = 0; word < part.lines * LINE_WORDS; ++word) {
                    const int line = begin + ((first_row + row) % ring_rows * width + first_col + col) * pixel_lines;
                    const int at = first_word + word;
                    part.at(buffers.expected, row, col, word) = buffers.map[at % MAP_BANKS][line + at / MAP_BANKS];
                }
            }
        }
        return part.rows * part.cols * part.lines;
    }
}

int main() {
    const auto buffers = std::make_unique<Buffers>();
    std::vector<Word> memory(40000);
    for (Word& word : memory) fill(word);
    hls::HostMemory<Word> behind(reinterpret_cast<uint8_t*>(memory.data()), memory.size() * sizeof(Word));
    const ReadPort<Word> port(behind);
    CycleClock clock = {};
    long compared = 0;
    fill(buffers->map);
    fill(buffers->filled);
    for (int trial = 0; compared < 100000; ++trial) {
        PartOfTile part = random_part();
        std::memcpy(buffers->expected, buffers->filled, sizeof buffers->filled);
        const bool on_chip = MAP_DEPTH > 0 && range(0, 1);
        int count = on_chip ? place_in_ring(part, *buffers) : place_in_memory(part, memory, *buffers);
        if (trial % 50 == 0) {  // one that lies in the padding, or does not run
            (trial % 100 ? part.command.empty : part.command.runs) = trial % 100 != 0;
            std::memcpy(buffers->expected, buffers->filled, sizeof buffers->filled);
            count = 0;
        }
        Spent spent;
        load_ifmap(port, Arena{memory.size(), 0}, part.command, clock, buffers->map, buffers->filled, spent);
        if (static_cast<int>(spent.count) != count || spent.beyond || !behind.is_quiet()) {
            return std::printf("trial %d: %u words or lines, not %d\n", trial, spent.count, count), 1;
        }
        if (std::memcmp(buffers->filled, buffers->expected, sizeof buffers->filled) != 0) {
            return std::printf("trial %d: the buffer differs\n", trial), 1;
        }
        compared += count;
    }
    // A part that reaches outside the arena is read from its start, and the stage says so.
    PartOfTile part = random_part();
    place_in_memory(part, memory, *buffers);
    Spent spent;
    load_ifmap(port, Arena{part.command.part.word, 0}, part.command, clock, buffers->map, buffers->filled, spent);
    if (!spent.beyond) return std::printf("a part beyond the arena passes\n"), 1;
    std::printf("compared %ld\n", compared);
}
