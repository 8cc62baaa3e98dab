import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from twins import bitstream

from bitstreams.remote_session import RemoteSession
from bitstreams.twin import TwinServer
from bitstreams.twin_board import TwinBoard
from cost_models.coefficients import load_coefficients
from hw_templates.errors import BoardError, StorageError


@pytest.fixture
def board(zynq_project: Path) -> Iterator[TwinBoard]:
    made = TwinBoard(zynq_project, load_coefficients())
    yield made
    made.close()


def test_memory_is_seen_by_the_fabric_after_a_flush_and_by_the_processor_after_an_invalidate(board: TwinBoard) -> None:
    memory, fabric = board.memory, board._fabric
    address = memory.allocate(5000)
    memory.write(address, 4000, b"new")
    assert fabric.read(address + 4000, 3) == bytes(3)
    memory.flush(address)
    assert fabric.read(address + 4000, 3) == b"new"
    fabric.write(address, b"result")
    assert memory.read(address, 0, 6) == bytes(6)
    memory.write(address, 100, b"lost")
    memory.invalidate(address)
    assert memory.read(address, 0, 6) == b"result"
    assert memory.read(address, 100, 4) == bytes(4)


def test_a_flush_writes_nothing_but_what_was_written(board: TwinBoard) -> None:
    address = board.memory.allocate(100)
    board._fabric.write(address + 50, b"by the engine")
    board.memory.write(address, 0, b"x")
    board.memory.flush(address)
    assert board._fabric.read(address + 50, 13) == b"by the engine"


def test_memory_is_given_out_once_and_again_when_it_was_given_back(board: TwinBoard) -> None:
    first, second = board.memory.allocate(5000), board.memory.allocate(1)
    assert second >= first + 5000
    board.memory.free(first)
    assert board.memory.allocate(8192) == first
    with pytest.raises(KeyError):
        board.memory.free(first + 1)
    with pytest.raises(BoardError, match="memory: no"):
        board.memory.allocate(1 << 28)


def test_only_bitstreams_can_be_written(board: TwinBoard) -> None:
    with pytest.raises(PermissionError):
        board.write_file("/etc/passwd", b"")
    with pytest.raises(FileNotFoundError):
        board.read_file("/etc/passwd")


def test_done_is_read_once(board: TwinBoard, tmp_path: Path) -> None:
    with_server = TwinServer(board, 0)
    session = RemoteSession("127.0.0.1", with_server.port)
    session.load(bitstream(board, tmp_path))
    control = 0x43C00000
    assert board.read_register(control) == 4
    session.start(control)  # no layers: done at once
    assert session.wait(control, 5) is not None
    assert board.read_register(control) == 4
    session.close()
    with_server._server.stop(0).wait()


def test_a_folder_that_is_no_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="is no emitted project"):
        TwinBoard(tmp_path, load_coefficients())


def test_no_thread_is_left_behind(zynq_project: Path) -> None:
    before = threading.active_count()
    made = TwinBoard(zynq_project, load_coefficients())
    made._fabric.reset()
    made.close()
    assert threading.active_count() == before
