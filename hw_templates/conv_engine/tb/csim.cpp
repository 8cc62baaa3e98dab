// Runs every test image through the engine and compares the logits with the integer reference, and the engine's trip
// counters with what the cost model states. Usage: csim WEIGHTS_FOLDER [IMAGES]
//
// Prints one line an image that differs and one line a layer:
//   layer INDEX compute_trips ifmap_words weight_words ofmap_words
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "conv_engine.h"

// Co-simulation copies this many words of each port, whatever the program needs; csynth.tcl says how many.
#ifndef ARENA_LEAST_WORDS
#define ARENA_LEAST_WORDS 0
#endif

namespace {

std::vector<char> read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        std::fprintf(stderr, "%s: cannot be read\n", path.c_str());
        std::exit(2);
    }
    return std::vector<char>(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

// Of a file of "name value" lines.
long value_of(const std::string& text, const std::string& name) {
    const std::string padded = "\n" + text;
    const size_t at = padded.find("\n" + name + " ");
    if (at == std::string::npos) {
        std::fprintf(stderr, "program.txt: %s is missing\n", name.c_str());
        std::exit(2);
    }
    return std::strtol(padded.c_str() + at + name.size() + 2, nullptr, 10);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: csim WEIGHTS_FOLDER [IMAGES]\n");
        return 2;
    }
    const std::string folder = argv[1];
    const std::vector<char> program = read_file(folder + "/program.txt");
    const std::string text(program.begin(), program.end());
    const long arena_words = value_of(text, "arena_words");
    const long program_word = value_of(text, "program_word");
    const long layer_count = value_of(text, "layer_count");
    const long image_word = value_of(text, "image_word");
    const long image_words = value_of(text, "image_words");
    const long logits_word = value_of(text, "logits_word");
    const long logits_count = value_of(text, "logits_count");
    const long counter_word = value_of(text, "counter_word");
    if (value_of(text, "isa_version") != ISA_VERSION || value_of(text, "axi_bytes") != AXI_BYTES) {
        std::fprintf(stderr, "program.txt: made for another engine\n");
        return 2;
    }

    const std::vector<char> initial = read_file(folder + "/arena.bin");
    const std::vector<char> images = read_file(folder + "/images.bin");
    const std::vector<char> golden = read_file(folder + "/golden.bin");
    const std::vector<char> trips = read_file(folder + "/trips.bin");
    const long image_bytes = image_words * AXI_BYTES;
    const long available = static_cast<long>(images.size()) / image_bytes;
    const long count = argc > 2 && std::atol(argv[2]) < available ? std::atol(argv[2]) : available;
    if (count < 1 || initial.size() > static_cast<size_t>(arena_words) * AXI_BYTES ||
        golden.size() != static_cast<size_t>(available * logits_count) || trips.size() != layer_count * sizeof(Trips)) {
        std::fprintf(stderr, "%s: files do not belong together\n", folder.c_str());
        return 2;
    }

    const long least_words = ARENA_LEAST_WORDS;
    if (least_words > 0 && arena_words > least_words) {
        std::fprintf(stderr, "program.txt: %ld arena words are more than co-simulation copies\n", arena_words);
        return 2;
    }
    std::vector<Word> arena(arena_words > least_words ? arena_words : least_words);
    std::memcpy(arena.data(), initial.data(), initial.size());
    const WeightWord* weights = reinterpret_cast<const WeightWord*>(arena.data());
    CycleClock clocks[CLOCKS] = {};
    long wrong_images = 0;
    long wrong_layers = 0;
    for (long i = 0; i < count; ++i) {
        std::memcpy(&arena[image_word], images.data() + i * image_bytes, image_bytes);
        conv_engine(arena.data(), weights, arena.data(), arena.data(), static_cast<int>(program_word),
                    static_cast<int>(layer_count), clocks);
        if (std::memcmp(&arena[logits_word], golden.data() + i * logits_count, logits_count) != 0) {
            std::printf("image %ld differs from the integer reference\n", i);
            ++wrong_images;
        }
    }
    std::vector<Counters> counted(layer_count);
    std::vector<Trips> stated(layer_count);
    std::memcpy(counted.data(), &arena[counter_word], layer_count * sizeof(Counters));
    std::memcpy(stated.data(), trips.data(), trips.size());
    for (long layer = 0; layer < layer_count; ++layer) {
        const Trips& c = counted[layer].trips;
        std::printf("layer %ld %u %u %u %u\n", layer, c.compute_trips, c.ifmap_words, c.weight_words, c.ofmap_words);
        if (std::memcmp(&c, &stated[layer], sizeof c) != 0) {
            const Trips& s = stated[layer];
            std::printf("layer %ld differs from the cost model: %u %u %u %u\n", layer, s.compute_trips, s.ifmap_words,
                        s.weight_words, s.ofmap_words);
            ++wrong_layers;
        }
    }
    std::printf("%ld of %ld images and %ld of %ld layers agree\n", count - wrong_images, count,
                layer_count - wrong_layers, layer_count);
    return wrong_images == 0 && wrong_layers == 0 ? 0 : 1;
}
