"""One emitted project, and fake vendor tools that build it."""

import shutil
from pathlib import Path

import pytest
from support.boards.emitted_projects import emit_random_project
from support.boards.fake_vendor import FakeVendor, use

from bitstreams.building.script import build_bitstream
from hw_templates.board import load_board
from hw_templates.conv_engine.accelerator import Accelerator

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
    depthwise_lanes=8,
)


@pytest.fixture(scope="session")
def emitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project for zcu104; tests copy it first."""
    folder = tmp_path_factory.mktemp("emitted") / "project"
    emit_random_project(folder, ACCELERATOR, seed=0)
    return folder


@pytest.fixture
def project(emitted: Path, tmp_path: Path) -> Path:
    """A project to build and to spoil."""
    return Path(shutil.copytree(emitted, tmp_path / "project"))


def installed(folder: Path, project: Path) -> FakeVendor:
    """Vitis HLS and Vivado 2023.2, ready to build the project."""
    tools = FakeVendor(folder)
    tools.install("vitis_hls", "2023.2")
    tools.install("vivado", "2023.2")
    tools.prepare((project / "hardware.sha256").read_text().strip(), load_board("zcu104"))
    return tools


@pytest.fixture(scope="session")
def archive(emitted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a build with all reports left."""
    folder = tmp_path_factory.mktemp("built")
    project = Path(shutil.copytree(emitted, folder / "project"))
    with pytest.MonkeyPatch.context() as patch:
        use(patch, installed(folder / "vendor", project))
        return build_bitstream(project, True, lambda _: None)


@pytest.fixture
def vendor(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeVendor:
    """Vitis HLS and Vivado 2023.2, alone on the PATH."""
    tools = installed(tmp_path / "vendor", project)
    use(monkeypatch, tools)
    return tools
