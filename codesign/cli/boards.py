"""Commands that reach boards."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bitstreams.board.target import Via
from codesign.cli.console import session
from codesign.cli.options import InsecureRemote, LogFile, ReachedVia, RunFolder, StartTimeout, StoreFolder, Target
from codesign.run.folder import Run
from hw_templates.board import board_names, load_board


def boards(context: typer.Context) -> None:
    """List the boards and what they hold."""
    with session(context):
        table = Table(box=None)
        table.add_column("board", no_wrap=True)
        table.add_column("title", no_wrap=True)
        for heading in ("DSP", "BRAM18", "URAM", "LUT", "MHz", "DDR GB/s"):
            table.add_column(heading, justify="right", no_wrap=True)
        for name in board_names():
            b = load_board(name)
            counts = map(str, (b.dsp, b.bram_18k, b.uram, b.lut, b.clocks_mhz[-1]))
            table.add_row(name, b.title, *counts, f"{b.ddr.plan_gb_s} of {b.ddr.peak_gb_s}")
        Console().print(table)


def twin(
    context: typer.Context,
    project: Annotated[Path, typer.Option(help="Folder of an emitted project, for example runs/digits/project.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port on loopback; 0 takes a free one.")] = 7967,
    coefficients: Annotated[str, typer.Option(help="Timing that stands for the true one.")] = "prior",
) -> None:
    """Serve a board twin: PYNQ.remote's services with the emitted engine, compiled with g++, in place of the logic.

    Any PYNQ client reaches it: PYNQ_REMOTE_DEVICES=127.0.0.1 python my_script.py

    Example: codesign twin --project runs/digits/project
    """
    with session(context, quiet=True) as progress:
        from codesign.commands.twin import twin as command

        command(project, port, coefficients, progress)


def deploy(
    context: typer.Context,
    run: RunFolder,
    board: Target,
    via: ReachedVia = Via.SSH,
    power: Annotated[
        str | None, typer.Option(help="Measure energy: hwmon, rails, or the CSV that a meter is writing.")
    ] = None,
    repetitions: Annotated[int, typer.Option(min=1, help="How often one image is timed.")] = 50,
    timeout: StartTimeout = 10.0,
    insecure_remote: InsecureRemote = False,
    store: StoreFolder = None,
    log_file: LogFile = None,
) -> None:
    """Run the winning pair on a board: accuracy, latency and energy beside the prediction.

    Example: codesign deploy runs/digits --board pynq-z2@192.168.2.99
    Example: codesign deploy runs/digits --board pynq-z2 --via twin
    """
    with session(context, log_file) as progress:
        from codesign.commands.deploy import DeployRequest
        from codesign.commands.deploy import deploy as command

        command(
            Run(run),
            DeployRequest(
                board=board,
                via=via,
                power=power,
                repetitions=repetitions,
                timeout_s=timeout,
                insecure_remote=insecure_remote,
            ),
            store,
            progress,
        )
