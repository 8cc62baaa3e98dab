// What the model of a memory port refuses: `misused_port CASE` must not end well.
#include <cstdlib>
#include <vector>

#include "ports.h"

int main(int, char** argv) {
    std::vector<Word> content(8192);
    hls::HostMemory<Word> memory(reinterpret_cast<uint8_t*>(content.data()), content.size() * sizeof(Word));
    hls::burst_maxi<Word> port(memory);
    constexpr size_t BLOCK = 4096 / sizeof(Word);
    switch (std::atoi(argv[1])) {
        case 0:
            port.read_request(0, 2);
            port.read(), port.read(), port.read();
            break;
        case 1:
            port.read_request(BLOCK - 1, 2);
            break;
        case 2:
            port.read_request(content.size(), 2);
            break;
        case 3:
            for (int burst = 0; burst < 17; ++burst) port.read_request(0, 1);
            break;
        case 4:
            port.read_request(0, 17);
            break;
        case 5:
            port.write_request(0, 1);
            port.write(0, -1), port.write(0, -1);
            break;
        case 6:
            port.write_request(0, 2);
            port.write(0, -1);
            port.write_response();
            break;
        case 7:
            port.write_request(0, 2);
            port.write_request(0, 2);
            break;
        default:
            return 0;
    }
}
