// Programs that are to run one after the other, as arguments say it: (ARENA [NAME=VALUE ...]) ...
#pragma once

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

struct Run {
    uint64_t operator[](const std::string& name) const { return values.at(name); }

    std::string path;  // of the memory before the run
    std::map<std::string, uint64_t> values;
};

inline std::vector<Run> runs_of(int argc, char** argv) {
    std::vector<Run> runs;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        const size_t equals = word.find('=');
        if (equals == std::string::npos)
            runs.push_back({word, {}});
        else
            runs.back().values[word.substr(0, equals)] = std::stoull(word.substr(equals + 1));
    }
    return runs;
}

// The memory before a run, cut or filled to so many bytes.
inline std::vector<uint8_t> memory_before(const Run& run, size_t bytes) {
    std::ifstream file(run.path, std::ios::binary);
    std::vector<uint8_t> memory(std::istreambuf_iterator<char>(file), {});
    memory.resize(bytes);
    return memory;
}

inline void keep_memory_behind(const Run& run, const std::vector<uint8_t>& memory) {
    std::ofstream after(run.path + ".after", std::ios::binary);
    after.write(reinterpret_cast<const char*>(memory.data()), static_cast<std::streamsize>(memory.size()));
}

inline int complain(const Run& run, const char* what) { return std::printf("%s: %s\n", run.path.c_str(), what), 1; }
