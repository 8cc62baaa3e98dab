"""Vendor tools that are not there: scripts that run the emitted Tcl against the recorder, with plausible results."""

import os
import shutil
from pathlib import Path

import pytest
from support.boards.vendor_files import bit_file, handoff
from support.boards.vendor_tcl import RECORDER

from bitstreams.building.design import ENGINES
from hw_templates.board import Board
from hw_templates.conv_engine import registers
from hw_templates.conv_engine.implementation import Implementation

BANNERS = {
    "vitis_hls": "****** Vitis HLS - High-Level Synthesis from C, C++ and OpenCL v{} (64-bit)",
    "vitis-run": "****** vitis-run v{} (64-bit)",
    "v++": "****** v++ v{} (64-bit)",
    "vivado": "vivado v{} (64-bit)",
}

CSYNTH = """<profile>
<ReportVersion><Version>2023.2</Version></ReportVersion>
<UserAssignments><Part>xczu7ev-ffvc1156-2-e</Part><TargetClockPeriod>10.00</TargetClockPeriod></UserAssignments>
<PerformanceEstimates>
<SummaryOfTimingAnalysis><EstimatedClockPeriod>7.300</EstimatedClockPeriod></SummaryOfTimingAnalysis>
<SummaryOfOverallLatency><Worst-caseLatency>undef</Worst-caseLatency></SummaryOfOverallLatency>
</PerformanceEstimates>
<AreaEstimates><Resources><BRAM_18K>60</BRAM_18K><DSP>140</DSP><FF>20000</FF><LUT>30000</LUT></Resources></AreaEstimates>
</profile>
"""

UTILISATION = """
| CLB LUTs*         | {lut} |     0 |          0 |    230400 | 11.00 |
| CLB Registers     | 18000 |     0 |          0 |    460800 |  4.00 |
| Block RAM Tile    |  28.5 |     0 |          0 |       312 |  9.00 |
| URAM              |     0 |     0 |          0 |        96 |  0.00 |
| DSPs              |   135 |     0 |          0 |      1728 |  8.00 |
"""

COSIM = "|   RTL    |  Status  |  min  |  avg  |  max  |\n|   Verilog|      Pass|   9000|   9900|  10100|     NA|\n"

# The tool's part follows: what a run does after the version was asked for.
SCRIPT = """#!/bin/sh
case "$*" in -version|--version) printf '%s\\n' '{banner}'; exit 0 ;; esac
printf '%s\\n' "$(basename "$0")" >> "{log}"
{fault}
{work}
"""

RECORD_TCL = 'RECORD="{folder}/calls.jsonl" CONTENT="{folder}/content" exec tclsh "{recorder}" "$script"'

VPP = """mkdir -p build/hls/hls/syn/report build/hls/hls/impl/ip
cp "{folder}/content/csynth.xml" build/hls/hls/syn/report/
grep -q '^syn.top=conv_engine$' build/hls.cfg && grep -q "^syn.file=$(pwd)/hls/store.cpp$" build/hls.cfg || exit 1
touch build/hls/hls/impl/ip/component.xml"""


class FakeVendor:
    """A folder of tools to put on the PATH."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("tclsh") is None:
            pytest.skip("tclsh is not on the PATH (Debian: apt-get install tcl)")
        self.folder = folder
        (folder / "bin").mkdir(parents=True)
        (folder / "content").mkdir()
        (folder / "log").touch()

    @property
    def path(self) -> str:
        """For the PATH: these tools, and none that the machine may have elsewhere."""
        return f"{self.folder / 'bin'}:/usr/bin:/bin"

    @property
    def ran(self) -> list[str]:
        """Names of the tools that did work, in order."""
        return (self.folder / "log").read_text().split()

    def install(self, name: str, version: str, fault: str = "") -> None:
        """Put a tool in place; ``fault`` is what it does instead of its work, as shell."""
        script = {"vitis_hls": "script=$2", "vitis-run": "script=$4", "vivado": "for script; do :; done"}.get(name)
        work = VPP if script is None else f"{script}\n{RECORD_TCL}"
        text = SCRIPT.format(
            banner=BANNERS[name].format(version),
            log=self.folder / "log",
            fault=fault,
            work=work.format(folder=self.folder, recorder=RECORDER),
        )
        tool = self.folder / "bin" / name
        tool.write_text(text)
        tool.chmod(0o755)

    def remove(self, name: str) -> None:
        """Take a tool away."""
        (self.folder / "bin" / name).unlink()

    def prepare(
        self,
        digest: str,
        board: Board,
        clock_hz: int = 100_000_000,
        implementation: Implementation = Implementation.HLS,
    ) -> None:
        """What the tools will write for the hardware of that digest."""
        design, short = f"engine_{digest[:8]}", int(digest[:8], 16)
        addresses = registers.ADDRESS_MAPS[board.family]
        blocks = {
            ENGINES[implementation]: ("s_axi_control", addresses.engine),
            "engine_id": ("s_axi", addresses.identity),
        }
        pieces = board.part.split("-")
        device, package = pieces[:2] if board.family != "zynq-7000" else (pieces[0][2:7], pieces[0][7:])
        processor = "processing_system7" if board.family == "zynq-7000" else "zynq_ultra_ps_e"
        offsets = "".join(
            f"#define XCONV_ENGINE_CONTROL_ADDR_{name.upper()}_DATA {registers.ENGINE[held[0]].offset:#x}\n"
            for name, held in registers.HLS_ARGUMENTS.items()
        )
        contents: dict[str, bytes | str] = {
            "any.bit": bit_file(design, board.part, short),
            "any.hwh": handoff(design, device, package, processor, clock_hz, blocks),
            "any.xsa": b"PK",
            "csynth.xml": CSYNTH,
            "conv_engine_cosim.rpt": COSIM,
            "utilization.rpt": UTILISATION.format(lut=28000),
            "utilization_engine.rpt": UTILISATION.format(lut=25000),
            "xconv_engine_hw.h": offsets,
        }
        for name, content in contents.items():
            data = content if isinstance(content, bytes) else content.encode()
            (self.folder / "content" / name).write_bytes(data)


def use(monkeypatch: pytest.MonkeyPatch, vendor: FakeVendor) -> None:
    """Put only these tools, and the system's, on the PATH."""
    monkeypatch.setitem(os.environ, "PATH", vendor.path)
