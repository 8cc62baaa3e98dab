"""Commands that reach boards."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from bitstreams.board.target import Via
from codesign.cli.console import session
from codesign.cli.group import group
from codesign.cli.options import InsecureRemote, ReachedVia, RunFolder, StartTimeout, StoreFolder, Target
from codesign.run.folder import Run
from hw_templates.board import BOARDS, load_board

boards_app = group(name="boards", invoke_without_command=True)


@boards_app.callback()
def boards(context: typer.Context) -> None:
    """List the boards and what they hold.

    Example: codesign boards
    """
    if context.invoked_subcommand is None:
        with session(context) as console:
            from codesign.cli.text.boards import board_table
            from codesign.commands.boards import list_boards

            console.show(list_boards(), board_table)


@boards_app.command()
def show(
    context: typer.Context,
    board: Annotated[
        str, typer.Argument(metavar="BOARD", help="Name of the board, or its TOML file.", autocompletion=BOARDS.names)
    ],
) -> None:
    """Print a board's file, from which a board of your own can start.

    Example: codesign boards show pynq-z2 > my-board.toml
    """
    with session(context) as console:
        console.show(load_board(board), lambda _: BOARDS.text(board).splitlines())


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
    with session(context, quiet=True) as console:
        from codesign.cli.text.boards import twin_lines
        from codesign.commands.twin import start_twin

        with closing(start_twin(project, port, coefficients, console)) as server:
            console.show(server.served, twin_lines)
            server.wait()


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
) -> None:
    """Run the winning pair on a board: accuracy, latency and energy, compared with the prediction.

    Example: codesign deploy runs/digits --board pynq-z2@192.168.2.99
    Example: codesign deploy runs/digits --board pynq-z2 --via twin
    """
    with session(context) as console:
        from codesign.cli.text.deploy import deploy_lines
        from codesign.commands import deploy as commands

        request = commands.DeployRequest(
            board=board,
            via=via,
            power=power,
            repetitions=repetitions,
            timeout_s=timeout,
            insecure_remote=insecure_remote,
        )
        console.show(commands.deploy(Run(run), request, store, console), deploy_lines)
