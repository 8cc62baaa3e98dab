"""The terminal side of every verb: progress as bars and lines, and errors as one line and an exit code."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from codesign.progress import Update
from hw_templates.errors import CodesignError, ExtrapolationWarning, VerificationError

EXIT_DISAGREES, EXIT_BAD_INPUT, EXIT_INTERRUPTED = 1, 2, 130


class ConsoleProgress:
    """Progress as bars and lines on a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def stage(self, name: str) -> Iterator[Update]:
        """Show a bar while the stage lasts."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[where]}"),
        )
        with Bars(*columns, console=self._console, transient=True, disable=not self._console.is_terminal) as bars:
            task = bars.add_task(name, total=1.0, where="")
            yield lambda share, text: bars.update(task, completed=share, where=text)

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Show what the project warns of as one line, and each once: a search prices the same pair many times."""
    with warnings.catch_warnings():
        warnings.simplefilter("once", ExtrapolationWarning)
        show = warnings.showwarning

        def one_line(message: Warning | str, category: type[Warning], *place: Any) -> None:
            if issubclass(category, ExtrapolationWarning):
                typer.echo(f"codesign: warning: {message}", err=True)
            else:
                show(message, category, *place)

        warnings.showwarning = one_line  # type: ignore[assignment]
        yield


@contextmanager
def session() -> Iterator[ConsoleProgress]:
    """Yield the progress to show, and turn what goes wrong into one line and an exit code."""
    try:
        with _warnings_as_lines():
            yield ConsoleProgress(Console())
    except CodesignError as error:
        typer.echo(f"codesign: {error}", err=True)
        raise typer.Exit(EXIT_DISAGREES if isinstance(error, VerificationError) else EXIT_BAD_INPUT) from error
    except KeyboardInterrupt:
        typer.echo("codesign: stopped; the same command goes on from here", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
