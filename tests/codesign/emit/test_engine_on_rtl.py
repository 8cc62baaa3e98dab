"""Random layers on the Verilog of engines of clearly different shape, beside results and counts."""

from pathlib import Path

import numpy as np
import pytest
from support.verilog.engine_programs import random_engine_program
from support.verilog.simulated import build_engine, need_verilator

from cost_models.engine.counts import count_program
from cost_models.engine.cycles import MemoryTiming, program_cycles
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.isa import TRIPS
from hw_templates.conv_engine.rtl_config import EngineShape, Limits

BASE = {
    "pe_rows": 8, "pe_cols": 8, "pe_pixels": 4, "pack": 2, "ifmap_kib": 16, "weight_kib": 16, "ofmap_kib": 16,
    "axi_bits": 64, "clock_mhz": 100, "depthwise_lanes": 8,
}  # fmt: skip
ENGINES = {
    "double buffers": ({}, Limits()),
    "single buffers, 3 pixels": (
        {"ifmap_buffers": 1, "weight_buffers": 1, "ofmap_buffers": 1, "pe_pixels": 3},
        Limits(),
    ),
    "7 pixels, unpacked, kernels to 11": (
        {"pe_pixels": 7, "pack": 1, "ifmap_kib": 32},
        Limits(max_kernel=11, max_stride=4, max_dilation=3, zero_point=True),
    ),
    "1 pixel, 32-bit ports": (
        {"pe_pixels": 1, "axi_bits": 32, "pe_rows": 4, "pe_cols": 12, "depthwise_lanes": 4},
        Limits(max_stride=4),
    ),
    "128-bit ports": (
        {"axi_bits": 128, "pe_rows": 16, "pe_cols": 16, "pe_pixels": 2, "weight_kib": 32, "depthwise_lanes": 16},
        Limits(max_dilation=2),
    ),
    "weight port of two words": (
        {"weight_port_words": 2, "pe_rows": 16, "pe_pixels": 2, "ofmap_buffers": 1},
        Limits(zero_point=True),
    ),
    "6 pixels, 12 rows, single weights": (
        {"pe_rows": 12, "axi_bits": 32, "depthwise_lanes": 4, "pe_pixels": 6, "weight_buffers": 1},
        Limits(max_stride=3, max_dilation=4, max_kernel=5),
    ),
}
MEMORIES = (
    (),
    ("--latency", "5", "--jitter", "40", "--pauses", "60"),
    ("--bytes-a-cycle", "6"),
)
LAYERS = 15
FIRST_SEED = 2000
"""No constant of the stated cycles was fitted to these programs."""


@pytest.mark.parametrize("name", ENGINES)
def test_random_layers_are_bit_exact_and_take_what_is_stated(name: str, tmp_path: Path) -> None:
    need_verilator()
    changes, limits = ENGINES[name]
    shape = EngineShape(accelerator=Accelerator(**(BASE | changes)), limits=limits)
    simulation = build_engine(tmp_path / "engine", shape)
    for seed, memory in enumerate(MEMORIES, FIRST_SEED):
        program = random_engine_program(tmp_path / f"program{seed}", shape, LAYERS, seed)
        run = program.simulate(simulation, *memory)
        assert not run.differing, f"seed {seed}: {run.differing[0].placed.tiled}"
        counts, ports = count_program(program.placed)
        stated = [(count.iterations, count.ifmap_words, count.weight_words, count.ofmap_words) for count in counts]
        assert run.counters[list(TRIPS.names)].tolist() == stated, f"seed {seed}"
        assert run.ports == ports, f"seed {seed}"
        if "--jitter" not in memory:
            asked = dict(zip(memory[::2], map(int, memory[1::2]), strict=True))
            timing = MemoryTiming(
                latency_cycles=asked.get("--latency", 60), bytes_a_cycle=asked.get("--bytes-a-cycle", 0)
            )
            layers, total = program_cycles(program.placed, timing)
            assert total == pytest.approx(run.cycles, rel=0.02), f"seed {seed}"
            counted = np.array([each.counted for each in layers])
            deviations = counted / run.counters["total_cycles"] - 1
            assert np.quantile(np.abs(deviations), 0.9) < 0.02, f"seed {seed}: {deviations}"
