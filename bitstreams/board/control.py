"""The control registers of an engine: what a run needs, its start and its end, for each implementation."""

import contextlib
import time

from bitstreams.board.session import Session
from hw_templates.conv_engine import registers
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.errors import BoardError

WATCHDOG_CYCLES = 100_000
"""Cycles without a word at any port, and nothing to compute, after which the engine in Verilog ends a run."""

TURN_S = 1.0
"""Longest time that the board is waited for without an interruption being seen."""

STOP_S = 5.0
"""Longest time that a run may take to end once its time is over, and the memory to answer what was asked for."""

_OWED = "the memory owes the engine answers of an earlier run: start, reset and load nothing, and restart the board"


class UnfinishedRunError(BoardError):
    """The engine did not finish in time, could not run its program, or cannot finish any more.

    Attributes:
        is_usable: whether the board takes another program.
    """

    def __init__(self, message: str, is_usable: bool) -> None:
        super().__init__(message)
        self.is_usable = is_usable


class UndrainedError(BoardError):
    """The memory owes an engine answers: until they have come, nothing may be started, reset or loaded."""


class EngineControl:
    """Control of the engine in C++, which ends a run by itself at its limit of cycles, and at none before."""

    implementation = Implementation.HLS

    def __init__(self, session: Session, address: int) -> None:
        """Take the session and the physical address of the engine's registers; nothing is written yet."""
        self._session = session
        self._address = address
        self._map = registers.REGISTER_MAPS[self.implementation]

    def _set(self, name: str, value: int) -> None:
        register = self._map.engine[name]
        for word in range(register.bits // 32):
            self._session.write(self._address + register.offset + 4 * word, value >> (32 * word) & 0xFFFFFFFF)

    def _get(self, name: str) -> int:
        register = self._map.engine[name]
        words = range(register.bits // 32)
        return sum(self._session.read(self._address + register.offset + 4 * word) << (32 * word) for word in words)

    def check_idle(self) -> None:
        """Make sure that nothing of an earlier run is due.

        Raises:
            UndrainedError: the memory owes answers.
        """

    def prepare(self, base: int, arena_words: int, protected_words: int) -> None:
        """Tell the engine of its memory.

        Args:
            base: physical address that places count from.
            arena_words: words from there on that it may reach.
            protected_words: words from there on that it may only read.
        """
        for port in registers.PORTS:
            self._set(port, base)
        self._set("arena_words", arena_words)
        self._set("protected_words", protected_words)

    def start(self, program_word: int, layers: int, repeats: int, most_cycles: int) -> None:
        """Start the engine, which ends the run once it has taken ``most_cycles``.

        Args:
            program_word: where the first descriptor lies.
            layers: of the program.
            repeats: how often the program follows itself.
            most_cycles: cycles that the run may take.
        """
        self.check_idle()
        self._layers = layers
        self._most_cycles = min(most_cycles, self._map.most_cycles)
        self._set("cycle_limit", self._most_cycles)
        self._set("program_word", program_word)
        self._set("layer_count", layers * repeats)
        self._session.start(self._address)
        self._started = time.perf_counter()

    def wait(self, timeout_s: float) -> float | None:
        """Wait for the end of a run, and return the seconds that it took; None where it does not end.

        A run whose time is over is brought to its end.

        Raises:
            UnfinishedRunError, UndrainedError: it ended otherwise than its program does.
            BoardError: no answer.
        """
        seconds = self._done_by(timeout_s)
        late = "" if seconds is not None else f" (not done within {timeout_s:g} s)"
        if seconds is None:
            seconds = self._end()
        if seconds is not None:
            self._check_status(late)
        return seconds

    def stop(self) -> None:
        """Bring the engine to rest, however its run goes on; silent where that fails."""
        with contextlib.suppress(BoardError):
            self._end()

    def cycles(self) -> int:
        """Return the cycles of the last run, from its start to its end."""
        return self._get("cycles")

    def _end(self) -> float | None:
        """Bring a run to its end, and return the seconds that it took; None where it does not end."""
        # What must end by its limit of cycles has little time left.
        return self._done_by(time.perf_counter() - self._started + STOP_S)

    def _done_by(self, timeout_s: float) -> float | None:
        """Return the seconds from the start to the end of a run; None where ``timeout_s`` are over before."""
        waited = time.perf_counter() - self._started
        while True:
            waited = min(waited + TURN_S, timeout_s)
            seconds = self._session.wait(self._address, waited)
            if seconds is not None or waited >= timeout_s:
                return seconds

    def _check_status(self, late: str) -> None:
        """Make sure that the run ended as its program does; ``late`` says that its time was over, if it was.

        Raises:
            UnfinishedRunError: it did not; the engine takes the next program.
            UndrainedError: nor has the memory answered everything.
        """
        status = self._get("status")
        code = status & registers.STATUS_CODE
        if code == 0:
            return
        details = {6: f" for {WATCHDOG_CYCLES:,} cycles", 7: f", {self._most_cycles:,}", 8: late}
        # A program that follows itself counts on; a layer in bands has a descriptor for each.
        descriptor = (status >> registers.STATUS_LAYER_SHIFT) % self._layers
        reason = (
            f"{self._session.where}: descriptor {descriptor} of the program "
            f"ended with error {code}, {registers.ENGINE_ERRORS.get(code, 'an unknown one')}{details.get(code, '')}"
        )
        self._drain(reason)
        raise UnfinishedRunError(f"{reason}; the board takes the next program", True)

    def _drain(self, reason: str) -> None:
        """Wait for what the memory owes behind a run that ended early; the C++ ends with all of it."""


class VerilogControl(EngineControl):
    """Control of the engine in Verilog, which has a watchdog, ends a run when it is told to, and shows what is due."""

    implementation = Implementation.RTL

    def check_idle(self) -> None:
        """Make sure that nothing of an earlier run is due."""
        if self._get("status") & registers.STATUS_UNDRAINED:
            raise UndrainedError(f"{self._session.where}: {_OWED}")

    def prepare(self, base: int, arena_words: int, protected_words: int) -> None:
        """Tell the engine of its memory, and let its watchdog end a run in which nothing moves."""
        super().prepare(base, arena_words, protected_words)
        self._set("watchdog", WATCHDOG_CYCLES)

    def _end(self) -> float | None:
        self._set("abort", 1)
        return super()._end()

    def _drain(self, reason: str) -> None:
        deadline = time.perf_counter() + STOP_S
        while self._get("status") & registers.STATUS_UNDRAINED:
            if time.perf_counter() > deadline:
                raise UndrainedError(f"{reason}; {_OWED}")


CONTROLS: dict[Implementation, type[EngineControl]] = {
    control.implementation: control for control in (EngineControl, VerilogControl)
}
