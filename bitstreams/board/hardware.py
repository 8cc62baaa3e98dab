"""The engine that a driver expects on a board, and the check of programs against it."""

from dataclasses import dataclass

from bitstreams.board.descriptors import check_program
from bitstreams.board.parts import Access
from hw_templates.board import Board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.engine_shape import EngineShape
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.conv_engine.program import Program


@dataclass(frozen=True)
class CheckedProgram:
    """A program that the engine can run.

    Attributes:
        accesses: what each layer reads and writes.
        least_cycles, most_cycles: cycles that a run takes at least, and at most where memory answers as it should.
    """

    accesses: list[list[Access]]
    least_cycles: int
    most_cycles: int


@dataclass(frozen=True)
class Hardware:
    """The engine that is expected: its board, the digest of its sources, its parameters and its implementation."""

    board: Board
    hardware_sha256: str
    accelerator: Accelerator
    implementation: Implementation

    @property
    def shape(self) -> EngineShape:
        """Return the sizes of the engine, which both implementations have."""
        return EngineShape(accelerator=self.accelerator, family=self.board.family)

    def check(self, program: Program) -> CheckedProgram:
        """Refuse a program that the engine cannot run, or that reads or writes outside of its own memory.

        Raises:
            InvalidValueError: names the field that is wrong.
        """
        work = check_program(program, self.shape)
        return CheckedProgram(
            [layer.accesses for layer in work],
            sum(layer.iterations for layer in work),
            sum(layer.most_cycles for layer in work),
        )
