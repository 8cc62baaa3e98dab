"""What makes a run of the engine end with each of its error codes, behind the back of every check."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from support.boards.twins import spoil_loaded

from bitstreams.board import control
from bitstreams.board.driver import Engine
from hw_templates.conv_engine import registers
from hw_templates.conv_engine.implementation import Implementation

NOWHERE = 0x9000_0000
"""An address at which a twin's board has no memory."""


@dataclass(frozen=True)
class Fault:
    """A fault: what is done to an engine whose program is loaded, and what is said of the run.

    Attributes:
        message: a pattern of what follows the error's number.
        layer: that it happens in; None for any.
        in_cpp: whether the engine in C++ sees it, too.
    """

    cause: Callable[[Engine, pytest.MonkeyPatch], None]
    message: str
    layer: int | None = 0
    in_cpp: bool = False


def _arena_words(engine: Engine) -> int:
    assert engine._loaded is not None
    loaded = engine._loaded
    return loaded.layout.arena_words(loaded.arena.address, loaded.results.address)


def _read_outside(engine: Engine, _: pytest.MonkeyPatch) -> None:
    spoil_loaded(engine, ifmap_word=_arena_words(engine))


def _write_outside(engine: Engine, _: pytest.MonkeyPatch) -> None:
    spoil_loaded(engine, ofmap_word=_arena_words(engine))


def _no_memory_to_read(engine: Engine, _: pytest.MonkeyPatch) -> None:
    engine._control._set("ifmap_port", NOWHERE)


def _no_memory_to_write(engine: Engine, _: pytest.MonkeyPatch) -> None:
    engine._control._set("ofmap_port", NOWHERE)


def _older_format(engine: Engine, _: pytest.MonkeyPatch) -> None:
    spoil_loaded(engine, version=4)


def _impatient_watchdog(engine: Engine, patch: pytest.MonkeyPatch) -> None:
    # Shorter than the memory takes to answer.
    patch.setattr(control, "WATCHDOG_CYCLES", 30)
    engine._control._set("watchdog", 30)


def _few_cycles(engine: Engine, patch: pytest.MonkeyPatch) -> None:
    assert engine._loaded is not None
    patch.setattr(engine, "_loaded", replace(engine._loaded, most_cycles=20_000))


def _abort(engine: Engine, patch: pytest.MonkeyPatch) -> None:
    start = engine._control.start

    def aborting(*arguments: int) -> None:
        start(*arguments)
        engine._control._set("abort", 1)

    patch.setattr(engine._control, "start", aborting)


FAULTS = {
    1: Fault(_read_outside, "a read outside the arena", in_cpp=True),
    2: Fault(_write_outside, "a write outside the arena, or to protected words", in_cpp=True),
    3: Fault(_no_memory_to_read, "an error response to a read"),
    4: Fault(_no_memory_to_write, "an error response to a write"),
    5: Fault(_older_format, "registers or a descriptor that it cannot run", in_cpp=True),
    6: Fault(_impatient_watchdog, "the watchdog: nothing moved at any port for 30 cycles"),
    7: Fault(_few_cycles, "the limit of cycles, 20,000", layer=None, in_cpp=True),
    8: Fault(_abort, "an abort", layer=None),
}
assert FAULTS.keys() == registers.ENGINE_ERRORS.keys() - {0}

SEEN = [
    (implementation, code)
    for code, fault in FAULTS.items()
    for implementation in Implementation
    if fault.in_cpp or implementation is Implementation.RTL
]
"""Implementations, and error codes that each raises."""
