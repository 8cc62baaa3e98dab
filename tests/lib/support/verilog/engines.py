"""Engines of clearly different shape, each built once for all tests."""

from pathlib import Path

import pytest
from support.verilog.simulated import build_engine, need_verilator, render_engine

from bitstreams.building.toolchain import build_csim
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.engine_shape import EngineShape, Limits
from hw_templates.foundation.lock import exclusive

_BASE = {
    "pe_rows": 8,
    "pe_cols": 8,
    "pe_pixels": 4,
    "pack": 2,
    "ifmap_kib": 16,
    "weight_kib": 16,
    "ofmap_kib": 16,
    "axi_bits": 64,
    "clock_mhz": 100,
}


def _engine(limits: Limits | None = None, **changes: int) -> EngineShape:
    return EngineShape(accelerator=Accelerator(**(_BASE | changes)), limits=limits or Limits())


ENGINES = {
    "double buffers": _engine(),
    "single buffers, 3 pixels": _engine(ifmap_buffers=1, weight_buffers=1, ofmap_buffers=1, pe_pixels=3),
    "7 pixels, unpacked, kernels to 11": _engine(
        Limits(max_kernel=11, max_stride=4, max_dilation=3, zero_point=True), pe_pixels=7, pack=1, ifmap_kib=32
    ),
    "1 pixel, 32-bit ports": _engine(Limits(max_stride=4), pe_pixels=1, axi_bits=32, pe_rows=4, pe_cols=12),
    "128-bit ports": _engine(Limits(max_dilation=2), axi_bits=128, pe_rows=16, pe_cols=16, pe_pixels=2, weight_kib=32),
    "weight port of two words": _engine(
        Limits(zero_point=True), weight_port_words=2, pe_rows=16, pe_pixels=2, ofmap_buffers=1
    ),
    "6 pixels, 12 rows, single weights": _engine(
        Limits(max_stride=3, max_dilation=4, max_kernel=7),
        pe_rows=12,
        axi_bits=32,
        pe_pixels=6,
        weight_buffers=1,
    ),
    "maps on chip, more rows": _engine(Limits(max_stride=3), pe_rows=16, pe_pixels=2, map_kib=16),
    "maps on chip, 3 banks, single weights and sums": _engine(
        Limits(max_dilation=2),
        pe_cols=12,
        pe_pixels=2,
        axi_bits=32,
        map_kib=8,
        weight_buffers=1,
        ofmap_buffers=1,
    ),
}

MORE_WITH_MAPS = {
    "maps on chip, square": _engine(map_kib=32),
    "maps on chip, 128-bit ports, more columns": _engine(
        axi_bits=128, pe_rows=16, pe_cols=32, pe_pixels=1, weight_kib=32, ifmap_kib=32, map_kib=64
    ),
    "maps on chip, all buffers single": _engine(
        pe_rows=24, pe_pixels=3, ifmap_buffers=1, weight_buffers=1, ofmap_buffers=1, map_kib=8
    ),
}
"""Engines of tests on demand, which keep maps on chip, as two of :data:`ENGINES` do."""

SMALLEST = _engine(pe_rows=4, pe_cols=4, pe_pixels=1, ifmap_kib=4, weight_kib=4, ofmap_kib=2, axi_bits=32)
"""The engine of tests that run very often, or in a slow simulator."""


def simulation_of(name: str, factory: pytest.TempPathFactory) -> Path:
    """Return the simulation of an engine by its name, which the first test that asks builds for all processes."""
    need_verilator()
    folder = _folder_of(name, factory)
    with exclusive(folder / "lock"):
        program = folder / "build/rtlsim"
        return program if program.is_file() else build_engine(folder, (ENGINES | MORE_WITH_MAPS)[name])


def cpp_simulation_of(name: str, factory: pytest.TempPathFactory, sanitize: bool = False) -> Path:
    """Return the same of the engine in C++, as an emitted project makes it, also with sanitizers."""
    folder = _folder_of(f"{name} in C++", factory)
    with exclusive(folder / "lock"):
        program = folder / ("build/csim_sanitized" if sanitize else "build/csim")
        if program.is_file():
            return program
        render_engine(folder, (ENGINES | MORE_WITH_MAPS)[name])
        return build_csim(folder, sanitize)


def _folder_of(name: str, factory: pytest.TempPathFactory) -> Path:
    session = factory.getbasetemp()
    if session.name.startswith("popen-"):  # of one of several processes
        session = session.parent
    folder = session / "engines" / name.replace(" ", "_")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
