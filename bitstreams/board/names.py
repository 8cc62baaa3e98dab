"""The names that boards call themselves by."""

import re

from hw_templates.board import Board, board_names, load_board
from hw_templates.foundation.errors import BoardError

UNKNOWN = "unknown"
"""What PYNQ calls a board of which it knows no name."""

NAME_FILE = "/proc/device-tree/chosen/pynq_board"
"""File with PYNQ's name of the board, which images write from the name of the board's folder.

Sources: Xilinx/PYNQ, sdbuild/Makefile and device-tree.bbappend. Pynq-Z2 and ZCU104 are folders there;
Avnet/Ultra96-PYNQ has one folder, Ultra96, for both versions of that board. Xilinx/Kria-PYNQ, which runs on Ubuntu,
leaves the device tree alone and exports ``BOARD=KV260`` in /etc/profile.d/pynq_venv.sh.
"""

KERNEL_FILE = "/proc/version"
ARCHITECTURES = {"zynq-7000": "armv7l", "zynq-ultrascale+": "aarch64"}
"""Board family to what its kernel calls the processor."""


def check_own_name(board: Board, name: str, where: str) -> None:
    """Make sure that a board is the one that it is taken for; one that does not say its name passes.

    Args:
        board: what it is taken for.
        name: what it calls itself; may be empty.
        where: how it was reached, for the message.

    Raises:
        BoardError: it calls itself otherwise.
    """
    if _plain(name) not in ("", UNKNOWN, _plain(own_name(board))):
        known = next((other for other in board_names() if _plain(own_name(load_board(other))) == _plain(name)), name)
        raise BoardError(f"board: {where} is {known}, not {board.name}; name the board that is there")


def own_name(board: Board) -> str:
    """Return what a board calls itself."""
    return board.pynq_name or board.name


def _plain(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())
