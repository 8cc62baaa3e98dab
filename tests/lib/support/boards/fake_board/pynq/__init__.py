"""A stand-in for pynq on a board, backed by a twin's board: CODESIGN_TWIN names the project.

With CODESIGN_TWIN_UNNAMED its device tree says no name, as where PYNQ was installed on another Linux.
"""

import os
from pathlib import Path

import numpy as np

from bitstreams.board.processor import NAME_FILE
from bitstreams.twin.board import FIRMWARE, FPGA_MANAGER, TwinBoard
from cost_models.coefficients import load_coefficients

__version__ = "3.0.1"
_board = TwinBoard(Path(os.environ["CODESIGN_TWIN"]), load_coefficients())
_read_bytes = Path.read_bytes
if "CODESIGN_TWIN_UNNAMED" in os.environ:
    del _board.files[NAME_FILE]


def _board_file(path: Path) -> bytes:
    """Files of the board where it has them, so that the runner reads those."""
    return _board.files[str(path)] if str(path) in _board.files else _read_bytes(path)


Path.read_bytes = _board_file  # type: ignore[assignment, method-assign]


class Overlay:
    def __init__(self, path: str) -> None:
        content = _read_bytes(Path(path))
        words = np.frombuffer(content[len(content) % 4 :], ">u4").astype("<u4")
        name = Path(path).stem + ".bin"
        _board.write_file(FIRMWARE + name, words.tobytes())
        _board.write_file(f"{FPGA_MANAGER}firmware", name.encode())


class MMIO:
    def __init__(self, base: int, length: int, device: None) -> None:
        self._base = base

    def read(self, offset: int) -> int:
        return _board.read(self._base + offset)

    def write(self, offset: int, value: int) -> None:
        _board.write(self._base + offset, value)


class _Buffer:
    def __init__(self, address: int, start: int, size: int) -> None:
        self.physical_address, self._start, self.nbytes = address, start, size

    def __getitem__(self, part: slice) -> "_Buffer":
        return _Buffer(self.physical_address, part.start, part.stop - part.start)

    def __setitem__(self, part: slice, content: object) -> None:
        value = bytes(self.nbytes) if content == 0 else bytes(content)  # type: ignore[call-overload]
        _board.memory.write(self.physical_address, self._start, value)

    def flush(self) -> None:
        _board.memory.flush(self.physical_address)

    def invalidate(self) -> None:
        _board.memory.invalidate(self.physical_address)

    def tobytes(self) -> bytes:
        return _board.memory.read(self.physical_address)[self._start : self._start + self.nbytes]

    def freebuffer(self) -> None:
        _board.memory.free(self.physical_address)


def allocate(shape: tuple[int], dtype: str, target: None) -> _Buffer:
    return _Buffer(_board.memory.allocate(shape[0]), 0, shape[0])


class _Rail:
    class power:  # noqa: N801
        value = 3.5


def get_rails() -> dict[str, type]:
    return {"12V": _Rail, "unmeasured": type("Rail", (), {})}
