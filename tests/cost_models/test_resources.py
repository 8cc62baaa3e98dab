import re
import subprocess
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
from support.pricing.accelerator_grid import fitting_points

from cost_models.coefficients import load_coefficients
from cost_models.engine.blocks import engine_blocks
from cost_models.resources import (
    MEMORY_PORTS,
    PORT_QUEUE_WORDS,
    RESOURCES,
    banks_of,
    block_memories,
    block_rams,
    check_fits,
    dsp_slices,
    estimate_resources,
    excess,
    logic,
)
from hw_templates.board import load_board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.engine_shape import EngineShape
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.conv_engine.space import AcceleratorSpace
from hw_templates.foundation.errors import InvalidValueError, ResourceError
from hw_templates.project.render import render

Z2, ZCU104 = load_board("pynq-z2"), load_board("zcu104")
SMALL = Accelerator(
    pe_rows=8,
    pe_cols=8,
    pe_pixels=2,
    pack=2,
    ifmap_kib=8,
    weight_kib=8,
    ofmap_kib=8,
    axi_bits=64,
    clock_mhz=100,
)
# DPUCZDX8G with low DSP usage, from AMD PG338 (v1.2): pixel, input and output parallelism, LUTs, FFs.
DPU = ((4, 8, 8, 20759, 33572), (8, 8, 8, 29155, 49823), (8, 12, 12, 37055, 72850), (8, 16, 16, 44583, 99791))


@pytest.mark.parametrize(
    ("depth", "width", "count"),
    [
        # A block RAM of 18 Kib is 16384 x 1, 8192 x 2, 4096 x 4, 2048 x 9, 1024 x 18 or 512 x 36 (AMD UG473).
        (16384, 1, 1),
        (16385, 1, 2),
        (8192, 2, 1),
        (4096, 3, 1),
        (4096, 4, 1),
        (2048, 8, 1),
        (2049, 9, 2),
        (1024, 18, 1),
        (512, 18, 1),
        (512, 32, 1),
        (512, 36, 1),
        (512, 64, 2),
        (513, 36, 2),
        (1024, 64, 4),
        (4096, 32, 8),
    ],
)
def test_block_rams(depth: int, width: int, count: int) -> None:
    assert block_rams(depth, width) == count


@pytest.mark.parametrize(
    ("accelerator", "count"),
    [
        # PE array 8 * 8 * 2, two products for each of 8 lanes of post-processing.
        (
            Accelerator(
                pe_rows=8,
                pe_cols=8,
                pe_pixels=2,
                pack=1,
                ifmap_kib=8,
                weight_kib=8,
                ofmap_kib=8,
                axi_bits=64,
                clock_mhz=100,
            ),
            128 + 16,
        ),
        # Packing halves the rows of the array.
        (
            Accelerator(
                pe_rows=8,
                pe_cols=8,
                pe_pixels=3,
                pack=2,
                ifmap_kib=8,
                weight_kib=8,
                ofmap_kib=8,
                axi_bits=64,
                clock_mhz=100,
            ),
            96 + 16,
        ),
        (
            Accelerator(
                pe_rows=16,
                pe_cols=16,
                pe_pixels=1,
                pack=2,
                ifmap_kib=8,
                weight_kib=8,
                ofmap_kib=8,
                axi_bits=128,
                clock_mhz=100,
            ),
            128 + 32,
        ),
    ],
)
def test_dsp_slices(accelerator: Accelerator, count: int) -> None:
    assert dsp_slices(accelerator) == count


def test_block_memories_by_hand() -> None:
    # ifmap 2 halves * 2 banks of 512 x 64 (2 each), weights 2 * 8 banks of 128 x 64 (2 each), sums 2 * 16 banks of
    # 128 x 32 (1 each), residual 2 of 256 x 64 (2 each), parameters 2 * 8 of 256 x 64 (2 each), queues 4 of 256 x 64.
    assert block_memories(SMALL) == 2 * 2 * 2 + 2 * 8 * 2 + 2 * 16 * 1 + 2 * 2 + 2 * 8 * 2 + 4 * 2


def test_deep_banks_stay_block_rams_where_there_is_ultra_ram() -> None:
    deep = replace(SMALL, pe_pixels=1, ifmap_kib=32)  # ifmap banks of 4096 x 64
    shallow = replace(deep, ifmap_kib=4)  # of 512 x 64
    assert estimate_resources(deep, ZCU104).uram == 0
    assert block_memories(deep) - block_memories(shallow) == 2 * (4 * 4 - 2)


def test_columns_equal_single_accelerators() -> None:
    for board in (Z2, ZCU104):
        columns = AcceleratorSpace(board).sample(np.random.default_rng(0), 50)
        together = estimate_resources(columns, board)
        for index, accelerator in enumerate(columns):
            alone = estimate_resources(accelerator, board)
            for name in RESOURCES:
                assert isinstance(getattr(alone, name), int)
                assert getattr(together, name)[index] == getattr(alone, name)


