"""Groups of commands: the options that all share, errors in the words of the command line, examples on own lines.

The help of a command is its docstring; under ``Args`` stands the help of its own options.
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import TyperException
from typer.core import TyperGroup

from hw_templates.foundation.errors import CodesignError, InfeasibleError, InvalidValueError, UnknownNameError

EXIT_USAGE = 2
_ALIASES = {
    "calibration": ("coefficients", "known", "name"),
    "format": ("file_format",),
    "network": ("source",),
    "schedule": ("preset",),
    "space": ("source",),
}
"""Fields that are called otherwise than the parameters, in any command, that set them."""

_NO_CHOICE = re.compile(r"is not one of (?P<choices>'.*')")
_NO_VALUE = re.compile(r"Input should be (?P<what>.*?)(?:, unable to .*)?")


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
            sys.exit(super().main(*args, **{**settings, "standalone_mode": False}))
        except TyperException as error:
            typer.echo(f"codesign: {explain_usage(error)}", err=True)
            sys.exit(error.exit_code)


def group(**settings: Any) -> typer.Typer:
    """Make a group of commands whose help is plain text as wide as the terminal."""
    return typer.Typer(
        cls=CommandGroup,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": sys.maxsize},
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        **settings,
    )


def parameter_names(context: typer.Context) -> dict[str, str]:
    """Map the parameters of a command to what the user writes, as ``--max-latency-ms`` or ``RUN``."""
    return {parameter.name: _shown(parameter) for parameter in context.command.params if parameter.name}


def explain(error: CodesignError, command: str, names: Mapping[str, str]) -> str:
    """Say what is wrong in one line, which begins with an option where one set the field.

    Args:
        error: what a command raised.
        command: its name; settings in a run's record are called after it, as ``train.seed``.
        names: of its parameters; see :func:`parameter_names`.
    """
    message = " ".join(str(error).splitlines())
    if isinstance(error, InfeasibleError):
        limit, _, rest = message.partition(": ")
        return f"{names[limit]}: {rest}" if limit in names else message
    if not isinstance(error, InvalidValueError) or not message.startswith(f"{error.field}: "):
        return message
    field, rest = error.field.removeprefix(f"{command}."), message.removeprefix(error.field)
    if whole := _name_of(field, names) or _name_of(error.field, names):
        return whole + rest
    first, _, inner = error.field.partition(".")
    option = _name_of(first, names)
    return f"{option}: {inner}{rest}" if option and inner else message


def _shown(parameter: Any) -> str:
    if parameter.param_type_name == "option":
        return str(max(parameter.opts, key=len))
    return str(parameter.metavar or parameter.name.upper())


def _name_of(field: str, names: Mapping[str, str]) -> str | None:
    return next((names[name] for name in (field, *_ALIASES.get(field, ())) if name in names), None)


def explain_usage(error: TyperException) -> str:
    """Say in one line what is wrong with a command line that cannot be understood."""
    parameter, message = getattr(error, "param", None), " ".join(error.message.split())
    if parameter is None or not message:
        return " ".join(error.format_message().split())
    name = _shown(parameter)
    # What pydantic found, which checks values for typer.
    faults: list[dict[str, Any]] = getattr(error.__cause__, "errors", list)()
    value = str(faults[0]["input"]) if faults else ""
    if choices := _NO_CHOICE.search(message):
        return str(UnknownNameError(name, value, re.findall("'([^']*)'", choices["choices"])))
    if expected := _NO_VALUE.fullmatch(message):
        return str(InvalidValueError(name, value, expected["what"]))
    return f"{name}: {message}"
