"""One emitted project, and fake vendor tools that build it."""

import shutil
from pathlib import Path

import pytest
from support.boards.emitted_projects import emit_random_project
from support.boards.fake_vendor import FakeVendor, use

from bitstreams.building.script import build_bitstream
from hw_templates.board import load_board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.json_records import read_json
from hw_templates.project.record import PROJECT_FILE, ProjectRecord

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


@pytest.fixture(scope="session")
def emitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project for zcu104; tests copy it first."""
    folder = tmp_path_factory.mktemp("emitted") / "project"
    emit_random_project(folder, ACCELERATOR, seed=0)
    return folder


@pytest.fixture(scope="session")
def rtl_emitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same project, but that the engine is to be the Verilog."""
    folder = tmp_path_factory.mktemp("rtl_emitted") / "project"
    emit_random_project(folder, ACCELERATOR, seed=0, implementation=Implementation.RTL)
    return folder


@pytest.fixture
def rtl_project(rtl_emitted: Path, tmp_path: Path) -> Path:
    """A project of the Verilog to build and to spoil."""
    return Path(shutil.copytree(rtl_emitted, tmp_path / "rtl/project"))


@pytest.fixture
def project(emitted: Path, tmp_path: Path) -> Path:
    """A project to build and to spoil."""
    return Path(shutil.copytree(emitted, tmp_path / "project"))


def installed(folder: Path, project: Path) -> FakeVendor:
    """Vivado 2023.2, and Vitis HLS where the project needs it, ready to build it."""
    record = read_json(project / PROJECT_FILE, ProjectRecord, "emit it again")
    tools = FakeVendor(folder)
    if record.implementation == Implementation.HLS:
        tools.install("vitis_hls", "2023.2")
    tools.install("vivado", "2023.2")
    tools.prepare(record.hardware_sha256, load_board("zcu104"), implementation=record.implementation)
    return tools


def _built(emitted: Path, folder: Path, cosim: bool) -> Path:
    project = Path(shutil.copytree(emitted, folder / "project"))
    with pytest.MonkeyPatch.context() as patch:
        use(patch, installed(folder / "vendor", project))
        return build_bitstream(project, cosim, lambda _: None)


@pytest.fixture(scope="session")
def archive(emitted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a build with all reports left."""
    return _built(emitted, tmp_path_factory.mktemp("built"), cosim=True)


@pytest.fixture(scope="session")
def rtl_archive(rtl_emitted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a build of the Verilog left."""
    return _built(rtl_emitted, tmp_path_factory.mktemp("rtl_built"), cosim=False)


@pytest.fixture
def vendor(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeVendor:
    """Vitis HLS and Vivado 2023.2, alone on the PATH."""
    tools = installed(tmp_path / "vendor", project)
    use(monkeypatch, tools)
    return tools


@pytest.fixture
def rtl_vendor(rtl_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeVendor:
    """Vivado 2023.2, alone on the PATH, for the project of the Verilog."""
    tools = installed(tmp_path / "rtl_vendor", rtl_project)
    use(monkeypatch, tools)
    return tools
