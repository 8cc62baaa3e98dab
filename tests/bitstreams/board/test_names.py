from dataclasses import replace

import pytest

from bitstreams.board.names import check_own_name, own_name
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
