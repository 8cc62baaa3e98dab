"""What boards call themselves, beside the names that they have here."""

import re

from hw_templates.board import Board
from hw_templates.foundation.errors import BoardError

OWN_NAMES = {
    "pynq-z2": "Pynq-Z2",
    "ultra96-v2": "Ultra96",
    "zcu104": "ZCU104",
    "kv260": "KV260",
}
"""Board name to what PYNQ calls the board.

Images write the name of the board's folder into ``/proc/device-tree/chosen/pynq_board`` (Xilinx/PYNQ, sdbuild/Makefile
and device-tree.bbappend). Pynq-Z2 and ZCU104 are folders there; Avnet/Ultra96-PYNQ has one folder, Ultra96, for both
versions of that board. Xilinx/Kria-PYNQ, which runs on Ubuntu, leaves the device tree alone and exports ``BOARD=KV260``
in /etc/profile.d/pynq_venv.sh.
"""

UNKNOWN = "unknown"
"""What PYNQ calls a board of which it knows no name."""

NAME_FILE = "/proc/device-tree/chosen/pynq_board"
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
    if _plain(name) not in ("", UNKNOWN, _plain(OWN_NAMES.get(board.name, board.name))):
        known = next((own for own, called in OWN_NAMES.items() if _plain(called) == _plain(name)), name)
        raise BoardError(f"board: {where} is {known}, not {board.name}; name the board that is there")


def _plain(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())
