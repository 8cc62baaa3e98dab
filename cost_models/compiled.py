"""Formulas as plain functions of numbers, which numba turns into machine code when they are first called.

A kernel is a loop that Python calls; its machine code is kept on disk. numba keeps it by the kernel's own file and by
what the kernel closes over, so every kernel closes over :data:`SOURCES`, or it would outlive a change of a formula that
it calls.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np

Function = TypeVar("Function", bound=Callable[..., Any])

# numba's own types do not know of all its options.
_njit: Callable[..., Callable[[Any], Any]] = numba.njit

SOURCES = int.from_bytes(
    hashlib.sha256(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))).digest()[:7]
)
"""Stands for the content of all modules of this package."""


def compiled(function: Function) -> Function:
    """Compile a formula that other formulas and kernels call; those that it calls must be compiled too."""
    # Python does not call it, and compiling takes half the time without what that would need.
    return cast(
        Function, _njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
    )


def kernel(function: Function) -> Function:
    """Compile a loop that Python calls, and keep its machine code; it must close over :data:`SOURCES`."""
    return cast(Function, _njit(nogil=True, error_model="numpy", cache=True)(function))


def record_dtype(record: type) -> np.dtype[np.void]:
    """The numpy type of an array of records, of a class that annotates their fields as ``float``, ``int`` or ``bool``.

    Kernels take a record of such an array where a formula asks for the class.
    """
    kinds = {float: np.float64, int: np.int64, bool: np.bool_}
    return np.dtype([(name, kinds[kind]) for name, kind in record.__annotations__.items()])
