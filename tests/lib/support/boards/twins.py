"""Board twins of small random networks, and what drives them."""

import os
import re
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from support.boards.emitted_projects import emit_random_project
from support.verilog.engines import SMALLEST
from support.verilog.simulated import need_verilator

from bitstreams.board.driver import Engine
from bitstreams.board.hardware import Hardware
from bitstreams.board.remote_session import RemoteSession
from bitstreams.twin.bitstream import write_twin_bitstream
from bitstreams.twin.board import TwinBoard
from bitstreams.twin.server import TwinServer
from bitstreams.twin.simulated import build_verilog
from codesign.emit.network import IMAGES_FILE
from cost_models.coefficients import Coefficients, load_coefficients
from hw_templates.conv_engine import isa
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.conv_engine.program import FOLDER, Program, read_program
from hw_templates.foundation.json_records import read_json
from hw_templates.project.record import PROJECT_FILE, ProjectRecord

_ROOT = Path(__file__).parents[4]
ACCELERATOR = Accelerator(
    pe_rows=8,
    pe_cols=8,
    pe_pixels=2,
    pack=1,
    ifmap_kib=8,
    weight_kib=8,
    ofmap_kib=8,
    axi_bits=64,
    clock_mhz=100,
)
IMAGES = 6


def _project(factory: pytest.TempPathFactory, board_name: str) -> Path:
    pytest.importorskip("pynq", reason="pynq is not installed: pip install --editable '.[board]'")
    folder = factory.mktemp("twin") / board_name
    emit_random_project(folder, ACCELERATOR, seed=1, images=IMAGES, board_name=board_name)
    return folder


@pytest.fixture(scope="session")
def zynq_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project for pynq-z2; tests do not change it."""
    return _project(tmp_path_factory, "pynq-z2")


@pytest.fixture(scope="session")
def ultrascale_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project for zcu104; tests do not change it."""
    return _project(tmp_path_factory, "zcu104")


@pytest.fixture(scope="session")
def verilog_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project for pynq-z2 whose engine is Verilog, made into a twin's process; tests do not change it."""
    pytest.importorskip("pynq", reason="pynq is not installed: pip install --editable '.[board]'")
    need_verilator()
    folder = tmp_path_factory.mktemp("twin") / "verilog"
    accelerator, rtl = SMALLEST.accelerator, Implementation.RTL
    emit_random_project(folder, accelerator, seed=1, images=IMAGES, board_name="pynq-z2", implementation=rtl)
    build_verilog(folder)
    return folder


@contextmanager
def served(project: Path, coefficients: Coefficients | None = None) -> Iterator[TwinServer]:
    """A twin of the project, on a free port."""
    implementation = read_json(project / PROJECT_FILE, ProjectRecord, "emit it again").implementation
    coefficients = coefficients or load_coefficients(implementation=implementation)
    server = TwinServer(TwinBoard(project, coefficients), port=0)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(params=["pynq-z2", "zcu104"])
def twin(request: pytest.FixtureRequest) -> Iterator[TwinServer]:
    """A twin of either family."""
    fixture = {"pynq-z2": "zynq_project", "zcu104": "ultrascale_project"}[request.param]
    with served(request.getfixturevalue(fixture)) as server:
        yield server


@pytest.fixture
def zynq_twin(zynq_project: Path) -> Iterator[TwinServer]:
    """A twin of pynq-z2."""
    with served(zynq_project) as server:
        yield server


@contextmanager
def connected(server: TwinServer) -> Iterator[RemoteSession]:
    """A session with a twin."""
    session = RemoteSession("127.0.0.1", server.port)
    try:
        yield session
    finally:
        session.close()


def hardware(board: TwinBoard) -> Hardware:
    """What a twin is."""
    return Hardware(board.board, board.hardware_sha256, board.accelerator, board.implementation)


def bitstream(board: TwinBoard, folder: Path) -> Path:
    """The twin's own bitstream."""
    return write_twin_bitstream(
        folder, board.board, board.hardware_sha256, board.accelerator.clock_mhz, board.implementation
    )


