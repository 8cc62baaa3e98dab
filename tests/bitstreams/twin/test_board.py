import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.boards.twins import bitstream, images_of, running, spoil_loaded
from support.small_disk import small_disk

from bitstreams.board.control import UnfinishedRunError
from bitstreams.board.remote_session import RemoteSession
from bitstreams.twin import board as twin_board
from bitstreams.twin.board import TwinBoard
from bitstreams.twin.fabric import build_fabric
from bitstreams.twin.server import TwinServer
from cost_models.coefficients import load_coefficients
from hw_templates.conv_engine import registers
from hw_templates.conv_engine.program import read_program
from hw_templates.foundation.errors import BoardError, StorageError, ToolError

OPEN_FILES = Path("/proc/self/fd")


@pytest.fixture
def board(zynq_project: Path) -> Iterator[TwinBoard]:
    made = TwinBoard(zynq_project, load_coefficients())
    yield made
    made.close()


def test_memory_is_seen_by_the_fabric_after_a_flush_and_by_the_processor_after_an_invalidate(board: TwinBoard) -> None:
    memory = board.memory
    address = memory.allocate(5000)
    memory.write(address, 4000, b"new")
    assert memory.physical(address + 4000, 3).tobytes() == bytes(3)
    memory.flush(address)
    assert memory.physical(address + 4000, 3).tobytes() == b"new"
    memory.physical(address, 6)[:] = list(b"result")
    assert memory.read(address)[:6] == bytes(6)
    memory.write(address, 100, b"lost")
    memory.invalidate(address)
    assert memory.read(address)[:6] == b"result"
    assert memory.read(address)[100:104] == bytes(4)


def test_a_flush_writes_nothing_but_what_was_written(board: TwinBoard) -> None:
    address = board.memory.allocate(100)
    board.memory.physical(address + 50, 13)[:] = list(b"by the engine")
    board.memory.write(address, 0, b"x")
    board.memory.flush(address)
    assert board.memory.physical(address + 50, 13).tobytes() == b"by the engine"


def test_memory_is_given_out_once_and_again_when_it_was_given_back(board: TwinBoard) -> None:
    first, second = board.memory.allocate(5000), board.memory.allocate(1)
    assert second >= first + 5000
    board.memory.free(first)
    assert board.memory.allocate(8192) == first
    with pytest.raises(KeyError):
        board.memory.free(first + 1)
    with pytest.raises(BoardError, match="memory: no"):
        board.memory.allocate(1 << 28)


def test_memory_beside_a_buffer_is_nobodys(board: TwinBoard) -> None:
    first, second = board.memory.allocate(4096), board.memory.allocate(4096)
    assert second >= first + 2 * 4096
    for address in (first - 1, first + 4096, second - 1):
        with pytest.raises(BoardError, match=f"0x{address:08X}: 1 bytes from there on lie in no allocated buffer"):
            board.memory.physical(address, 1)
    board.memory.free(first)
    with pytest.raises(BoardError, match="in no allocated buffer"):
        board.memory.physical(first, 1)


def test_what_is_written_piece_by_piece_is_flushed_with_nothing_else(board: TwinBoard) -> None:
    address = board.memory.allocate(10_000)
    for offset in [*range(0, 5000), *range(0, 5000)]:
        board.memory.write(address, offset, b"x")
    board.memory.write(address, 7000, b"y")
    assert np.flatnonzero(board.memory._buffers[address].dirty).tolist() == [*range(5000), 7000]
    board.memory.write(address, 4000, b"z" * 4000)
    assert np.flatnonzero(board.memory._buffers[address].dirty).tolist() == [*range(8000)]
    board.memory.flush(address)
    assert not board.memory._buffers[address].dirty.any()
    assert board.memory.physical(address, 8001).tobytes() == b"x" * 4000 + b"z" * 4000 + b"\0"


ON_A_SMALL_DISK = """
import sys
from pathlib import Path
from bitstreams.twin.board import TwinBoard
from cost_models.coefficients import load_coefficients
from hw_templates.foundation.errors import StorageError
board = TwinBoard(Path(sys.argv[1]), load_coefficients())
small = board.memory.allocate(100_000)
board.memory.write(small, 0, b"x" * 100_000)
board.memory.flush(small)
try:
    board.memory.allocate(8_000_000)
except StorageError as error:
    print(error)
board.memory.free(small)
print(board.memory.allocate(100_000) == small)
"""


