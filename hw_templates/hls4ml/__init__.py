"""The parameters of accelerators that hls4ml makes."""
