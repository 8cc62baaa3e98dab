"""Commands with template hls4ml."""
