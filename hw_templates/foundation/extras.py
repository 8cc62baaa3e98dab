"""Optional parts of this project, and how to install them."""

import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from hw_templates.foundation.errors import ToolError

_ROOT = Path(__file__).resolve().parents[2]
_INSTALL = (sys.executable, "-m", "pip", "install")
EXTRAS = {
    "board": ("asyncssh", "pynq"),
    "hls4ml": ("hls4ml",),
    "onnx": ("onnx",),
    "train": ("PIL", "datasets", "matplotlib", "moocore", "optuna", "pyarrow", "sklearn", "torch"),
}
"""Names of extras to the modules that they bring and this project imports."""
_EXTRA_OF = {module: extra for extra, modules in EXTRAS.items() for module in modules}


@contextmanager
def missing_extras_named() -> Iterator[None]:
    """Convert the failed import of an extra's module into a one-line ``ToolError`` that says how to install the extra.

    >>> with missing_extras_named():
    ...     raise ModuleNotFoundError(name="torch")
    Traceback (most recent call last):
    hw_templates.foundation.errors.ToolError: torch: is not installed; it comes with the extra 'train': ...
    """
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if (extra := _EXTRA_OF.get(module)) is None:
            raise
        message = f"{module}: is not installed; it comes with the extra '{extra}': run `{install_command(extra)}`"
        raise ToolError(message) from error


def install_command(extra: str) -> str:
    """Make the command that installs an optional part for the running Python; it can be pasted in any folder.

    The project is in no registry: a checkout is named by its path, elsewhere the packages of the part are.

    >>> install_command("onnx").partition(" -m ")[2].startswith("pip install ")
    True
    """
    if (_ROOT / "pyproject.toml").is_file():
        return shlex.join([*_INSTALL, "--editable", f"{_ROOT}[{extra}]"])
    try:
        stated = requires("codesign") or []
    except PackageNotFoundError:
        stated = []
    marker = re.compile(rf"(\s*;|\s+and)\s*extra == ['\"]{re.escape(extra)}['\"]")
    return shlex.join([*_INSTALL, *(marker.sub("", each) for each in stated if marker.search(each))])
