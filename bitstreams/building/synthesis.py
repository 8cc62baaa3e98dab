"""Cells of the engine's Verilog, counted by yosys.

yosys maps to the cells of AMD's devices, but neither places nor routes, so its counts say how sizes compare and
whether a module has grown, not what a vendor's report will say. Registers that Vivado would take into a memory or a DSP
slice may stand beside it here.
"""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bitstreams.building.toolchain import first_complaint, require_tools
from hw_templates.foundation.errors import ToolError

TRIED_YOSYS = "Yosys 0.23"
"""Debian 12's; another one may map otherwise than the counts that tests and checks expect."""

_LUTS = {f"LUT{inputs}": 1 for inputs in range(1, 7)}
_SHIFT_REGISTERS = {"SRL16E": 1, "SRLC32E": 1}
_MEMORY_LUTS = {
    **{f"RAM{depth}X1S": depth // 64 or 1 for depth in (16, 32, 64, 128, 256)},
    **{f"RAM{depth}X1D": 2 * (depth // 64 or 1) for depth in (32, 64, 128)},
    **{"RAM32M": 4, "RAM64M": 4},
}
"""LUTs that a memory of LUTs takes: 64 bits of one port each (AMD UG474, table 2-6)."""
_REGISTERS = dict.fromkeys(("FDRE", "FDSE", "FDCE", "FDPE"), 1)
_DSPS = {"DSP48E1": 1}
_HALF_BLOCKS, _BLOCKS = {"RAMB18E1": 1}, {"RAMB36E1": 1}
_NO_RESOURCE = {"INV", "CARRY4", "MUXF7", "MUXF8", "BUFG"}
"""Carry chains and wide multiplexers lie beside LUTs; an inverter is taken in by what it drives."""


@dataclass(frozen=True, kw_only=True)
class CellCounts:
    """Cells of a design on a 7-series device.

    Attributes:
        lut: LUTs of logic, without those of memories and shift registers.
        memory_lut: LUTs that are memory.
        shift_lut: LUTs that are shift registers.
        ff: flip-flops.
        dsp: DSP48E1 slices.
        ramb18, ramb36: block memories of 18 and of 36 Kib.
    """

    lut: int
    memory_lut: int
    shift_lut: int
    ff: int
    dsp: int
    ramb18: int
    ramb36: int


def yosys_version() -> str:
    """Return what yosys calls itself.

    Raises:
        ToolError: yosys is not on the PATH.
    """
    require_tools("yosys")
    return " ".join(subprocess.run(["yosys", "-V"], capture_output=True, text=True, check=True).stdout.split()[:2])


def count_cells(project: Mapping[str, str], top: str = "engine_top", parameters: Mapping[str, int] = {}) -> CellCounts:
    """Count the cells of a module of a project's Verilog, mapped to a 7-series device.

    Args:
        project: {path: text} as :func:`hw_templates.project.render.render` returns it; all files in ``rtl/`` are read.
        top: the module.
        parameters: values of its parameters; the others keep their defaults.

    Raises:
        ToolError: yosys is not on the PATH, refuses the Verilog, or makes a cell that is not known here.
    """
    counted = _mapped(project, top, parameters)
    kinds = (_LUTS, _SHIFT_REGISTERS, _MEMORY_LUTS, _REGISTERS, _DSPS, _HALF_BLOCKS, _BLOCKS)
    unknown = counted.keys() - _NO_RESOURCE - {name for kind in kinds for name in kind}
    if unknown:
        raise ToolError(f"{top}: yosys made cells of unknown kinds: {', '.join(sorted(unknown))}")
    return CellCounts(
        lut=_total(_LUTS, counted),
        memory_lut=_total(_MEMORY_LUTS, counted),
        shift_lut=_total(_SHIFT_REGISTERS, counted),
        ff=_total(_REGISTERS, counted),
        dsp=_total(_DSPS, counted),
        ramb18=_total(_HALF_BLOCKS, counted),
        ramb36=_total(_BLOCKS, counted),
    )


def count_blocks(project: Mapping[str, str], top: str = "engine_top") -> tuple[int, int, int]:
    """Return the DSP slices and the block memories of 18 and of 36 Kib of a module, in half the time of all cells.

    Args and errors are those of :func:`count_cells`, but that cells of unknown kinds are not looked at: yosys stops
    before it maps logic.
    """
    counted = _mapped(project, top, {}, "-run begin:map_ffram")
    dsp, ramb18, ramb36 = (_total(kind, counted) for kind in (_DSPS, _HALF_BLOCKS, _BLOCKS))
    return dsp, ramb18, ramb36


def _mapped(project: Mapping[str, str], top: str, parameters: Mapping[str, int], steps: str = "") -> dict[str, int]:
    """Return {kind of cell: number} of a module after some steps of yosys, or all."""
    chosen = " ".join(f"-chparam {name} {value}" for name, value in parameters.items())
    commands = [
        f"hierarchy -check -top {top} {chosen}",
        f"synth_xilinx -family xc7 -flatten -noiopad -noclkbuf -top {top} {steps}",
        "tee -o counted.json stat -json",
    ]
    cells: dict[str, int] = json.loads(_run_yosys(project, commands, "counted.json"))["design"]["num_cells_by_type"]
    return cells


def _total(kind: Mapping[str, int], counted: Mapping[str, int]) -> int:
    return sum(weight * counted.get(name, 0) for name, weight in kind.items())


def check_structure(project: Mapping[str, str], top: str = "engine_top") -> None:
    """Check that a project's Verilog is complete: no latch, no wire without a driver, with two or in a loop.

    Args:
        project: {path: text} as :func:`hw_templates.project.render.render` returns it; all files in ``rtl/`` are read.
        top: the module.

    Raises:
        ToolError: yosys is not on the PATH, or finds any of these.
    """
    latches = "t:$dlatch t:$adlatch t:$dlatchsr t:$sr"
    commands = [
        f"hierarchy -check -top {top}", "proc", "check -assert", "flatten", "opt_expr", "opt_clean", "check -assert",
        f"select -assert-none {latches}",
    ]  # fmt: skip
    _run_yosys(project, commands)


def _run_yosys(project: Mapping[str, str], commands: list[str], made: str | None = None) -> str:
    """Run yosys' commands on a project's Verilog, and return the text of the file ``made`` that they write."""
    require_tools("yosys")
    with TemporaryDirectory() as folder:
        sources = {Path(path).name: text for path, text in project.items() if path.startswith("rtl/")}
        for name, text in sources.items():
            (Path(folder) / name).write_text(text)
        modules = " ".join(sorted(name for name in sources if name.endswith(".v")))
        # Deferred, modules that the top does not use change nothing, not even the order in which cells are mapped.
        script = "; ".join([f"read_verilog -defer {modules}", *commands])
        done = subprocess.run(["yosys", "-q", "-p", script], cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ToolError(f"yosys: {first_complaint(done.stderr + done.stdout)}")
        return (Path(folder) / made).read_text() if made else done.stdout