def test_excess_is_what_is_missing() -> None:
    assert excess(estimate_resources(SMALL, Z2), Z2)["dsp"] == dsp_slices(SMALL) - 220


def test_every_resource_that_is_short_is_named() -> None:
    check_fits(SMALL, Z2)
    with pytest.raises(ResourceError) as raised:
        check_fits(
            Accelerator(
                pe_rows=64,
                pe_cols=64,
                pe_pixels=2,
                pack=2,
                ifmap_kib=8,
                weight_kib=16,
                ofmap_kib=8,
                axi_bits=64,
                clock_mhz=100,
            ),
            Z2,
        )
    assert str(raised.value).startswith("dsp: needs 4112 of 220 on pynq-z2, 3892 too many; bram_18k: needs ")
    assert "uram" not in str(raised.value)


def test_clock_and_ports_are_checked() -> None:
    with pytest.raises(InvalidValueError, match=r"accelerator\.clock_mhz: must be one of .*, got 90"):
        check_fits(
            Accelerator(
                pe_rows=8,
                pe_cols=8,
                pe_pixels=2,
                pack=2,
                ifmap_kib=8,
                weight_kib=8,
                ofmap_kib=8,
                axi_bits=64,
                clock_mhz=90,
            ),
            Z2,
        )
    with pytest.raises(InvalidValueError, match=r"accelerator\.axi_bits: must be at most 64, got 128"):
        check_fits(
            Accelerator(
                pe_rows=16,
                pe_cols=16,
                pe_pixels=2,
                pack=2,
                ifmap_kib=8,
                weight_kib=8,
                ofmap_kib=8,
                axi_bits=128,
                clock_mhz=100,
            ),
            Z2,
        )


@pytest.mark.parametrize(("pixels", "inputs", "outputs", "lut", "ff"), DPU)
def test_logic_is_of_the_size_of_published_engines(pixels: int, inputs: int, outputs: int, lut: int, ff: int) -> None:
    # Another engine of the same parallelism: the estimate must be of its order, no more is claimed.
    size = Accelerator(
        pe_rows=outputs,
        pe_cols=inputs,
        pe_pixels=pixels,
        pack=2,
        ifmap_kib=16 * pixels,
        weight_kib=64,
        ofmap_kib=32,
        axi_bits=32,
        clock_mhz=150,
    )
    estimated_lut, estimated_ff = logic(size, load_coefficients().logic)
    assert 0.5 < estimated_lut / lut < 1.5
    assert 0.5 < estimated_ff / ff < 1.5


def test_a_hundred_thousand_legal_points_fit_a_small_board() -> None:
    # Every point with two products a DSP and narrow ports at the first clock; the other clocks have as many.
    points = fitting_points(Z2, {"pack": 2, "axi_bits": 32, "clock_mhz": Z2.clocks_mhz[0]})
    assert any(count * len(Z2.clocks_mhz) >= 10**5 for count in accumulate(map(len, points)))


def test_resources_do_not_depend_on_the_clock() -> None:
    columns = AcceleratorSpace(Z2).sample(np.random.default_rng(1), 500)
    needed = [
        estimate_resources(replace(columns, clock_mhz=np.full(len(columns), clock)), Z2) for clock in Z2.clocks_mhz
    ]
    for name in RESOURCES:
        for other in needed[1:]:
            np.testing.assert_array_equal(getattr(other, name), getattr(needed[0], name))


# Prints every memory that the engine declares: how many of a half, words of each, and bits of a word.
DECLARED = """
#include <cstdio>
#include <type_traits>
#include "commands.h"
typedef ResidualBuffer OneBank[1];
template <class Banked> void banks(const char* name, int halves, int bits) {
    std::printf("%s %d %d %d\\n", name, halves * int(std::extent<Banked, 0>::value),
                int(std::extent<Banked, 1>::value), bits);
}
int main() {
STATEMENTS
}
"""
STATIC = re.compile(r"static (\w+) (\w+)\[(\w+)\];")
STORAGE = re.compile(r"#pragma HLS BIND_STORAGE variable = (\w+) type = ram_s2p impl = (\w+)")
DECLARING = (
    SMALL,
    Accelerator(
        pe_rows=48,
        pe_cols=8,
        pe_pixels=3,
        pack=2,
        ifmap_kib=64,
        weight_kib=64,
        ofmap_kib=64,
        axi_bits=64,
        clock_mhz=200,
        map_kib=256,
        weight_port_words=2,
    ),
    Accelerator(
        pe_rows=16,
        pe_cols=32,
        pe_pixels=7,
        pack=1,
        ifmap_kib=16,
        weight_kib=32,
        ofmap_kib=8,
        axi_bits=128,
        clock_mhz=200,
    ),
    Accelerator(
        pe_rows=8,
        pe_cols=24,
        pe_pixels=3,
        pack=1,
        ifmap_kib=16,
        weight_kib=16,
        ofmap_kib=16,
        axi_bits=64,
        clock_mhz=100,
        map_kib=4,
    ),
    Accelerator(
        pe_rows=8,
        pe_cols=8,
        pe_pixels=1,
        pack=2,
        ifmap_kib=16,
        weight_kib=32,
        ofmap_kib=64,
        axi_bits=64,
        clock_mhz=100,
        map_kib=0,
        weight_port_words=1,
        ifmap_buffers=1,
        weight_buffers=2,
        ofmap_buffers=1,
    ),
    Accelerator(
        pe_rows=16,
        pe_cols=16,
        pe_pixels=2,
        pack=2,
        ifmap_kib=256,
        weight_kib=256,
        ofmap_kib=16,
        axi_bits=64,
        clock_mhz=100,
        map_kib=0,
        weight_port_words=1,
        ifmap_buffers=2,
        weight_buffers=1,
        ofmap_buffers=2,
    ),
)


