from dataclasses import replace

import pytest

from bitstreams.board.processor import CLOCK_TREES, check_own_name, own_name, read_clock_mhz, set_clock_mhz
from hw_templates.board import board_names, load_board
from hw_templates.foundation.errors import BoardError


def test_every_board_is_recognised_by_what_it_calls_itself() -> None:
    called = {name: own_name(load_board(name)) for name in board_names()}
    assert called == {"pynq-z2": "Pynq-Z2", "ultra96-v2": "Ultra96", "zcu104": "ZCU104", "kv260": "KV260"}
    for name in board_names():
        for own in (called[name], "", "Unknown"):
            check_own_name(load_board(name), own, "host")


def test_a_board_of_the_users_own_is_recognised_by_its_name_or_by_what_its_file_says() -> None:
    own = replace(load_board("pynq-z2"), name="my-board", pynq_name="")
    check_own_name(own, "My Board", "host")
    with pytest.raises(BoardError, match="board: host is pynq-z2, not my-board; name the board that is there"):
        check_own_name(own, "Pynq-Z2", "host")
    check_own_name(replace(own, pynq_name="Pynq-Z2"), "Pynq-Z2", "host")


def test_another_board_is_named() -> None:
    with pytest.raises(BoardError, match="board: host is zcu104, not pynq-z2"):
        check_own_name(load_board("pynq-z2"), "ZCU104", "host")
    with pytest.raises(BoardError, match="board: host is RFSoC, not pynq-z2"):
        check_own_name(load_board("pynq-z2"), "RFSoC", "host")


class Processor:
    """Registers as a boot loader leaves them: PLLs of 1000, 1050 and 1300 MHz, or of 1000 and 1500."""

    def __init__(self, family: str) -> None:
        zynq = {0xF8000108: 20 << 12, 0xF8000104: 21 << 12, 0xF8000100: 26 << 12, 0xF8000170: 0x00100A00}
        ultrascale = {0xFF5E0020: 60 << 8 | 1 << 16, 0xFF5E0030: 90 << 8 | 1 << 16, 0xFF5E00C0: 0x01010F00}
        self.values = zynq if family == "zynq-7000" else ultrascale
        self.stuck = False

    def read(self, address: int) -> int:
        return self.values[address]

    def write(self, address: int, value: int) -> None:
        if not self.stuck:
            self.values[address] = value


@pytest.mark.parametrize("name", ["pynq-z2", "zcu104"])
@pytest.mark.parametrize("clock_mhz", [40, 100, 125, 150, 187, 200, 300])
def test_the_clock_is_the_nearest_from_below_and_no_worse_than_the_board_file_promises(
    name: str, clock_mhz: int
) -> None:
    board = load_board(name)
    processor = Processor(board.family)
    reached = set_clock_mhz(processor, board.family, clock_mhz)
    # A PLL more than the board file plans with may come nearer.
    assert board.ps.fabric_clock(clock_mhz)[1] * 0.999 <= reached <= clock_mhz * 1.0001
    assert read_clock_mhz(processor, board.family) == reached


def test_boot_settings_are_read() -> None:
    assert read_clock_mhz(Processor("zynq-7000"), "zynq-7000") == pytest.approx(100)
    assert read_clock_mhz(Processor("zynq-ultrascale+"), "zynq-ultrascale+") == pytest.approx(1000 / 15)


def test_a_clock_that_stays_too_high_and_registers_without_a_clock_are_refused() -> None:
    processor = Processor("zynq-7000")
    processor.stuck = True
    with pytest.raises(BoardError, match="asked for 50 MHz, the board reads back 100"):
        set_clock_mhz(processor, "zynq-7000", 50)
    processor.values[CLOCK_TREES["zynq-7000"].control] = 0
    with pytest.raises(BoardError, match="divides by zero"):
        read_clock_mhz(processor, "zynq-7000")
    with pytest.raises(BoardError, match=r"divided down to 0\.1 MHz"):
        set_clock_mhz(processor, "zynq-7000", 0.1)