@contextmanager
def running(server: TwinServer, folder: Path, timeout_s: float = 20.0) -> Iterator[Engine]:
    """An engine on a twin."""
    with connected(server) as session:
        yield Engine(session, hardware(server.board), bitstream(server.board, folder), timeout_s)


@contextmanager
def twin_process(project: Path, port: int = 0) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """``codesign twin`` as a user starts it, and its port."""
    command = [sys.executable, "-m", "codesign", "twin", "--project", str(project), "--port", str(port)]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        match = re.search(r"pynq-z2 with engine [0-9a-f]{12} on 127\.0\.0\.1:(\d+)", process.stdout.readline())
        assert match is not None
        yield process, int(match[1])
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def spoil_loaded(engine: Engine, **fields: int) -> None:
    """Change fields of the first descriptor where it lies in the board's memory, behind the back of every check.

    Places count words from the lower of the engine's buffers.
    """
    assert engine._loaded is not None
    layout, arena = engine._loaded.layout, engine._loaded.arena
    size = layout.program.layer_count * isa.DESCRIPTOR_BYTES
    tables = [layout.table_offsets[0] + copy * size for copy in range(layout.repeats)]
    for table in (*tables, layout.table_offsets[1]):
        for name, value in fields.items():
            arena.write(table + layout.field_offset(name), struct.pack("<i", value))


def spoil_endless(engine: Engine) -> None:
    """Let the first layer compute as many groups of channels as its fields can say."""
    fields = [f"{side}_groups_{part}" for side in ("row", "col") for part in ("full", "last")]
    spoil_loaded(engine, **dict.fromkeys(fields, 4095))


def images_of(project: Path) -> list[bytes]:
    """The test images as the engine reads them."""
    content = (project / IMAGES_FILE).read_bytes()
    size = len(content) // IMAGES
    return [content[start : start + size] for start in range(0, len(content), size)]


def golden_of(project: Path) -> list[bytes]:
    """The integer reference's logits."""
    golden = np.frombuffer((project / FOLDER / "golden.bin").read_bytes(), np.int8)
    return [row.tobytes() for row in golden.reshape(IMAGES, -1)]


def stated_of(project: Path) -> list[tuple[int, ...]]:
    """What the emitter states that the engine counts of each layer."""
    lines = [line.split() for line in (project / FOLDER / "stated.txt").read_text().splitlines()]
    return [tuple(map(int, line[1:5])) for line in lines if line[0] == "layer"]


@dataclass(frozen=True)
class Served:
    """A project on a twin that is served, with what it holds.

    Attributes:
        project: the folder.
        server: the twin.
        folder: for bitstreams.
    """

    project: Path
    server: TwinServer
    folder: Path

    @property
    def implementation(self) -> Implementation:
        """The engine's."""
        return self.server.board.implementation

    @property
    def program(self) -> Program:
        """The program."""
        return read_program(self.project)

    @property
    def images(self) -> list[bytes]:
        """The test images."""
        return images_of(self.project)

    @property
    def golden(self) -> list[bytes]:
        """Their logits."""
        return golden_of(self.project)


@pytest.fixture(params=Implementation)
def implementation(request: pytest.FixtureRequest) -> Implementation:
    """Each implementation; a test may name its own."""
    found: Implementation = request.param
    return found


@pytest.fixture(scope="session")
def served_cpp(zynq_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The project of the engine in C++ on a twin."""
    with served(zynq_project) as server:
        yield Served(zynq_project, server, tmp_path_factory.mktemp("cpp"))


@pytest.fixture(scope="session")
def served_verilog(verilog_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The project of the engine in Verilog on a twin."""
    with served(verilog_project) as server:
        yield Served(verilog_project, server, tmp_path_factory.mktemp("verilog"))


@pytest.fixture
def on_twin(implementation: Implementation, request: pytest.FixtureRequest) -> Served:
    """The project of an implementation on a twin."""
    fixture = {Implementation.HLS: "served_cpp", Implementation.RTL: "served_verilog"}[implementation]
    found: Served = request.getfixturevalue(fixture)
    return found


@pytest.fixture
def engine(on_twin: Served) -> Iterator[Engine]:
    """The engine of that project, without a program."""
    with running(on_twin.server, on_twin.folder) as opened:
        yield opened
