import re
from dataclasses import replace
from pathlib import Path

import pytest

from hw_templates.board import load_board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.project.render import hardware_sha256, render

ACCELERATOR = Accelerator(
    pe_rows=16,
    pe_cols=8,
    pe_pixels=3,
    pack=2,
    ifmap_kib=16,
    weight_kib=8,
    ofmap_kib=4,
    axi_bits=64,
    clock_mhz=125,
)
BOARD = load_board("pynq-z2")


def write(files: dict[str, str], folder: Path) -> None:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def test_rendering_is_deterministic_and_names_no_place_or_time() -> None:
    files = render(ACCELERATOR, BOARD)
    assert files == render(ACCELERATOR, BOARD)
    for path, text in files.items():
        assert not path.startswith("/")
        assert "{{ " not in text, path
        assert not re.search(r"/(home|root|tmp|work|usr)/|20\d\d-\d\d-\d\d", text), path


def test_only_parameters_differ_between_accelerators() -> None:
    mine = render(ACCELERATOR, BOARD)
    other = render(
        Accelerator(
            pe_rows=8,
            pe_cols=8,
            pe_pixels=1,
            pack=1,
            ifmap_kib=8,
            weight_kib=8,
            ofmap_kib=8,
            axi_bits=32,
            clock_mhz=100,
        ),
        BOARD,
    )
    parameters = {"tcl/hardware.tcl", "tcl/hls.cfg", "rtl/engine_id.v"}
    parameters |= {"rtl/engine_config.vh", "rtl/engine_ranges.vh", "rtl/engine_axi.v", "tb/engine_sizes.h"}
    parameters |= {"hls/engine_config.h", "hls/descriptor.cpp"}
    digest = {"rtl/digest.v", "hardware.sha256"}
    assert {path for path in mine if mine[path] != other[path]} == parameters | digest
    assert "constexpr int PIXELS = 3;" in mine["hls/engine_config.h"]
    assert "set clock_mhz 125\n" in mine["tcl/hardware.tcl"]
    assert "set part xc7z020clg400-1\n" in mine["tcl/hardware.tcl"]
    assert "\nclock=8.000ns\nclock_uncertainty=27%\n" in mine["tcl/hls.cfg"]


@pytest.mark.parametrize("implementation", Implementation)
def test_the_digest_is_of_what_determines_the_hardware_and_of_nothing_else(implementation: Implementation) -> None:
    files = render(ACCELERATOR, BOARD, implementation=implementation)
    digest = files["hardware.sha256"].strip()
    assert hardware_sha256(files, implementation) == digest
    assert f"256'h{digest};" in files["rtl/digest.v"]
    folders = {Implementation.HLS: ("hls/", "tcl/"), Implementation.RTL: ("rtl/", "tcl/")}[implementation]
    for path in files:
        changed = hardware_sha256({**files, path: files[path] + " "}, implementation)
        determines = path.startswith(folders) or path in ("rtl/engine_id.v", "rtl/cycle_counter.v")
        assert (changed != digest) == (determines and path != "rtl/digest.v"), path


def test_hardware_that_differs_has_another_digest() -> None:
    digests = {
        render(accelerator, board, implementation=implementation)["hardware.sha256"]
        for accelerator in (ACCELERATOR, replace(ACCELERATOR, clock_mhz=100), replace(ACCELERATOR, pack=1))
        for board in (BOARD, load_board("zcu104"))
        for implementation in Implementation
    }
    assert len(digests) == 12


def test_projects_differ_only_in_what_builds_the_implementation() -> None:
    hls, rtl = (render(ACCELERATOR, BOARD, implementation=implementation) for implementation in Implementation)
    assert hls.keys() - rtl.keys() == {"tcl/csynth.tcl", "tcl/hls.cfg"}
    assert rtl.keys() <= hls.keys()
    differing = {path for path in rtl if hls[path] != rtl[path]}
    assert differing == {"tcl/engine.tcl", "build.sh", "rtl/engine_id.v", "rtl/digest.v", "hardware.sha256"}
    assert not re.search("hls", rtl["build.sh"] + rtl["tcl/engine.tcl"] + rtl["tcl/bitstream.tcl"], re.IGNORECASE)