@pytest.mark.parametrize("accelerator", DECLARING, ids=lambda a: f"{a.pe_rows}x{a.pe_cols}x{a.pe_pixels}")
def test_memories_are_those_that_the_engine_declares(tmp_path: Path, accelerator: Accelerator) -> None:
    for path, text in render(accelerator, ZCU104).items():
        if path.startswith("hls/") and path.endswith(".h"):
            (tmp_path / path.removeprefix("hls/")).write_text(text)
    engine = render(accelerator, ZCU104)["hls/conv_engine.cpp"]
    statements = []
    for kind, name, halves in STATIC.findall(engine):
        bits = {"SumBuffer": "32", "ParameterMemory": "64", "TableMemory": "8"}.get(kind, "8 * sizeof(Word)")
        banked = "OneBank" if kind == "ResidualBuffer" else kind
        statements.append(f'    banks<{banked}>("{name}", {halves}, {bits});')
    text = DECLARED.replace("STATEMENTS", "\n".join(statements))
    (tmp_path / "declared.cpp").write_text(text)
    subprocess.run(["g++", "-std=c++17", "declared.cpp", "-o", "declared"], cwd=tmp_path, check=True)
    printed = subprocess.run([tmp_path / "declared"], capture_output=True, text=True, check=True).stdout
    storage = dict(STORAGE.findall(engine))
    declared = {
        name: (*map(int, sizes), storage[name] == "bram") for name, *sizes in map(str.split, printed.splitlines())
    }
    stated = {bank.name: (bank.count, bank.depth, bank.width, bank.is_block) for bank in banks_of(accelerator)}
    if not accelerator.map_kib:
        # A word that nothing is written to.
        assert (stated.pop("maps")[0], declared.pop("maps")[1]) == (0, 1)
    assert stated == declared
    ports = re.findall(r"m_axi port = \w+ .*?(\d+) max_\w+_burst_length = (\d+)", engine, re.DOTALL)
    assert [int(bursts) * int(words) for bursts, words in ports] == [PORT_QUEUE_WORDS] * MEMORY_PORTS


@pytest.mark.parametrize("board", ["pynq-z2", "zcu104"])
def test_engines_in_verilog_take_the_blocks_of_their_own_memories(board: str) -> None:
    on = load_board(board)
    columns = AcceleratorSpace(on).sample(np.random.default_rng(0), 40)
    needs = estimate_resources(columns, on, Implementation.RTL)
    cpp = estimate_resources(columns, on)
    for index, accelerator in enumerate(columns):
        blocks = engine_blocks(EngineShape(accelerator=accelerator, family=on.family))
        assert (needs.dsp[index], needs.bram_18k[index]) == (blocks.dsp, blocks.ramb18 + 2 * blocks.ramb36)
        alone = estimate_resources(accelerator, on, Implementation.RTL)
        assert all(getattr(alone, name) == getattr(needs, name)[index] for name in RESOURCES)
    assert not needs.uram.any()
    # Lanes share the products that scale what is added, and halves of a buffer are one memory.
    assert (needs.dsp <= cpp.dsp).all()
    assert needs.bram_18k.sum() < cpp.bram_18k.sum()


def test_what_fits_a_board_depends_on_the_implementation() -> None:
    board = load_board("pynq-z2")
    columns = AcceleratorSpace(board).sample(np.random.default_rng(1), 300)

    def fits(accelerator: Accelerator, implementation: Implementation) -> bool:
        try:
            check_fits(accelerator, board, implementation)
        except ResourceError:
            return False
        return True

    found = [tuple(fits(accelerator, kind) for kind in Implementation) for accelerator in columns]
    assert found.count((False, True)) > 3