def test_a_full_folder_for_temporary_files_is_one_line_that_names_it(zynq_project: Path, tmp_path: Path) -> None:
    build_fabric(zynq_project)
    with small_disk(tmp_path / "disk", kib=1000) as disk:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "TMPDIR": str(disk)}
        done = subprocess.run(
            [sys.executable, "-c", ON_A_SMALL_DISK, str(zynq_project)], env=environment,
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
    reason = "has no room for 8,000,000 bytes of the twin's memory (No space left on device); free it, or set TMPDIR"
    assert done.stdout.splitlines() == [f"{disk}: {reason}", "True"], (done.returncode, done.stderr)


def test_files_fill_the_board_and_not_its_host(board: TwinBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twin_board, "_FILES_BYTES", 2000)
    for _ in range(3):
        board.write_file("/lib/firmware/a.bin", bytes(1000))
    with pytest.raises(BoardError, match=r"/lib/firmware/b\.bin: no room left, all files may have 2,000 bytes"):
        board.write_file("/lib/firmware/b.bin", bytes(1000))


def test_only_bitstreams_can_be_written(board: TwinBoard) -> None:
    with pytest.raises(PermissionError):
        board.write_file("/etc/passwd", b"")
    assert "/etc/passwd" not in board.files


def test_done_is_read_once(board: TwinBoard, tmp_path: Path) -> None:
    with_server = TwinServer(board, 0)
    session = RemoteSession("127.0.0.1", with_server.port)
    session.load(bitstream(board, tmp_path))
    control = 0x43C00000
    assert board.read(control) == 4
    session.start(control)  # no layers: an error at once
    assert session.wait(control, 5) is not None
    assert board.engine.read(registers.ENGINE["status"].offset) == 5
    assert board.read(control) == 4
    session.close()
    with_server._server.stop(0).wait()


def test_a_folder_that_is_no_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"project\.json: is missing; emit the project again"):
        TwinBoard(tmp_path, load_coefficients())


def test_a_board_that_cannot_be_made_leaves_no_file_open(
    zynq_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    before = set(OPEN_FILES.iterdir())
    with pytest.raises(ToolError, match=r"g\+\+"):
        TwinBoard(zynq_project, load_coefficients())
    assert set(OPEN_FILES.iterdir()) == before


def test_no_thread_is_left_behind(zynq_project: Path) -> None:
    # Threads of servers that other tests stopped may end meanwhile.
    before = set(threading.enumerate())
    made = TwinBoard(zynq_project, load_coefficients())
    made.engine.reset()
    made.close()
    assert set(threading.enumerate()) <= before


def test_a_program_takes_what_the_price_of_its_network_says(
    zynq_twin: TwinServer, zynq_project: Path, tmp_path: Path
) -> None:
    predicted = json.loads((zynq_project / "project.json").read_text())["predicted"]["latency_ms"]
    with running(zynq_twin, tmp_path) as engine:
        engine.load_program(read_program(zynq_project))
        measured = engine.measure(images_of(zynq_project)[0], 1)
    # The closed form and the simulator differ by a few percent at most.
    assert measured.ms[0] == pytest.approx(predicted, rel=0.1)


def test_a_program_that_no_model_knows_takes_as_many_cycles_as_iterations(
    zynq_twin: TwinServer, zynq_project: Path, tmp_path: Path
) -> None:
    with running(zynq_twin, tmp_path) as engine:
        engine.load_program(read_program(zynq_project))
        image = images_of(zynq_project)[0]
        known = engine.measure(image, 1)
        # The engine follows other fields, which say what this one does.
        spoil_loaded(engine, tile_out_channels=1)
        unknown = engine.measure(image, 1)
    assert unknown.first_pixel == known.first_pixel
    assert known.cycles is not None
    assert unknown.cycles is not None
    # One stage after the other takes longer than all at once.
    assert known.cycles / 2 < unknown.cycles < 8 * known.cycles
    assert unknown.cycles != known.cycles


def test_a_limit_of_cycles_ends_a_run_in_the_layer_in_which_it_passes(
    zynq_twin: TwinServer, zynq_project: Path, tmp_path: Path
) -> None:
    program = read_program(zynq_project)
    with running(zynq_twin, tmp_path) as engine:
        engine.load_program(program)
        measured = engine.measure(images_of(zynq_project)[0], 1)
        assert measured.cycles is not None
        layers = measured.counters["total_cycles"].cumsum() + measured.cycles - measured.counters["total_cycles"].sum()
        for limit, layer in ((int(layers[4]) + 100, 5), (measured.cycles - 1, program.layer_count - 1)):
            loaded = engine._program()
            start = loaded.layout.table_word(0, loaded.arena.address, loaded.results.address)
            engine._control.start(start, program.layer_count, 1, limit)
            with pytest.raises(
                UnfinishedRunError, match=f"descriptor {layer} .* error 7, the limit of cycles, {limit:,};"
            ):
                engine._control.wait(20)
            assert engine._control.cycles() == limit
        engine._control.start(start, program.layer_count, 1, measured.cycles)
        assert engine._control.wait(20) is not None
        assert engine._control.cycles() == measured.cycles
