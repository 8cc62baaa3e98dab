"""Groups of commands: the options that all share, usage errors in one line, examples on lines of their own.

The help of a command is its docstring; under ``Args`` stands the help of its own options.
"""

import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import TyperException
from typer.core import TyperGroup

from codesign.cli.option_names import explain_usage

EXIT_USAGE = 2


def keep(context: typer.Context, parameter: typer.CallbackParam, value: Any) -> Any:
    """Keep the value of an option for the session of the command, which is given no such parameter."""
    if value:
        context.meta[parameter.name] = value
    return value


_shared_app = typer.Typer(add_completion=False)


@_shared_app.command()
def _shared(
    log_file: Annotated[
        Path | None,
        typer.Option(
            help="Add all output to this file, with the time of day.  [env var: CODESIGN_LOG_FILE]",
            callback=keep,
            expose_value=False,
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print the results as one JSON document.", callback=keep, expose_value=False),
    ] = False,
) -> None:
    """Declare the options of every command."""


_SHARED = typer.main.get_command(_shared_app).params


class CommandGroup(TyperGroup):
    """Commands under one name; without a command it shows its help, unless it is a command itself."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        if self.invoke_without_command:
            self.params += _SHARED
        for command in self.commands.values():
            if not isinstance(command, CommandGroup):
                command.params += _SHARED
            text, _, rest = (command.help or "").partition("\n\nArgs:\n    ")
            arguments, blank, examples = rest.partition("\n\n")
            parameters: dict[str | None, Any] = {parameter.name: parameter for parameter in command.params}
            for argument in filter(None, re.split(r"\n    (?=\w)", arguments)):
                name, _, words = argument.partition(": ")
                parameters[name].help = re.sub("\n +", " ", words)
            # The mark keeps a paragraph's lines as they are: an example that is wrapped cannot be pasted.
            command.help = f"{text}{blank}{examples}".replace("\n\nExample", "\n\n\b\nExample")

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the group's own options."""
        if not args and not ctx.resilient_parsing and not self.invoke_without_command:
            typer.echo(ctx.get_help(), err=True)
            raise typer.Exit(EXIT_USAGE)
        return super().parse_args(ctx, args)

    def format_commands(self, _ctx: Any, formatter: Any) -> None:
        """List the commands, each with the whole first sentence of its help."""
        shown = [(name, command) for name, command in self.commands.items() if not command.hidden]
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(sys.maxsize)) for name, command in shown])

    def main(self, *args: Any, **settings: Any) -> Any:
        """Run a command line; one that cannot be understood ends in one line and an exit code."""
        try:
            code = super().main(*args, **{**settings, "standalone_mode": False})
        except TyperException as error:
            typer.echo(f"codesign: {explain_usage(error)}", err=True)
            sys.exit(error.exit_code)
        sys.exit(code)


def group(**settings: Any) -> typer.Typer:
    """Make a group of commands whose help is plain text as wide as the terminal."""
    return typer.Typer(
        cls=CommandGroup,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": sys.maxsize},
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        **settings,
    )
