"""Formulas as plain functions of numbers, which numba turns into machine code when they are first called.

A kernel is a loop that Python calls; its machine code is kept on disk. numba keeps it by the kernel's own file and by
what the kernel closes over, so every kernel closes over :data:`SOURCES`, or it would outlive a change of a formula that
it calls.
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
import numpy as np

import hw_templates

Function = TypeVar("Function", bound=Callable[..., Any])

# numba's own types do not know of all its options.
_njit: Callable[..., Callable[[Any], Any]] = numba.njit
_numba_config: Any = numba.config


def digest_of(packages: Iterable[Path]) -> int:
    """A number that stands for the name and content of every module in these folders, and in the folders in them."""
    digest = hashlib.sha256()
    for package in packages:
        for path in sorted(package.rglob("*.py")):
            content = path.read_bytes()
            digest.update(f"{package.name}/{path.relative_to(package).as_posix()} {len(content)}\n".encode())
            digest.update(content)
    return int.from_bytes(digest.digest()[:7])


SOURCES = digest_of([Path(__file__).parents[1], Path(hw_templates.__file__).parent])
"""Stands for all modules whose constants and formulas kernels may hold: of this package, and of all it imports."""


def compiled(function: Function) -> Function:
    """Compile a formula that other formulas and kernels call; those that it calls must be compiled too."""
    # Python does not call it, and compiling takes half the time without what that would need.
    return cast(
        Function, _njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
    )


def kernel(function: Function) -> Function:
    """Compile a loop that Python calls, and keep its machine code; it must close over :data:`SOURCES`.

    Where neither ``NUMBA_CACHE_DIR``, the package's folder nor the user's cache can be written, the machine code is
    kept in a temporary folder, or else not at all: then it is compiled anew in each process, with a warning.
    """
    if _numba_config.CACHE_DIR or _has_user_cache():
        with suppress(RuntimeError):  # numba: no locator available
            return _kept(function)
    folder = _temporary_cache()
    if folder is None:
        warnings.warn(
            "compiled prices cannot be kept, so each start takes longer: set NUMBA_CACHE_DIR to a folder that can be "
            "written",
            stacklevel=2,
        )
        return cast(Function, _njit(nogil=True, error_model="numpy")(function))
    before = _numba_config.CACHE_DIR
    _numba_config.CACHE_DIR = str(folder)
    try:
        return _kept(function)
    finally:
        _numba_config.CACHE_DIR = before


def _kept(function: Function) -> Function:
    return cast(Function, _njit(nogil=True, error_model="numpy", cache=True)(function))


def _has_user_cache() -> bool:
    """Whether there is a user's cache, for which numba else takes the folder ``~`` where the program was started."""
    if (own := os.environ.get("XDG_CACHE_HOME")) is not None:
        return Path(own).is_absolute()
    try:
        return Path.home().is_absolute()
    except RuntimeError:
        return False


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


def record_dtype(record: type) -> np.dtype[np.void]:
    """The numpy type of an array of records, of a class that annotates their fields as ``float``, ``int`` or ``bool``.

    Kernels take a record of such an array where a formula asks for the class.
    """
    kinds = {float: np.float64, int: np.int64, bool: np.bool_}
    return np.dtype([(name, kinds[kind]) for name, kind in record.__annotations__.items()])
