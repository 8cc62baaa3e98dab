"""Commands that reach boards."""

from pathlib import Path
from typing import Annotated

import typer

from codesign.cli_bitstreams import StoreFolder
from codesign.console import session
from codesign.run import Run


def twin(
    project: Annotated[Path, typer.Option(help="Folder of an emitted project, for example runs/digits/project.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port on loopback; 0 takes a free one.")] = 7967,
    coefficients: Annotated[str, typer.Option(help="Timing that stands for the true one.")] = "prior",
) -> None:
    """Serve a board twin: PYNQ.remote's services with the emitted engine, compiled with g++, in place of the logic.

    Any PYNQ client reaches it: PYNQ_REMOTE_DEVICES=127.0.0.1 python my_script.py

    Example: codesign twin --project runs/digits/project
    """
    with session() as progress:
        from codesign.verbs.twin import twin as verb

        verb(project, port, coefficients, progress)


def deploy(
    run: Annotated[Path, typer.Argument(help="Folder of the run, for example runs/digits.")],
    board: Annotated[str, typer.Option(help="BOARD@[USER@]HOST[:PORT]; without a host: this board, or a twin here.")],
    via: Annotated[
        str,
        typer.Option(help="ssh: stock PYNQ; remote: PYNQ.remote; local: on the board itself; twin: the engine by g++."),
    ] = "ssh",
    power: Annotated[
        str | None, typer.Option(help="Measure energy: hwmon, rails, or the CSV that a meter is writing.")
    ] = None,
    repetitions: Annotated[int, typer.Option(min=1, help="How often one image is timed.")] = 50,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that one start may take.")] = 10.0,
    insecure_remote: Annotated[
        bool, typer.Option("--insecure-remote", help="Reach PYNQ.remote, which has no password, beyond this machine.")
    ] = False,
    store: StoreFolder = None,
) -> None:
    """Run the winning pair on a board: accuracy, latency and energy beside the prediction.

    Example: codesign deploy runs/digits --board pynq-z2@192.168.2.99

    Example: codesign deploy runs/digits --board pynq-z2 --via twin
    """
    with session() as progress:
        from codesign.verbs.deploy import DeployRequest
        from codesign.verbs.deploy import deploy as verb

        verb(Run(run), DeployRequest(board, via, power, repetitions, timeout, insecure_remote), store, progress)
