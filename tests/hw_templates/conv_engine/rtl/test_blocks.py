"""Modules of the engine's Verilog, each beside the formulas of its test in C++."""

from pathlib import Path

import pytest
from support.verilog.simulated import build_block, run

HERE = Path(__file__).parent


def compared(folder: Path, top: str, parameters: dict[str, int], macros: dict[str, int | str]) -> int:
    """Return how many values the test of a module compared."""
    printed = run(build_block(folder, top, HERE / f"{top}.cpp", parameters, macros))
    return int(printed.split()[1])


@pytest.mark.parametrize(("bytes_", "burst"), [(4, 16), (8, 16), (16, 64)])
def test_the_read_engine_brings_every_word_in_order(tmp_path: Path, bytes_: int, burst: int) -> None:
    macros = {"WORD_BYTES": bytes_, "MAX_BURST": f"{burst}u"}
    assert compared(tmp_path, "read_engine", {"BYTES": bytes_, "MAXB": burst}, macros) > 500_000


@pytest.mark.parametrize(("bytes_", "burst", "fifo"), [(4, 16, 64), (8, 16, 64), (16, 64, 256)])
def test_the_write_engine_puts_every_word_in_its_place_and_none_outside(
    tmp_path: Path, bytes_: int, burst: int, fifo: int
) -> None:
    macros: dict[str, int | str] = {
        "WORD_BYTES": bytes_,
        "MAX_BURST": f"{burst}u",
        "STROBES": "SData" if bytes_ == 16 else "CData",
    }
    parameters = {"BYTES": bytes_, "MAXB": burst, "FIFO": fifo}
    assert compared(tmp_path, "write_engine", parameters, macros) > 500_000


@pytest.mark.parametrize(
    ("pixels", "kernel", "line_parts", "row_parts", "weight_parts"),
    [(4, 7, 1, 1, 8), (3, 11, 2, 3, 24), (1, 5, 3, 1, 12), (7, 3, 1, 2, 16)],
)
def test_the_window_reads_what_each_tap_needs(
    tmp_path: Path, pixels: int, kernel: int, line_parts: int, row_parts: int, weight_parts: int
) -> None:
    parts = {"LINE_PARTS": line_parts, "ROW_PARTS": row_parts, "WEIGHT_PARTS": weight_parts}
    widths = {"IA": 14, "WA": 14, "OA": 12, "DW": 3, "PW": 5, "RW": 3, "TW": (max(kernel, pixels) - 1).bit_length()}
    parameters = {"PIXELS": pixels, **parts, **widths}
    macros: dict[str, int | str] = {"PIXELS": pixels, "IA": 14, "MAX_KERNEL": kernel, **parts}
    assert compared(tmp_path, "window", parameters, macros) > 20_000


@pytest.mark.parametrize(("pixels", "words"), [(4, 1), (3, 2), (7, 4)])
def test_the_loader_of_maps_puts_every_word_in_its_bank(tmp_path: Path, pixels: int, words: int) -> None:
    sizes = {"PIXELS": pixels, "WORDS": words, "IA": 12}
    parameters = {**sizes, "DW": 3, "LW": (pixels - 1).bit_length()}
    assert compared(tmp_path, "ifmap_loader", parameters, {**sizes, "BYTES": 8}) > 10_000


@pytest.mark.parametrize(("banks", "words"), [(1, 1), (2, 1), (4, 2), (3, 2), (6, 4)])
def test_the_reader_of_the_map_memory_goes_round_banks_and_rings(tmp_path: Path, banks: int, words: int) -> None:
    sizes = {"BANKS": banks, "WORDS": words}
    parameters = {**sizes, "MA": 10, "BW": max(1, (banks - 1).bit_length())}
    assert compared(tmp_path, "map_reader", parameters, sizes) > 20_000


@pytest.mark.parametrize(("banks", "ins", "outs"), [(1, 1, 1), (2, 2, 1), (4, 1, 4), (3, 3, 2), (3, 2, 3)])
def test_the_map_memory_turns_lines_to_their_banks_and_back(tmp_path: Path, banks: int, ins: int, outs: int) -> None:
    sizes = {"BANKS": banks, "IN_WORDS": ins, "OUT_WORDS": outs, "DEPTH": 32, "BYTES": 4}
    assert compared(tmp_path, "map_memory", {**sizes, "MA": 6, "BW": max(1, (banks - 1).bit_length())}, sizes) > 100_000


@pytest.mark.parametrize(
    ("rows", "cols", "pixels", "pack", "chain", "field", "latency"),
    [(8, 8, 4, 2, 4, 17, 9), (12, 8, 3, 2, 4, 17, 9), (4, 12, 1, 1, 4, 17, 10), (8, 16, 2, 2, 8, 18, 13)],
)
def test_the_pe_array_adds_up_products_packed_or_not(
    tmp_path: Path, rows: int, cols: int, pixels: int, pack: int, chain: int, field: int, latency: int
) -> None:
    sizes = {"ROWS": rows, "COLS": cols, "PIXELS": pixels, "CHAIN": chain, "LATENCY": latency}
    assert compared(tmp_path, "pe_array", {**sizes, "PACK": pack, "FIELD": field}, {**sizes, "LANES": 4}) > 2_000


def test_the_requantiser_rounds_saturates_and_looks_up(tmp_path: Path) -> None:
    assert compared(tmp_path, "requant", {}, {}) > 200_000
