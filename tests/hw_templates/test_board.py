import math
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import msgspec
import pytest
from support.mutations import drive, mutated_text

from hw_templates.board import BoardRecord, board_names, board_record, check_same_board, load_board
from hw_templates.foundation.errors import InvalidValueError, StorageError
from hw_templates.foundation.json_records import parse_json


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
    with pytest.raises(
        InvalidValueError, match="one of kv260, pynq-z2, ultra96-v2, zcu104, or a TOML file by its path, got 'zedboard'"
    ):
        load_board("zedboard")


def test_bad_figures_are_named() -> None:
    board = load_board("pynq-z2")
    with pytest.raises(InvalidValueError, match=r"board\.ddr\.peak_gb_s: must be positive and in GB/s, .*, got -1"):
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
        ("dsp = 220", 'dsp = "220"', r"my-board\.toml: board\.dsp: must be a whole number, got '220'"),
        ("dsp = 220", "dps = 220", r"my-board\.toml: board\.dps: must be given as dsp, got 220"),
        ("dsp = 220", "dsp = 220\ndps = 220", r"board\.dps: must be given as dsp, got 220"),
        ("dsp = 220", "dsp = 220\nvendor = 1", r"board\.vendor: must be a known field, got 1"),
        ("dsp = 220\n", "", r"board\.dsp: must be given, got None"),
        ('title = "', 'name = "own"\ntitle = "', r"board\.name: must be left out, as the file's name is the name"),
        ("peak_gb_s = 2.1", "peak_mb_s = 2100", r"board\.ddr\.peak_mb_s: must be given as peak_gb_s, got 2100"),
        (
            "peak_gb_s = 2.1",
            "peak_gb_s = 2100",
            r"ddr\.peak_gb_s: must be positive and in GB/s, at most 100, got 2100",
        ),
        (
            "idle_power_w = 1.5",
            "idle_power_w = 1500",
            r"idle_power_w: must be positive and in W, at most 200, got 1500",
        ),
        ("[75, 100, 125, 150]", "[150000]", r"board\.clocks_mhz: must be in MHz, at most 1050 as the fastest PLL"),
        ("axi_bits_max = 64", "axi_bits_max = 128", r"board\.axi_bits_max: must be one of \(32, 64\), got 128"),
        ('"IO PLL"', '"IOPLL"', r"board\.ps\.plls_mhz: must be of IO PLL and DDR PLL, got \['IOPLL', 'DDR PLL'\]"),
        ("TUL PYNQ-Z2", "TUL {PYNQ}", r"board\.title: must be one line without \{ \} and "),
        ('QSPI_IO = "MIO', 'QSPI_IO = "}; exec MIO', r"board\.ps\.preset\.PCW_QSPI_QSPI_IO: must be one line without"),
        ("PCW_QSPI_QSPI_IO", '"PCW QSPI"', r"board\.ps\.preset: must be names of letters, digits and '_', got 'PCW Q"),
        ('part = "xc7', 'part = "[exec ls]xc7', r"board\.part: must be letters, digits, '\.', '_' and '-', got"),
        (
            "peak_gb_s = 2.1",
            "peak_gb_s = nan",
            r"ddr\.peak_gb_s: must be positive and in GB/s, at most 100, got nan",
        ),
        (
            "idle_power_w = 1.5",
            "idle_power_w = inf",
            r"idle_power_w: must be positive and in W, at most 200, got inf",
        ),
        ('"IO PLL" = 1000.0', '"IO PLL" = inf', r"board\.ps\.plls_mhz\.IO PLL: must be a positive number, got inf"),
        ("[75, 100, 125, 150]", "[0, 100]", r"board\.clocks_mhz\[0\]: must be a positive whole number, got 0"),
        ("plls_mhz", "plls", r"board\.ps\.plls_mhz: must be given, got None"),
        ("[ddr]", "[ddr", r"my-board\.toml: is corrupt \(TOMLDecodeError: "),
    ],
)
def test_a_file_that_breaks_a_rule_is_named_with_the_field(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "my-board.toml"
    assert old in text_of("pynq-z2")
    path.write_text(text_of("pynq-z2").replace(old, new, 1))
    with pytest.raises(StorageError, match=message):
        load_board(path)


def test_any_file_is_read_or_refused_in_one_line(tmp_path: Path) -> None:
    # Most parameters of the processor are text that is passed on.
    head, preset, rest = text_of("pynq-z2").partition("[ps.preset]\n")
    sample = head + preset + "\n".join(rest.splitlines()[:3])
    path = tmp_path / "my-board.toml"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        board = load_board(path)
        assert all(0 < figure < math.inf for figure in (board.dsp, board.ddr.plan_gb_s, board.idle_power_w))

    accepted, refused = drive(read, mutated_text(sample, 2_500))
    assert accepted > 50
    assert refused > 1_000


def own_board(folder: Path, **values: str) -> Path:
    """Write a board of the user's own: a PYNQ-Z2 but for the text ``values``."""
    path = folder / "my-board.toml"
    path.write_text(text_of("pynq-z2").replace("TUL PYNQ-Z2", values.get("title", "My board")))
    return path


def test_a_board_is_read_from_a_file_of_the_users_own(tmp_path: Path) -> None:
    path = own_board(tmp_path)
    own = load_board(str(path))
    assert own == replace(load_board("pynq-z2"), name="my-board", title="My board")
    assert load_board(path) == load_board(own) == own
    path.unlink()
    with pytest.raises(StorageError, match=r"my-board\.toml: cannot be read"):
        load_board(path)


def test_a_file_called_as_a_shipped_board_is_refused(tmp_path: Path) -> None:
    path = own_board(tmp_path).rename(tmp_path / "zcu104.toml")
    with pytest.raises(StorageError, match=r"zcu104\.toml: board\.name: must be another file name, as zcu104 comes"):
        load_board(path)
    with pytest.raises(StorageError, match=r"board\.name: must be letters, digits, '\.', '_' and '-', got 'my board'"):
        load_board(path.rename(tmp_path / "my board.toml"))


def test_a_record_keeps_the_name_of_a_shipped_board_and_all_of_any_other(tmp_path: Path) -> None:
    shipped, own = load_board("pynq-z2"), load_board(own_board(tmp_path))
    assert board_record(shipped) == "pynq-z2"
    assert load_board(board_record(own)) == own
    text = msgspec.json.encode(board_record(own))
    assert parse_json(text, BoardRecord, "board") == own
    which = "which runs/x is for"
    check_same_board(own, board_record(own), "board", which)
    with pytest.raises(InvalidValueError, match="board: must be pynq-z2, which runs/x is for, got 'my-board'"):
        check_same_board(own, "pynq-z2", "board", which)
    changed = r"plan\.board\.dsp: must be 220 as before in my-board, which runs/x is for; restore its file, got 230"
    with pytest.raises(InvalidValueError, match=changed):
        check_same_board(replace(own, dsp=230), board_record(own), "plan.board", which)


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
