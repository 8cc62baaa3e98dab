"""The terminal side of every command: progress as bars and lines, and errors as one line and an exit code."""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from codesign import __version__
from codesign.cli.log_file import LogFile
from codesign.cli.option_names import explain, parameter_names
from codesign.cli.progress_lines import Clock, ProgressLines
from codesign.progress import Update
from hw_templates.foundation.errors import CodesignError, ExtrapolationWarning, VerificationError

EXIT_DISAGREES, EXIT_BAD_INPUT, EXIT_INTERRUPTED = 1, 2, 130


def _keep_nothing(_line: str) -> None:
    """Stand for a log where none is kept."""


class ConsoleProgress:
    """Progress as bars on a terminal, as lines elsewhere and in a log file.

    Args:
        console: where everything is shown.
        log: called with each line as well.
        clock: seconds; never goes back.
    """

    def __init__(
        self, console: Console, log: Callable[[str], None] = _keep_nothing, clock: Clock = time.monotonic
    ) -> None:
        self._console, self._log = console, log
        # Colours can be forced on where output is kept; bars cannot be read there.
        self._draws = console.is_interactive and console.file.isatty()
        self._lines = ProgressLines(self._tell, clock)

    @contextmanager
    def running(self, name: str | None) -> Iterator[None]:
        """Write lines of progress meanwhile; ``name`` is the work outside of all stages, None to be silent there."""
        with nullcontext() if name is None else self._lines.stage(name), self._lines.running():
            yield

    @contextmanager
    def stage(self, name: str) -> Iterator[Update]:
        """Show how a stage gets on while it lasts."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[where]}"),
        )
        bars = Bars(*columns, console=self._console, transient=True, disable=not self._draws)
        with bars, self._lines.stage(name) as update_lines:
            task = bars.add_task(name, total=1.0, where="")

            def update(share: float, text: str) -> None:
                bars.update(task, completed=share, where=text)
                update_lines(share, text)

            yield update

    def say(self, text: str) -> None:
        """Print a line."""
        self._print(text)
        self._log(text)
        self._lines.written()

    def _tell(self, line: str) -> None:
        if not self._draws:
            self._print(line)
        self._log(line)

    def _print(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def _warnings_as_lines(show_line: Callable[[str], None]) -> Iterator[None]:
    """Show the project's own warnings as one line, and each once: a search prices the same pair many times."""
    with warnings.catch_warnings():
        warnings.simplefilter("once", ExtrapolationWarning)
        show = warnings.showwarning

        def one_line(message: Warning | str, category: type[Warning], *place: Any) -> None:
            if issubclass(category, ExtrapolationWarning):
                show_line(f"warning: {message}")
            else:
                show(message, category, *place)

        warnings.showwarning = one_line  # type: ignore[assignment]
        yield


@contextmanager
def session(context: typer.Context, log_file: Path | None = None, *, quiet: bool = False) -> Iterator[ConsoleProgress]:
    """Yield the progress to show, and turn errors into one line and an exit code.

    Args:
        context: the command's.
        log_file: file to which all that is shown is added; None for the one named before the command, if any.
        quiet: that silence outside of stages is normal: the command serves others, or another process tells of it.
    """
    name, log = context.command.name or "", None

    def show_line(text: str) -> None:
        typer.echo(f"codesign: {text}", err=True)
        if log is not None:
            log.write(f"codesign: {text}")

    try:
        path = log_file or context.find_root().params.get("log_file")
        if path is not None:
            log = LogFile(path)
            log.write(f"{context.command_path}, version {__version__}")
        progress = ConsoleProgress(Console(), _keep_nothing if log is None else log.write)
        with _warnings_as_lines(show_line), progress.running(None if quiet else name):
            yield progress
    except CodesignError as error:
        show_line(explain(error, name, parameter_names(context)))
        raise typer.Exit(EXIT_DISAGREES if isinstance(error, VerificationError) else EXIT_BAD_INPUT) from error
    except KeyboardInterrupt:
        show_line("stopped; the same command goes on from here")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    finally:
        if log is not None:
            log.close()
