"""Prices in closed form: cycles, traffic and energy of layers with their best mappings, as compiled kernels."""
