"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from bitstreams.board.target import Via
from codesign.templates.registry import template_names
from hw_templates.board import board_names
from hw_templates.conv_engine.implementation import Implementation

Count = Annotated[int, Option(min=1)]
NamedPath = Annotated[Path, Option()]
"""A path that must be given, as an option."""
RunFolder = Annotated[Path, Argument(metavar="RUN", help="Folder of the run, for example runs/digits.")]
Seed = Annotated[int, Option(min=0, help="Every random choice follows from it.")]
BoardName = Annotated[
    str,
    Option(help="Name of the board, as `codesign boards` lists, or its TOML file.", autocompletion=board_names),
]
Workers = Annotated[int, Option(min=1, help="Processes that search on the one study.")]
TEMPLATES = f"<{'|'.join(template_names())}>"
"""The known templates, as help shows them."""
Template = Annotated[
    str,
    Option(
        metavar=TEMPLATES,
        help="Kind of hardware: engine runs any subnet, hls4ml makes hardware of a subnet's layers.",
        autocompletion=template_names,
    ),
]
SearchedImplementation = Annotated[
    Implementation, Option(help="Of the engine: hls is its C++, for Vitis HLS; rtl is its Verilog, for Vivado alone.")
]
GivenImplementation = Annotated[
    Implementation | None,
    Option(help="Of the engine: hls or rtl; another one than was searched for is refused.  [default: that one]"),
]
StoreFolder = Annotated[
    Path | None,
    Option(
        "--store",
        help="Folder of bitstreams for all runs; default: CODESIGN_STORE, or in the user's data folder.",
    ),
]
Target = Annotated[
    str,
    Option(help="BOARD@[USER@]HOST[:PORT], BOARD a name or a TOML file; without a host: this board, or a twin here."),
]
ReachedVia = Annotated[
    Via,
    Option(help="ssh: stock PYNQ; remote: PYNQ.remote; local: on the board itself; twin: the engine by g++."),
]
StartTimeout = Annotated[float, Option(min=0.1, help="Seconds that one start may take.")]
InsecureRemote = Annotated[
    bool, Option("--insecure-remote", help="Reach PYNQ.remote, which has no password, beyond this machine.")
]
