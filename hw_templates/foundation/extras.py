"""Optional parts of this project, and how to install them."""

import re
import shlex
import sys
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def install_command(extra: str) -> str:
    """Make the command that installs an optional part for the running Python; it can be pasted in any folder.

    The project is in no registry: a checkout is named by its path, elsewhere the packages of the part are.

    >>> install_command("onnx").partition(" -m ")[2].startswith("pip install ")
    True
    """
    return shlex.join([sys.executable, "-m", "pip", "install", *_what(extra)])


def _what(extra: str) -> list[str]:
    if (_ROOT / "pyproject.toml").is_file():
        return ["--editable", f"{_ROOT}[{extra}]"]
    try:
        stated = requires("codesign") or []
    except PackageNotFoundError:
        stated = []
    marker = re.compile(rf"(\s*;|\s+and)\s*extra == ['\"]{re.escape(extra)}['\"]")
    return [marker.sub("", requirement) for requirement in stated if marker.search(requirement)]
