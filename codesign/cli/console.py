"""The terminal side of every command: results, progress as bars and lines, a log, and errors as a line and a code."""

import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from codesign import __version__
from codesign.cli.group import explain, parameter_names
from codesign.cli.progress_lines import Clock, ProgressLines
from codesign.progress import Update
from hw_templates.foundation.errors import CodesignError, ExtrapolationWarning, InvalidValueError, VerificationError
from hw_templates.foundation.extras import missing_extras_named

EXIT_DISAGREES, EXIT_BAD_INPUT, EXIT_INTERRUPTED = 1, 2, 130

R = TypeVar("R")


def _keep_nothing(_line: str, /) -> None:
    """Stand for a log where none is kept."""


class LogFile:
    """Lines appended to a file; folders that are missing are made.

    Args:
        path: the file; what it holds already is kept.
        now: the time of day.

    Raises:
        InvalidValueError: it cannot be written.
    """

    def __init__(self, path: Path, now: Callable[[], datetime] = lambda: datetime.now().astimezone()) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise InvalidValueError("log_file", str(path), f"a file that can be written ({error.strerror})") from error
        self._path, self._now = path, now
        self._lock = threading.Lock()
        self._failed = False

    def write(self, text: str) -> None:
        """Append a line. Where that fails, the work goes on without the log, and standard error says so once."""
        with self._lock:
            if self._failed:
                return
            try:
                self._file.write(f"{self._now().isoformat(timespec='seconds')} {text}\n")
                self._file.flush()
            except OSError as error:
                self._failed = True
                print(f"codesign: warning: {self._path}: no more lines are kept ({error.strerror})", file=sys.stderr)

    def close(self) -> None:
        """Close the file; nothing may be written afterwards."""
        with self._lock, suppress(OSError):
            self._file.close()


class _Terminal(Console):
    """A console whose reader may go away before everything is printed."""

    def on_broken_pipe(self) -> None:
        """Let the entry point end the command; rich would end it with code 1."""
        raise BrokenPipeError


@dataclass(frozen=True)
class _Document:
    """All results of a command."""

    content: Any


class ConsoleProgress:
    """Results of a command, and its progress as bars on a terminal, as lines elsewhere and in a log file.

    Args:
        console: where lines and bars are shown.
        log: called with each line as well.
        clock: seconds; never goes back.
        as_json: keep results for :meth:`print_document` instead of showing them as lines.
    """

    def __init__(
        self,
        console: Console,
        log: Callable[[str], None] = _keep_nothing,
        clock: Clock = time.monotonic,
        as_json: bool = False,
    ) -> None:
        self._console, self._log = console, log
        self._as_json = as_json
        self._document: Any = None
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
        bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[where]}"),
            console=self._console,
            transient=True,
            disable=not self._draws,
        )
        with bars, self._lines.stage(name) as update_lines:
            task = bars.add_task(name, total=1.0, where="")

            def update(share: float, text: str) -> None:
                bars.update(task, completed=share, where=text)
                update_lines(share, text)

            yield update

    def show(self, result: R, lines: Callable[[R], Iterable[str]], part: str | None = None) -> R:
        """Show a result, as the lines that a user reads or as JSON, and return it.

        Args:
            result: a record, or several.
            lines: makes the text.
            part: key of the result in the JSON document of a command that has several; None for the whole document.
        """
        self._document = result if part is None else {**(self._document or {}), part: result}
        for line in lines(result):
            (self._log if self._as_json else self.say)(line)
        return result

    def print_document(self) -> None:
        """Print the results that were kept, if any, as JSON text under the names of their fields."""
        if self._as_json and self._document is not None:
            # Left to itself, msgspec leaves out fields of records that were read without them.
            content = asdict(_Document(self._document))["content"]
            typer.echo(msgspec.json.format(msgspec.json.encode(content, enc_hook=_plain), indent=2))

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


def _plain(value: Any) -> Any:
    """Return what JSON can hold in the place of a path, or of an array or a number of numpy."""
    return str(value) if isinstance(value, Path) else value.tolist()


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
def session(context: typer.Context) -> Iterator[ConsoleProgress]:
    """Yield what shows results and progress, and turn errors into one line and an exit code.

    With ``--json`` results go to standard output as one document, all else to standard error.

    Args:
        context: the command's, with the values of ``--log-file`` and ``--json``.
    """
    name, write, as_json = context.command.name or "", _keep_nothing, context.meta.get("as_json", False)

    def show_line(text: str) -> None:
        typer.echo(f"codesign: {text}", err=True)
        write(f"codesign: {text}")

    with ExitStack() as stack:
        try:
            if path := context.meta.get("log_file"):
                write = stack.enter_context(closing(LogFile(path))).write
                write(f"{context.command_path}, version {__version__}")
            console = ConsoleProgress(_Terminal(stderr=as_json), write, as_json=as_json)
            # A twin may well be silent for long, and of several processes that torchrun started the first tells.
            quiet = name == "twin" or os.environ.get("RANK", "0") != "0"
            with _warnings_as_lines(show_line), console.running(None if quiet else name), missing_extras_named():
                try:
                    yield console
                finally:
                    console.print_document()
        except CodesignError as error:
            show_line(explain(error, name, parameter_names(context)))
            raise typer.Exit(EXIT_DISAGREES if isinstance(error, VerificationError) else EXIT_BAD_INPUT) from error
        except KeyboardInterrupt:
            show_line("stopped; the same command goes on from here")
            raise typer.Exit(EXIT_INTERRUPTED) from None


def in_session(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command for typer: a function that is given the console of its session before its options."""

    @wraps(command)
    def run(context: typer.Context, **options: Any) -> None:
        with session(context) as console:
            command(console, **options)

    _, *options = signature(command).parameters.values()
    context = Parameter("context", Parameter.KEYWORD_ONLY, annotation=typer.Context)
    run.__signature__ = Signature([*options, context])  # type: ignore[attr-defined]
    return run
