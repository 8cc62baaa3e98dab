"""An engine for hundreds of programs, one after the other, on a board that may get lost on the way."""

import time
from collections.abc import Callable

from bitstreams.board.control import UnfinishedRunError
from bitstreams.board.driver import Engine, Measured
from bitstreams.board.session import ConnectionLostError
from hw_templates.conv_engine.program import Program
from hw_templates.foundation.errors import BoardError

PAUSES_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 60.0, 60.0)
"""Before each attempt to find a board again that was lost."""


class Bench:
    """Measures programs, and connects and configures again where the board got lost."""

    def __init__(self, connect: Callable[[], Engine], tell: Callable[[str], None]) -> None:
        """Connect for the first time.

        Args:
            connect: makes a session, and with it an engine whose bitstream is loaded.
            tell: hears that a board is lost, and when it is looked for again.

        Raises:
            CodesignError: whatever ``connect`` raises.
        """
        self._connect = connect
        self._tell = tell
        self._engine: Engine | None = connect()

    def measure(self, program: Program, image: bytes, repetitions: int) -> Measured:
        """Run a program, after another attempt to find the board if it was lost in the last one.

        Raises:
            VerificationError: the engine's counters cannot be.
            UnfinishedRunError: it did not finish; the next program finds the board configured again.
            ConnectionLostError: the board was lost while it ran.
            BoardError: the board refuses, or was not found again.
        """
        engine = self._engine = self._engine or self._found_again()
        try:
            engine.load_program(program)
            return engine.measure(image, repetitions)
        except UnfinishedRunError as error:
            if not error.is_usable:
                self.close()
            raise
        except ConnectionLostError:
            self.close()
            raise

    def close(self) -> None:
        """Let the board go; it keeps its bitstream."""
        if self._engine is not None:
            self._engine.close()
            self._engine.session.close()
            self._engine = None

    def _found_again(self) -> Engine:
        for pause_s in PAUSES_S:
            self._tell(f"the board is looked for again in {pause_s:g} s")
            time.sleep(pause_s)
            try:
                return self._connect()
            except ConnectionLostError as error:
                last = error
        raise BoardError(f"{last} (looked for it {len(PAUSES_S)} times)")
