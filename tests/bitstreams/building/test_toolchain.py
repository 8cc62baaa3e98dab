import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from support.boards.emitted_projects import emit_random_project

from bitstreams.building.toolchain import build_csim, require_tools, run_csim
from hw_templates.conv_engine import isa
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.errors import ToolError, VerificationError

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


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    emit_random_project(folder, ACCELERATOR, seed=0)
    build_csim(folder)
    return folder


def corrupt(path: Path, position: int) -> bytes:
    """Change one byte of a file and return its old content."""
    content = path.read_bytes()
    path.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
    return content


def test_an_agreeing_project_passes_and_reports_what_was_counted(project: Path) -> None:
    result = run_csim(project)
    stated = np.frombuffer((project / "weights/trips.bin").read_bytes(), dtype=isa.TRIPS)
    assert result.images == 2
    assert [(t.compute_trips, t.ifmap_words, t.weight_words, t.ofmap_words) for t in result.layers] == stated.tolist()
    assert run_csim(project, images=1).images == 1


def test_one_wrong_logit_is_found(project: Path) -> None:
    golden = project / "weights/golden.bin"
    old = corrupt(golden, 0)
    with pytest.raises(VerificationError, match=r"logits of 1 of 2 .* trip counts of 0 of"):
        run_csim(project)
    golden.write_bytes(old)


def test_one_wrong_trip_count_is_found(project: Path) -> None:
    trips = project / "weights/trips.bin"
    old = corrupt(trips, 4)
    with pytest.raises(VerificationError, match=r"logits of 0 of 2 .* trip counts of 1 of"):
        run_csim(project)
    trips.write_bytes(old)


def test_wrong_weights_are_found(project: Path) -> None:
    arena = project / "weights/arena.bin"
    old = arena.read_bytes()
    arena.write_bytes(old[: len(old) // 2] + bytes(byte ^ 0x80 for byte in old[len(old) // 2 :]))
    with pytest.raises(VerificationError, match="logits of"):
        run_csim(project)
    arena.write_bytes(old)


@pytest.mark.parametrize("name", ["golden.bin", "images.bin", "trips.bin"])
def test_truncated_vectors_do_not_pass(project: Path, name: str) -> None:
    path = project / "weights" / name
    old = path.read_bytes()
    path.write_bytes(old[:-1] if name != "images.bin" else old[: len(old) // 2])
    with pytest.raises(ToolError, match=r"csim stopped with code 2: .*files do not belong together"):
        run_csim(project)
    path.write_bytes(old)


def test_a_program_for_another_engine_is_refused(project: Path) -> None:
    layout = project / "weights/program.txt"
    old = layout.read_text()
    layout.write_text(old.replace("axi_bytes 8", "axi_bytes 4"))
    with pytest.raises(ToolError, match="made for another engine"):
        run_csim(project)
    layout.write_text(old)


def test_code_that_does_not_compile_is_reported(project: Path) -> None:
    source = project / "src/load.cpp"
    old = source.read_text()
    source.write_text(old + "int unused(int x) { int y; return x; }\n")
    with pytest.raises(ToolError, match=r"make build/csim failed: .*error"):
        run_csim(project)
    source.write_text(old)


def test_a_missing_tool_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(os.environ, "PATH", str(tmp_path))
    with pytest.raises(ToolError, match=r"g\+\+: not found on the PATH; install it"):
        require_tools("g++")


def test_the_arena_of_co_simulation_is_as_large_as_the_ports_say(project: Path, tmp_path: Path) -> None:
    flags = ["-std=c++14", "-Iinclude", "-Wno-unknown-pragmas"]
    sources = sorted(str(path.relative_to(project)) for path in (project / "src").glob("*.cpp"))
    objects = [str(tmp_path / f"{Path(source).stem}.o") for source in sources]
    for source, compiled in zip(sources, objects, strict=True):
        subprocess.run(["g++", *flags, "-c", source, "-o", compiled], cwd=project, check=True)
    answers = {}
    for words in (1 << 20, 1):
        program = str(tmp_path / f"csim_{words}")
        define = f"-DARENA_LEAST_WORDS={words}"
        subprocess.run(["g++", *flags, define, "tb/csim.cpp", *objects, "-o", program], cwd=project, check=True)
        answers[words] = subprocess.run(
            [program, "weights", "1"], cwd=project, capture_output=True, text=True, check=False
        )
    assert answers[1 << 20].returncode == 0
    assert "1 of 1 images" in answers[1 << 20].stdout
    assert answers[1].returncode == 2
    assert "are more than co-simulation copies" in answers[1].stderr
    depths = re.findall(r"depth = \\?\s*(\d+)", (project / "src/conv_engine.cpp").read_text())
    assert depths == [str(1 << 20)] * 4
    assert "-DARENA_LEAST_WORDS=1048576" in (project / "tcl/csynth.tcl").read_text()
