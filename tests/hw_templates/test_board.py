import math
from dataclasses import replace
from importlib.resources import files

import pytest
from support.mutations import drive, mutated_text

from hw_templates.board import board_names, load_board, parse_board
from hw_templates.foundation.errors import InvalidValueError, StorageError


def test_the_four_boards_hold_what_their_data_sheets_say() -> None:
    # (DSP, BRAM36, URAM, LUT): AMD DS190 (xc7z020), DS891 (ZU3EG, ZU7EV), DS987 (K26).
    published = {
        "pynq-z2": (220, 140, 0, 53200),
        "ultra96-v2": (360, 216, 0, 70560),
        "zcu104": (1728, 312, 96, 230400),
        "kv260": (1248, 144, 64, 117120),
    }
    assert set(board_names()) == set(published)
    for name, (dsp, bram_36k, uram, lut) in published.items():
        board = load_board(name)
        assert (board.dsp, board.bram_18k, board.uram, board.lut) == (dsp, 2 * bram_36k, uram, lut)
        assert board.ff == 2 * board.lut


def test_an_unknown_board_lists_the_known_ones() -> None:
    with pytest.raises(InvalidValueError, match="one of kv260, pynq-z2, ultra96-v2, zcu104, got 'zedboard'"):
        load_board("zedboard")


def test_bad_figures_are_named() -> None:
    board = load_board("pynq-z2")
    with pytest.raises(InvalidValueError, match=r"board\.ddr\.peak_gb_s: must be positive and finite, got -1"):
        replace(board.ddr, peak_gb_s=-1)
    with pytest.raises(InvalidValueError, match=r"board\.ddr\.plan_gb_s"):
        replace(board.ddr, plan_gb_s=3.0)
    with pytest.raises(InvalidValueError, match=r"board\.dsp"):
        replace(board, dsp=0)
    with pytest.raises(InvalidValueError, match=r"board\.uram"):
        replace(board, uram=-1)
    with pytest.raises(InvalidValueError, match=r"board\.clocks_mhz"):
        replace(board, clocks_mhz=(150, 100))
    with pytest.raises(InvalidValueError, match=r"board\.family"):
        replace(board, family="versal")
    for ports in (("HP0", "HP1", "HP2"), ("HP0", "HP0", "HP1", "HP2"), ("HP0", "HP1", "HP2", "HPC0")):
        with pytest.raises(InvalidValueError, match=r"board\.ps\.memory_ports"):
            replace(board, ps=replace(board.ps, memory_ports=ports))


def test_presets_say_what_the_boards_memory_is() -> None:
    presets = {name: load_board(name).ps.preset for name in board_names()}
    assert presets["pynq-z2"]["PCW_UIPARAM_DDR_BUS_WIDTH"] == "16 Bit"
    assert {name: presets[name]["PSU__DDRC__MEMORY_TYPE"] for name in ("ultra96-v2", "zcu104", "kv260")} == {
        "ultra96-v2": "LPDDR 4",
        "zcu104": "DDR 4",
        "kv260": "DDR 4",
    }
    # The peak bandwidth of a board file is that of the memory its processor is set up for: two transfers a clock.
    for name, preset in presets.items():
        if name == "pynq-z2":
            clock, width = preset["PCW_UIPARAM_DDR_FREQ_MHZ"], preset["PCW_UIPARAM_DDR_BUS_WIDTH"]
        else:
            clock, width = preset["PSU__CRF_APB__DDR_CTRL__FREQMHZ"], preset["PSU__DDRC__BUS_WIDTH"]
        peak_gb_s = 2 * float(clock) * int(width.split()[0]) / 8 / 1000
        assert load_board(name).ddr.peak_gb_s == pytest.approx(peak_gb_s, rel=0.01)


def text_of(name: str) -> str:
    return (files("hw_templates") / "boards" / f"{name}.toml").read_text()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("dsp = 220", 'dsp = "220"', r"pynq-z2\.toml: board\.dsp: must be a whole number, got '220'"),
        ("dsp = 220", "dps = 220", r"pynq-z2\.toml: board\.dsp: must be given"),
        ("peak_gb_s = 2.1", "peak_gb_s = nan", r"board\.ddr\.peak_gb_s: must be positive and finite, got nan"),
        ("idle_power_w = 1.5", "idle_power_w = inf", r"board\.idle_power_w: must be positive and finite, got inf"),
        ('"IO PLL" = 1000.0', '"IO PLL" = inf', r"board\.ps\.plls_mhz\.IO PLL: must be positive and finite, got inf"),
        ("[75, 100, 125, 150]", "[0, 100]", r"board\.clocks_mhz: must be positive, got \(0, 100\)"),
        ("plls_mhz", "plls", r"board\.ps\.plls_mhz: must be given, got None"),
        ("[ddr]", "[ddr", r"pynq-z2\.toml: is corrupt \(TOMLDecodeError: "),
    ],
)
def test_a_board_s_file_that_breaks_a_rule_is_named_with_the_field(old: str, new: str, message: str) -> None:
    with pytest.raises(StorageError, match=message):
        parse_board("pynq-z2", text_of("pynq-z2").replace(old, new, 1).encode())


def test_any_board_s_file_is_read_or_refused_in_one_line() -> None:
    # The parameters of the processor are text that is passed on.
    head, preset, rest = text_of("pynq-z2").partition("[ps.preset]\n")
    sample = head + preset + "\n".join(rest.splitlines()[:3])

    def read(content: bytes) -> None:
        board = parse_board("pynq-z2", content)
        assert all(0 < figure < math.inf for figure in (board.dsp, board.ddr.plan_gb_s, board.idle_power_w))

    accepted, refused = drive(read, mutated_text(sample, 2_500))
    assert accepted > 50
    assert refused > 1_000


@pytest.mark.parametrize(
    ("name", "clock_mhz", "expected"),
    [
        # What the vendor's tool reached in the boards' own designs, to the tolerance of their reference clocks.
        ("pynq-z2", 100, ("IO PLL", 100.0)),
        ("pynq-z2", 150, ("DDR PLL", 150.0)),
        ("pynq-z2", 143, ("IO PLL", 142.857)),
        ("zcu104", 300, ("RPLL", 299.997)),
        ("zcu104", 250, ("RPLL", 249.997)),
        ("kv260", 200, ("IOPLL", 200.0)),
        ("ultra96-v2", 100, ("IOPLL", 99.9999)),
    ],
)
def test_the_clock_comes_from_the_pll_that_reaches_it_best(
    name: str, clock_mhz: int, expected: tuple[str, float]
) -> None:
    pll, reached_mhz = load_board(name).ps.fabric_clock(clock_mhz)
    assert (pll, reached_mhz) == (expected[0], pytest.approx(expected[1], rel=1e-4))
    assert reached_mhz <= clock_mhz
    with pytest.raises(InvalidValueError, match="clock_mhz: must be at least"):
        load_board(name).ps.fabric_clock(0.1)


@pytest.mark.parametrize("name", board_names())
def test_the_processor_reaches_every_clock_of_its_board(name: str) -> None:
    board = load_board(name)
    for clock_mhz in board.clocks_mhz:
        assert board.ps.fabric_clock(clock_mhz)[1] == pytest.approx(clock_mhz, rel=1e-3)
