"""Search once-for-all subnets and FPGA accelerators together, and emit the winning pair as a verified HLS project.

Everything that a script needs is an attribute of this package; ``docs/api.md`` lists all of them. What an attribute
needs is imported when the attribute is first used.

>>> import codesign
>>> codesign.load_board("pynq-z2").dsp
220
"""

import ast
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

__version__ = "0.2.0"

# The stub states every name and its home once, for type checkers and for this module.
_HOMES = {
    alias.name: node.module
    for node in ast.parse(Path(__file__).with_suffix(".pyi").read_text("utf-8")).body
    if isinstance(node, ast.ImportFrom) and node.module
    for alias in node.names
}
__all__ = ["__version__", *_HOMES]


class _FrontDoor(ModuleType):
    """The package as a module whose attributes are imported when they are first used."""

    def __getattr__(self, name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        from hw_templates.foundation.extras import missing_extras_named

        with missing_extras_named():
            home = import_module(_HOMES[name])
            value = getattr(home, name) if hasattr(home, name) else import_module(f"{_HOMES[name]}.{name}")
        self.__dict__[name] = value
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        # Python binds every submodule that is imported, and some share their name with a function of the front door.
        if not (isinstance(value, ModuleType) and name in _HOMES):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*self.__dict__, *_HOMES})


sys.modules[__name__].__class__ = _FrontDoor
