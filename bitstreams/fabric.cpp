// The engine as a process of its own, for a board twin: a wild address or an endless program then ends this process
// and nothing else. Compiled with an emitted project's sources. Usage: fabric MEMORY_FILE BYTES ADDRESS
//
// Reads lines "IFMAP WEIGHTS RESIDUAL OFMAP PROGRAM_WORD LAYER_COUNT", the first four physical addresses, and writes
// "done" once the engine has run. The file is the board's memory, of BYTES bytes from ADDRESS on.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "conv_engine.h"

namespace {

constexpr uint64_t GUARD = uint64_t(1) << 36;  // an address too large or too small by so much is still met by nothing

// Nothing counts cycles here; the twin knows how many there would have been.
void run(char* const (&ports)[4], int program_word, int layer_count) {
    CycleClock clocks[CLOCKS] = {};
    conv_engine(reinterpret_cast<const Word*>(ports[0]), reinterpret_cast<const WeightWord*>(ports[1]),
                reinterpret_cast<const Word*>(ports[2]), reinterpret_cast<Word*>(ports[3]), program_word, layer_count,
                clocks);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) {
        std::fprintf(stderr, "usage: fabric MEMORY_FILE BYTES ADDRESS\n");
        return 2;
    }
    const uint64_t bytes = std::strtoull(argv[2], nullptr, 0);
    const uint64_t first = std::strtoull(argv[3], nullptr, 0);
    const int file = open(argv[1], O_RDWR);
    char* const space = static_cast<char*>(
        mmap(nullptr, bytes + 2 * GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    char* const memory = space + GUARD;
    if (file < 0 || space == MAP_FAILED ||
        mmap(memory, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) == MAP_FAILED) {
        std::perror("fabric: memory");
        return 2;
    }
    // A twin that is killed leaves no engine behind, however long its program.
    const pid_t twin = getppid();
    std::thread([twin] {
        while (getppid() == twin) {
            std::this_thread::sleep_for(std::chrono::milliseconds(200));
        }
        _exit(3);
    }).detach();

    uint64_t addresses[4];
    int program_word, layer_count;
    while (std::scanf("%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %d %d", &addresses[0], &addresses[1],
                      &addresses[2], &addresses[3], &program_word, &layer_count) == 6) {
        char* ports[4];
        for (int i = 0; i < 4; ++i) {
            // Whatever lies far below or above the memory is as absent as what lies beside it.
            const bool near = addresses[i] + GUARD / 2 > first && addresses[i] < first + bytes + GUARD / 2;
            ports[i] = near ? memory + static_cast<int64_t>(addresses[i] - first) : space + GUARD / 2;
        }
        run(ports, program_word, layer_count);
        std::printf("done\n");
        std::fflush(stdout);
    }
    _exit(0);
}
