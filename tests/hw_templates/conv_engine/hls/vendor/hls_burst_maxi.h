// Stands for the header of Vitis HLS where there is none: a port is made of a pointer, and copies of it are one port.
#pragma once

#include <ap_int.h>

#include <cstddef>
#include <deque>
#include <memory>
#include <stdexcept>

namespace hls {

template <typename Wide>
class burst_maxi {
public:
    burst_maxi(Wide* words) : words(words), asked(std::make_shared<Asked>()) {}

    void read_request(size_t offset, size_t length) {
        for (size_t i = 0; i < length; ++i) asked->read.push_back(offset + i);
    }
    Wide read() { return words[first_of(asked->read)]; }
    void write_request(size_t offset, size_t length) {
        for (size_t i = 0; i < length; ++i) asked->written.push_back(offset + i);
    }
    void write(const Wide& value, ap_int<Wide::width / 8> byte_enable = -1) {
        const size_t place = first_of(asked->written);
        if (byte_enable != 0) words[place] = value;
    }
    void write_response() {}

private:
    struct Asked {
        std::deque<size_t> read, written;
    };

    static size_t first_of(std::deque<size_t>& places) {
        if (places.empty()) throw std::runtime_error("a word that was not asked for");
        const size_t place = places.front();
        places.pop_front();
        return place;
    }

    Wide* words;
    std::shared_ptr<Asked> asked;
};

}  // namespace hls
