"""Commands that reach boards."""

from pathlib import Path
from typing import Annotated

import typer

from codesign.console import session


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
