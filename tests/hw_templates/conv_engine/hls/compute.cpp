// Sums of random tiles beside sums of products in 64 bits: all operations, continued sums, sums behind those of a tile before.
#include <cstring>
#include <map>
#include <memory>
#include <utility>

#include "random_tile.h"
#include "stages.h"

struct Buffers {
    IfmapBuffer ifmap;
    WeightBuffer weights;
    SumBuffer sums;
};

// What a weight of an iteration is: row of the array, channel of the line.
static int weight_of(const Buffers& buffers, const RandomTile& tile, const Iteration& at, int row, int col) {
    int step = at.weight, byte = row * COLS + col;
    if (tile.channel_wise()) {
        const int lane = row % LANES;
        if (at.row_group % ROW_PARTS != row / LANES || at.row_group % LINE_PARTS * LANES + lane != col) return 0;
        if (tile.weightless()) return 1;
        step = at.weight / WEIGHT_PARTS, byte = at.weight % WEIGHT_PARTS * LANES + lane;
    }
    const int line = tile.command.four_bit ? step / 2 : step;
    const int8_t value = byte_of(buffers.weights[byte / BYTES][line], byte % BYTES);
    if (!tile.command.four_bit) return value;
    const int half = (value >> (step % 2 * 4)) & 15;
    return half < 8 ? half : half - 16;
}

static int activation_of(const Buffers& buffers, const RandomTile& tile, const Iteration& at, int lane, int col) {
    const int least = tile.operation == OPERATION_MAX_POOL ? -128 : 0;
    if (!at.inside(tile, lane)) return ZERO_POINT ? static_cast<int>(tile.command.pad_value) : least;
    return byte_of(buffers.ifmap[at.bank(tile, lane) * LINE_WORDS + col / BYTES][at.place(tile, lane)], col % BYTES);
}

int main() {
    const auto buffers = std::make_unique<Buffers>();
    CycleClock clock = {};
    long compared = 0, iterations = 0;
    int behind = 0;  // where the sums of the latest tile end
    for (int trial = 0; iterations < 40000 || trial < 100; ++trial) {
        fill(buffers->ifmap);
        RandomTile tile = random_tile(trial % 5);
        fill(buffers->weights);
        // Weights of 8 bits are not -128, but for a gate's. Extremes: all with one sign, or mixed.
        const int extreme = range(0, 5);
        if (tile.operation != OPERATION_SCALE && !tile.command.four_bit) {
            for (auto& bank : buffers->weights) {
                for (Word& word : bank) {
                    uint8_t* bytes = reinterpret_cast<uint8_t*>(&word);
                    for (int b = 0; b < BYTES; ++b) {
                        if (bytes[b] == 128 || extreme == 0) bytes[b] = 129;
                        if (extreme == 1) bytes[b] = bytes[b] & 1 ? 127 : 129;
                    }
                }
            }
        }
        if (extreme < 2 && range(0, 1)) std::memset(buffers->ifmap, 128, sizeof buffers->ifmap);
        tile.command.zero = range(0, 2) != 0;
        tile.command.follows = behind + tile.sum_groups() * tile.group_sums() <= SUM_DEPTH && range(0, 1);
        const int first_sum = tile.command.follows ? behind : 0;
        SumBuffer before;
        for (int bank = 0; bank < SUM_BANKS; ++bank) {
            for (int i = 0; i < SUM_DEPTH; ++i) before[bank][i] = buffers->sums[bank][i] = range(-1000000, 1000000);
        }
        Spent spent;
        U<OA> group_sums;
        compute(tile.command, clock, buffers->ifmap, buffers->weights, buffers->sums, spent, group_sums);
        behind = first_sum + tile.sum_groups() * tile.group_sums();
        if (static_cast<int>(spent.count) != tile.iterations() || group_sums != (tile.group_sums() & ((1 << OA) - 1))) {
            return std::printf("trial %d: %u iterations\n", trial, spent.count), 1;
        }

        std::map<std::pair<int, int>, int64_t> sums;  // by bank and place
        int64_t greatest[PIXELS][COLS];
        for (int n = 0; n < tile.iterations(); ++n, ++iterations) {
            const Iteration at(tile, n);
            for (int lane = 0; lane < PIXELS; ++lane) {
                for (int col = 0; col < COLS; ++col) {
                    const int64_t activation = activation_of(*buffers, tile, at, lane, col);
                    greatest[lane][col] = at.first() ? activation : std::max(greatest[lane][col], activation);
                    for (int row = 0; row < ROWS; ++row) {
                        if (tile.channel_wise() && at.row_group % ROW_PARTS != row / LANES) continue;
                        const int bank = row * PIXELS + lane, place = first_sum + at.sum(tile);
                        const auto begun =
                            sums.emplace(std::make_pair(bank, place), tile.command.zero ? 0 : before[bank][place]);
                        const int64_t weight = weight_of(*buffers, tile, at, row, col);
                        const bool maximum = tile.operation == OPERATION_MAX_POOL;
                        const bool counts = !maximum || at.last(tile);
                        begun.first->second += counts ? weight * (maximum ? greatest[lane][col] : activation) : 0;
                    }
                }
            }
        }
        for (int bank = 0; bank < SUM_BANKS; ++bank) {
            for (int i = 0; i < SUM_DEPTH; ++i, ++compared) {
                const auto sum = sums.find({bank, i});
                const int64_t expected = sum == sums.end() ? before[bank][i] : sum->second;
                if (buffers->sums[bank][i] != expected) {
                    return std::printf("trial %d (operation %d): sum %d of bank %d is %d, not %lld\n", trial,
                                       tile.operation, i, bank, buffers->sums[bank][i],
                                       static_cast<long long>(expected)),
                           1;
                }
            }
        }
    }
    // A stage that does not run does nothing, and still says how many sums a row group of the latest tile took.
    ComputeCommand idle = {};
    Spent spent;
    U<OA> group_sums;
    compute(idle, clock, buffers->ifmap, buffers->weights, buffers->sums, spent, group_sums);
    if (spent.count != 0) return std::printf("an idle stage computes\n"), 1;
    std::printf("compared %ld\n", compared);
}
