"""The template `hls4ml`: each layer of one subnet in hardware of its own, emitted by hls4ml."""
