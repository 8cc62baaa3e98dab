"""Formulas as plain functions of numbers, which numba turns into machine code when they are first called.

A kernel is a loop that Python calls; its machine code is kept on disk. numba keeps it by the kernel's own file and by
its qualified name, of which :data:`SOURCES` becomes a part, or it would outlive a change of a formula that it calls.
"""

import hashlib
import os
import stat
import tempfile
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.misc.appdirs import user_cache_dir

import hw_templates

Function = TypeVar("Function", bound=Callable[..., Any])

# numba's own types do not know of all its options.
_njit: Callable[..., Callable[[Any], Any]] = numba.njit
_numba_config: Any = numba.config
_cache_dir: Callable[[str, bool], str] = user_cache_dir


def digest_of(packages: Iterable[Path]) -> str:
    """Sixteen digits for the name and content of every module in these folders, and in the folders in them."""
    content = [
        (path.relative_to(package.parent).as_posix(), path.read_bytes())
        for package in packages
        for path in sorted(package.rglob("*.py"))
    ]
    return hashlib.sha256(repr(content).encode()).hexdigest()[:16]


SOURCES = digest_of([Path(__file__).parents[1], Path(hw_templates.__file__).parent])
"""Stands for all modules whose constants and formulas kernels may hold: of this package, and of all it imports."""


def _jit(function: Function, **options: bool) -> Function:
    return cast(Function, _njit(nogil=True, error_model="numpy", **options)(function))


def compiled(function: Function) -> Function:
    """Compile a formula that other formulas and kernels call; those that it calls must be compiled too."""
    # Python does not call it, and compiling takes half the time without what that would need.
    return _jit(function, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def kernel(function: Function) -> Function:
    """Compile a loop that Python calls, and keep its machine code.

    Where neither ``NUMBA_CACHE_DIR``, the package's folder nor the user's cache can be written, the machine code is
    kept in a temporary folder, or else not at all: then it is compiled anew in each process, with a warning.
    """
    function.__qualname__ += SOURCES
    # Where the user has no cache, numba takes the folder ``~`` where the program was started.
    if _numba_config.CACHE_DIR or Path(_cache_dir("numba", False)).is_absolute():
        with suppress(RuntimeError):  # numba: no locator available
            return _jit(function, cache=True)
    folder = _temporary_cache()
    if folder is None:
        warnings.warn(
            "compiled prices cannot be kept, so each start takes longer: set NUMBA_CACHE_DIR to a folder that can be "
            "written",
            stacklevel=2,
        )
        return _jit(function)
    before = _numba_config.CACHE_DIR
    _numba_config.CACHE_DIR = str(folder)
    try:
        return _jit(function, cache=True)
    finally:
        _numba_config.CACHE_DIR = before


def _temporary_cache() -> Path | None:
    """A folder of this user alone, as what lies in it is run; None where there is none."""
    try:
        folder = Path(tempfile.gettempdir()) / f"codesign-numba-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    is_private = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
    return folder if is_private and os.access(folder, os.W_OK) else None
