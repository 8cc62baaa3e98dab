// The engine's Verilog as a process of its own, for a board twin: it shares its memory with the twin, its registers are written
// and read by lines, and its clock runs while a program does or an answer of the memory is due.
//
//     rtl_twin MEMORY_FILE BYTES ADDRESS
//
// The file is the board's memory, of BYTES bytes from ADDRESS on. Reads lines:
//
//     buffers COUNT [ADDRESS SIZE]...   what the engine may touch from now on
//     memory LATENCY BYTES_A_CYCLE      how the memory answers from now on (tb/axi_memory.h)
//     write OFFSET VALUE                a register
//     read OFFSET                       answered by a line with its value
//
// A request for other memory than the buffers ends the process with the line "fault ADDRESS". Where the board has no memory,
// an interconnect answers with an error, and so does this.
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cinttypes>
#include <sstream>
#include <string>
#include <utility>

#include "rtl_engine.h"

namespace {

constexpr int CLOCKS_A_TURN = 8000;  // between two looks at the input
constexpr int IDLE_MS = 200;         // between two looks whether the twin still lives
constexpr uint32_t RUNNING = 1 << 8, UNDRAINED = 1 << 9;

class SharedMemory : public AxiMemory {
public:
    SharedMemory(const char* path, uint64_t count, uint64_t address)
        : AxiMemory(0, address, AxiSettings()), count(count) {
        const int file = open(path, O_RDWR);
        void* const mapped = mmap(nullptr, count, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (file < 0 || mapped == MAP_FAILED) {
            std::perror("rtl_twin: memory");
            std::exit(2);
        }
        first = static_cast<uint8_t*>(mapped);
    }

    uint8_t* reach(uint64_t address, uint64_t wanted) override {
        if (address < base || address + wanted > base + count) return nullptr;
        for (const auto& [begin, size] : buffers) {
            if (address >= begin && address + wanted <= begin + size) return first + (address - base);
        }
        std::printf("fault %" PRIx64 "\n", address);
        std::exit(4);
    }

    std::vector<std::pair<uint64_t, uint64_t>> buffers;

private:
    uint64_t count;
    uint8_t* first;
};

// Carries out one line; false where it is none.
bool obey(RtlEngine& engine, SharedMemory& memory, std::istringstream& line) {
    std::string command;
    uint64_t first = 0, second = 0;
    line >> command >> first;
    if (command == "read") {
        std::printf("%" PRIu32 "\n", engine.read(first));
        std::fflush(stdout);
    } else if (command == "write") {
        line >> second;
        engine.write(first, second);
    } else if (command == "memory") {
        line >> memory.settings.bytes_a_cycle;
        memory.settings.latency = first;
    } else if (command == "buffers") {
        memory.buffers.resize(first);
        for (auto& [address, size] : memory.buffers) line >> address >> size;
    } else {
        return false;
    }
    return static_cast<bool>(line);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) {
        std::fprintf(stderr, "usage: rtl_twin MEMORY_FILE BYTES ADDRESS\n");
        return 2;
    }
    auto shared =
        std::make_unique<SharedMemory>(argv[1], std::strtoull(argv[2], nullptr, 0), std::strtoull(argv[3], nullptr, 0));
    SharedMemory& memory = *shared;
    RtlEngine engine(std::move(shared));
    const pid_t twin = getppid();
    std::string pending;
    bool busy = false;
    while (getppid() == twin) {
        const size_t end = pending.find('\n');
        if (end != std::string::npos) {
            std::istringstream line(pending.substr(0, end));
            pending.erase(0, end + 1);
            if (!obey(engine, memory, line)) return 2;
            busy = true;
            continue;
        }
        pollfd input = {STDIN_FILENO, POLLIN, 0};
        if (poll(&input, 1, busy ? 0 : IDLE_MS) > 0) {
            char text[4096];
            const ssize_t count = ::read(STDIN_FILENO, text, sizeof text);
            if (count <= 0) return 0;
            pending.append(text, count);
        } else if (busy) {
            for (int i = 0; i < CLOCKS_A_TURN; ++i) engine.clock();
            busy = (engine.read(REGISTER_STATUS) & (RUNNING | UNDRAINED)) != 0 || !engine.quiet();
        }
    }
}
