import pytest

from bitstreams.board.names import OWN_NAMES, check_own_name
from hw_templates.board import board_names, load_board
from hw_templates.foundation.errors import BoardError


def test_every_board_is_recognised_by_what_it_calls_itself() -> None:
    assert set(OWN_NAMES) == set(board_names())
    for name in board_names():
        check_own_name(load_board(name), OWN_NAMES[name], "host")
        for unnamed in ("", "Unknown"):
            check_own_name(load_board(name), unnamed, "host")


def test_another_board_is_named() -> None:
    with pytest.raises(BoardError, match="board: host is zcu104, not pynq-z2"):
        check_own_name(load_board("pynq-z2"), "ZCU104", "host")
    with pytest.raises(BoardError, match="board: host is RFSoC, not pynq-z2"):
        check_own_name(load_board("pynq-z2"), "RFSoC", "host")
