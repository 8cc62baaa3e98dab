"""The convolution engine: its parameters, space, program format and registers, and its C++ and Verilog."""
