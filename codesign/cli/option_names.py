"""Errors in the words of the command line: with the options that set the fields that they are about."""

import re
from collections.abc import Mapping
from typing import Any

import typer
from typer import TyperException

from hw_templates.foundation.errors import CodesignError, InfeasibleError, InvalidValueError, UnknownNameError

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
    whole = _name_of(field, names) or _name_of(error.field, names)
    if whole:
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
