"""An accelerator on a board as C++, Tcl and a Makefile: the same text for the same values, always."""

from importlib.resources import files
from importlib.resources.abc import Traversable

from jinja2 import Environment, StrictUndefined

from hw_templates import isa
from hw_templates.accelerator import Accelerator
from hw_templates.board import Board

_VERBATIM = {
    "conv_engine": ("Makefile",),
    "conv_engine/include": ("types.h", "load.h", "compute.h", "store.h", "conv_engine.h"),
    "conv_engine/src": ("load.cpp", "compute.cpp", "store.cpp", "conv_engine.cpp"),
    "conv_engine/tb": ("csim.cpp",),
}


def _template(folder: str) -> Traversable:
    return files("hw_templates").joinpath(*folder.split("/"))


def render(accelerator: Accelerator, board: Board) -> dict[str, str]:
    """{path in the project: text} of everything that depends on the hardware and not on a network.

    ``include/config.h`` and ``tcl/csynth.tcl`` carry the parameters, ``include/isa.h`` the program format; all
    other files are copied as they are.
    """
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    values = {"accelerator": accelerator, "board": board, "max_channels": isa.MAX_CHANNELS}
    rendered = {
        "include/config.h": ("conv_engine/include", "config.h.in"),
        "tcl/csynth.tcl": ("tcl", "csynth.tcl.in"),
    }
    project = {
        path: environment.from_string((_template(folder) / name).read_text()).render(values)
        for path, (folder, name) in rendered.items()
    }
    project["include/isa.h"] = isa.c_header()
    project["ENGINE.md"] = (_template("conv_engine") / "README.md").read_text()
    for folder, names in _VERBATIM.items():
        target = folder.removeprefix("conv_engine").lstrip("/")
        for name in names:
            project[f"{target}/{name}".lstrip("/")] = (_template(folder) / name).read_text()
    return dict(sorted(project.items()))
