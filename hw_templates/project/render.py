"""An accelerator on a board as C++, Verilog, Tcl and scripts: the same text for the same values, always."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from hw_templates.board import FAMILIES, Board
from hw_templates.conv_engine import isa, registers
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.engine_shape import SUPERNETS, EngineShape, Limits
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.operations import Operation

_BUILT_FROM = {
    Implementation.HLS: ("hls/", "tcl/", "rtl/engine_id.v", "rtl/cycle_counter.v"),
    Implementation.RTL: ("rtl/", "tcl/"),
}
"""Sources of each implementation's bitstream: a change of one does not make the other's old."""
_HOLDS_DIGEST = "rtl/digest.v"

DIGEST_FILE = "hardware.sha256"
BUILD_SCRIPT = "build.sh"


def _sources(implementation: Implementation) -> dict[str, str]:
    """Return {path in the project: text} of the files of this package; those that end with ``.in`` are templates.

    What only the other implementation is built with is left out.
    """
    package = Path(__file__).parents[1]
    folders = [package / "conv_engine", package / "project/all", package / "project" / implementation]
    sources = {
        path.relative_to(folder).as_posix(): path.read_text()
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    # The project has a README of its own.
    sources["ENGINE.md"] = sources.pop("README.md")
    return sources


def is_source(path: str, implementation: Implementation) -> bool:
    """Return whether an implementation's bitstream is built from a file of a project."""
    return path == _HOLDS_DIGEST or path.startswith(_BUILT_FROM[implementation])


def hardware_sha256(project: Mapping[str, str], implementation: Implementation) -> str:
    """Return the SHA-256 of every file of a project, {path: text}, that determines its hardware, in hexadecimal digits.

    These are the C++ or Verilog and the Tcl that the implementation is built from; they hold the accelerator's
    parameters, board, part and clock. The one file that holds the digest itself is left out.
    """
    return files_sha256(
        {
            path: text.encode()
            for path, text in project.items()
            if is_source(path, implementation) and path != _HOLDS_DIGEST
        }
    )


def files_sha256(files: Mapping[str, bytes]) -> str:
    """Return the SHA-256 of files, {path: content}, in hexadecimal digits."""
    digest = hashlib.sha256()
    for path, content in sorted(files.items()):
        digest.update(f"{path}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def render(
    accelerator: Accelerator,
    board: Board,
    limits: Limits = SUPERNETS,
    implementation: Implementation = Implementation.HLS,
) -> dict[str, str]:
    """Return {path in the project: text} of everything that depends on the hardware and not on a network.

    ``hls/``, ``rtl/``, ``tcl/hardware.tcl`` and ``tcl/hls.cfg`` carry the parameters, ``hls/engine_format.h`` and
    ``rtl/engine_format.vh`` the program format, ``hardware.sha256`` the digest of it all; all other files are copied as
    they are. A project holds the sources of both implementations of the engine; ``tcl/`` and ``build.sh``
    build the one that is named, and ``rtl/engine_id.v`` says which one it is.
    """
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    sources = _sources(implementation)
    hls_sources = sorted(path.removesuffix(".in") for path in sources if path.startswith("hls/") and ".cpp" in path)
    values = {
        "accelerator": accelerator,
        "board": board,
        "implementation": implementation,
        "family": FAMILIES[board.family],
        "isa": isa,
        "engine": EngineShape(accelerator=accelerator, limits=limits, family=board.family),
        "operations": Operation,
        "registers": registers,
        "addresses": registers.ADDRESS_MAPS[board.family],
        "clock_source": board.ps.fabric_clock(accelerator.clock_mhz)[0],
        "hls_sources": hls_sources,
    }

    def filled(digest: str) -> dict[str, str]:
        return {
            path.removesuffix(".in"): environment.from_string(text).render(values, digest=digest)
            if path.endswith(".in")
            else text
            for path, text in sources.items()
        }

    digest = hardware_sha256(filled(""), implementation)
    return dict(sorted({**filled(digest), DIGEST_FILE: digest + "\n"}.items()))
