// The engine as a process of its own, for a board twin: an access outside of the allocated buffers or an endless program
// ends this process and nothing else. Compiled with an emitted project's sources.
// Usage: fabric MEMORY_FILE BYTES ADDRESS LIMIT_S
//
// Reads lines "IFMAP WEIGHTS RESIDUAL OFMAP PROGRAM_WORD LAYER_COUNT ARENA_WORDS PROTECTED_WORDS CYCLE_LIMIT BUFFERS
// [ADDRESS SIZE]...": physical addresses, the other registers, and the buffers that the engine may touch, in whole pages.
// Writes "done STATUS CYCLES" once the engine has run, where a cycle is an iteration of a loop of a stage; before it ends
// early, "fault ADDRESS" for an access outside of the buffers, "limit" after LIMIT_S seconds, or "crash". The file is the
// board's memory, of BYTES bytes from ADDRESS on. Integers wrap as in hardware, for programs that are damaged.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <thread>

#include "conv_engine.h"

namespace {

constexpr uint64_t GUARD = uint64_t(1) << 36;  // an address too large or too small by so much is still met by nothing
constexpr uint64_t PAGE = 4096;

char* memory;
uint64_t first_address, memory_bytes;

// Says why the process ends. Only calls that are safe in a signal handler.
void end_early(int signal_number, siginfo_t* info, void*) {
    char text[32] = "crash";
    int length = 5;
    const char* const at = static_cast<const char*>(info->si_addr);
    if (signal_number == SIGALRM) {
        __builtin_memcpy(text, "limit", 5);
    } else if (signal_number == SIGSEGV && at >= memory - GUARD && at < memory + memory_bytes + GUARD) {
        const uint64_t address = static_cast<uint64_t>(at - memory) + first_address;
        __builtin_memcpy(text, "fault ", 6);
        length = 6;
        for (int digit = 15; digit >= 0; --digit) {
            text[length++] = "0123456789abcdef"[address >> (4 * digit) & 15];
        }
    }
    text[length++] = '\n';
    if (write(STDOUT_FILENO, text, length) < 0) {
        _exit(5);
    }
    _exit(4);
}

void handle(int signal_number) {
    struct sigaction action = {};
    action.sa_sigaction = end_early;
    action.sa_flags = SA_SIGINFO;
    sigaction(signal_number, &action, nullptr);
}

// Reads the rest of a line; whether the engine can touch the buffers in it now, and nothing else of the memory.
bool open_buffers() {
    int count;
    if (std::scanf("%d", &count) != 1 || mprotect(memory, memory_bytes, PROT_NONE) != 0) {
        return false;
    }
    for (int i = 0; i < count; ++i) {
        uint64_t address, size;
        if (std::scanf("%" SCNu64 " %" SCNu64, &address, &size) != 2 ||
            mprotect(memory + (address - first_address), (size + PAGE - 1) / PAGE * PAGE, PROT_READ | PROT_WRITE) !=
                0) {
            return false;
        }
    }
    return true;
}

// The memory behind a port, of which a program reaches as much as a place can count.
template <typename Wide>
hls::HostMemory<Wide> behind(char* port) {
    return {reinterpret_cast<uint8_t*>(port), (size_t(1) << AW) * BYTES};
}

Outcome run(char* const (&ports)[4], const ProgramRegisters& registers, uint32_t cycle_limit) {
    hls::HostMemory<Word> ifmap = behind<Word>(ports[0]), residual = behind<Word>(ports[2]),
                          ofmap = behind<Word>(ports[3]);
    hls::HostMemory<WeightWord> weights = behind<WeightWord>(ports[1]);
    Outcome outcome;
    CycleClock clocks[CLOCKS] = {};
    HostClock::step = 1;
    conv_engine(ReadPort<Word>(ifmap), ReadPort<WeightWord>(weights), ReadPort<Word>(residual), WritePort<Word>(ofmap),
                registers, cycle_limit, outcome, clocks);
    return outcome;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 5) {
        std::fprintf(stderr, "usage: fabric MEMORY_FILE BYTES ADDRESS LIMIT_S\n");
        return 2;
    }
    memory_bytes = std::strtoull(argv[2], nullptr, 0);
    first_address = std::strtoull(argv[3], nullptr, 0);
    const unsigned limit_s = static_cast<unsigned>(std::strtoul(argv[4], nullptr, 0));
    const int file = open(argv[1], O_RDWR);
    char* const space = static_cast<char*>(
        mmap(nullptr, memory_bytes + 2 * GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    memory = space + GUARD;
    if (file < 0 || space == MAP_FAILED ||
        mmap(memory, memory_bytes, PROT_NONE, MAP_SHARED | MAP_FIXED, file, 0) == MAP_FAILED) {
        std::perror("fabric: memory");
        return 2;
    }
    for (int signal_number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGALRM}) {
        handle(signal_number);
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
    ProgramRegisters registers = {};
    uint32_t cycle_limit;
    while (std::scanf("%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu32 " %" SCNu32 " %" SCNu32 " %" SCNu32
                      " %" SCNu32,
                      &addresses[0], &addresses[1], &addresses[2], &addresses[3], &registers.program_word,
                      &registers.layer_count, &registers.arena_words, &registers.protected_words, &cycle_limit) == 9 &&
           open_buffers()) {
        char* ports[4];
        for (int i = 0; i < 4; ++i) {
            // Whatever lies far below or above the memory is as absent as what lies beside it.
            const bool near =
                addresses[i] + GUARD / 2 > first_address && addresses[i] < first_address + memory_bytes + GUARD / 2;
            ports[i] = near ? memory + static_cast<int64_t>(addresses[i] - first_address) : space + GUARD / 2;
        }
        alarm(limit_s);
        const Outcome outcome = run(ports, registers, cycle_limit);
        alarm(0);
        std::printf("done %" PRIu32 " %" PRIu64 "\n", outcome.status, outcome.cycles);
        std::fflush(stdout);
    }
    _exit(0);
}
