"""Prices of accelerators that hls4ml makes."""
