"""Text about the commands of a demo."""

from collections.abc import Callable, Iterable
from typing import Any

from codesign.cli.text.pairs import csim_lines, emit_lines, report_lines, search_lines
from codesign.cli.text.training import predictor_lines, train_lines

_LINES: dict[str, Callable[[Any], Iterable[str]]] = {
    "train": train_lines,
    "predictor": predictor_lines,
    "search": search_lines,
    "emit": emit_lines,
    "csim": csim_lines,
    "report": report_lines,
}


def demo_lines(command: str) -> Callable[[Any], Iterable[str]]:
    """Return what makes the text of a command's result."""
    return _LINES[command]
