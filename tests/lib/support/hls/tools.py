"""The tools of LLVM that the checks of the engine's C++ need."""

from importlib.resources import files
from pathlib import Path

import pytest

from bitstreams.hls_checks.compiler import Compiler, NotCheckedError, find_compiler

HEADERS = Path(str(files("hw_templates").joinpath("conv_engine/hls")))


def need_compiler() -> Compiler:
    """Return clang and opt, or skip the test where one is missing or of another version."""
    try:
        return find_compiler()
    except NotCheckedError as error:
        pytest.skip(str(error))
