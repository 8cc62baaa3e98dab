"""An accelerator on a board as C++, Verilog, Tcl and scripts: the same text for the same values, always."""

import hashlib
import re
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from jinja2 import Environment, StrictUndefined

from hw_templates.board import FAMILIES, Board
from hw_templates.conv_engine import isa, registers
from hw_templates.conv_engine.accelerator import ROWS, Accelerator

_VERBATIM = {
    "conv_engine": ("Makefile", "dataflow.svg"),
    "conv_engine/include": ("types.h", "load.h", "compute.h", "store.h", "conv_engine.h"),
    "conv_engine/src": ("load.cpp", "compute.cpp", "store.cpp", "conv_engine.cpp"),
    "conv_engine/tb": ("csim.cpp",),
    "conv_engine/rtl": ("cycle_counter.v",),
    "project/tcl": ("csynth.tcl", "block_design.tcl", "bitstream.tcl"),
}
_RENDERED = {
    "include/config.h": "conv_engine/include/config.h.in",
    "rtl/engine_id.v": "conv_engine/rtl/engine_id.v.in",
    "tcl/hardware.tcl": "project/tcl/hardware.tcl.in",
    "tcl/hls.cfg": "project/tcl/hls.cfg.in",
}
_DETERMINES_HARDWARE = ("include/", "src/", "rtl/", "tcl/")
_HOLDS_DIGEST = "rtl/digest.v"

DIGEST_FILE = "hardware.sha256"
BUILD_SCRIPT = "build.sh"


def _template(path: str) -> Traversable:
    return files("hw_templates").joinpath(*path.split("/"))


def hardware_sha256(project: Mapping[str, str]) -> str:
    """Return the SHA-256 of every file of a project, {path: text}, that determines its hardware, in hexadecimal digits.

    These are the C++, Verilog and Tcl, which hold the accelerator's parameters, board, part and clock. The one file
    that holds the digest itself is left out.
    """
    digest = hashlib.sha256()
    for path in sorted(project):
        if path.startswith(_DETERMINES_HARDWARE) and path != _HOLDS_DIGEST:
            content = project[path].encode()
            digest.update(f"{path}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def render(accelerator: Accelerator, board: Board) -> dict[str, str]:
    """Return {path in the project: text} of everything that depends on the hardware and not on a network.

    ``include/config.h``, ``rtl/``, ``tcl/hardware.tcl`` and ``tcl/hls.cfg`` carry the parameters, ``include/isa.h`` the
    program format, ``hardware.sha256`` the digest of it all; all other files are copied as they are.
    """
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    templates = {path: _template(source).read_text() for path, source in _RENDERED.items()}
    placed = set(re.findall(r"accelerator\.(\w+)", templates["include/config.h"]))
    values: dict[str, Any] = {
        "accelerator": accelerator,
        "board": board,
        "further_constants": [(name, row.meaning) for name, row in ROWS.items() if row.constant and name not in placed],
        "max_channels": isa.MAX_CHANNELS,
        "constants": registers.identity_constants(accelerator.clock_mhz),
        "digest_offset": registers.DIGEST_OFFSET,
        "clock_source": board.ps.fabric_clock(accelerator.clock_mhz)[0],
        "control_port": FAMILIES[board.family].control_port,
        "addresses": registers.ADDRESS_MAPS[board.family],
        "window_bytes": registers.WINDOW_BYTES,
    }

    def fill(template: str) -> str:
        return environment.from_string(template).render(values)

    project = {path: fill(template) for path, template in templates.items()}
    project["include/isa.h"] = isa.c_header()
    project["ENGINE.md"] = _template("conv_engine/README.md").read_text()
    project[BUILD_SCRIPT] = _template(f"project/tcl/{BUILD_SCRIPT}").read_text()
    for folder, names in _VERBATIM.items():
        _, _, target = folder.partition("/")
        for name in names:
            project[f"{target}/{name}".lstrip("/")] = _template(f"{folder}/{name}").read_text()
    values["digest"] = hardware_sha256(project)
    project[_HOLDS_DIGEST] = fill(_template("conv_engine/rtl/digest.v.in").read_text())
    project[DIGEST_FILE] = values["digest"] + "\n"
    return dict(sorted(project.items()))
