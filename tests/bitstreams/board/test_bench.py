from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from support.boards.twins import images_of

from bitstreams.board import bench as bench_module
from bitstreams.board.bench import Bench
from bitstreams.board.control import UnfinishedRunError
from bitstreams.board.driver import Engine, Measured
from bitstreams.board.session import ConnectionLostError
from hw_templates.conv_engine import isa
from hw_templates.conv_engine.program import Program, read_program
from hw_templates.foundation.errors import BoardError


@dataclass
class FakeEngine:
    """An engine that raises what it is told, one start after the other."""

    errors: list[Exception | None]
    closed: int = 0
    session: "FakeEngine" = field(init=False)

    def __post_init__(self) -> None:
        self.session = self

    def load_program(self, program: Program) -> None:
        pass

    def measure(self, image: bytes, repetitions: int) -> Measured:
        error = self.errors.pop(0)
        if error:
            raise error
        return Measured(
            ms=np.ones(repetitions),
            cycles=None,
            clock_mhz=100.0,
            counters=np.zeros(1, isa.COUNTERS),
            first_pixel=b"\1",
        )

    def close(self) -> None:
        self.closed += 1


def connecting(*made: FakeEngine | Exception) -> Callable[[], Engine]:
    left = list(made)

    def connect() -> Engine:
        thing = left.pop(0)
        if isinstance(thing, Exception):
            raise thing
        return thing  # type: ignore[return-value]

    return connect


@pytest.fixture
def paused(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses that were asked for, none of which is made."""
    asked: list[float] = []
    monkeypatch.setattr(bench_module, "PAUSES_S", (1.0, 2.0, 4.0))
    monkeypatch.setattr(bench_module.time, "sleep", asked.append)
    return asked


@pytest.fixture
def program(zynq_project: Path) -> tuple[Program, bytes]:
    return read_program(zynq_project), images_of(zynq_project)[0]


def test_a_lost_board_is_looked_for_with_growing_pauses(program: tuple[Program, bytes], paused: list[float]) -> None:
    first, second, said = FakeEngine([None, ConnectionLostError("gone")]), FakeEngine([None]), list[str]()
    bench = Bench(connecting(first, ConnectionLostError("still gone"), second), said.append)
    bench.measure(*program, repetitions=2)
    with pytest.raises(ConnectionLostError):
        bench.measure(*program, repetitions=2)
    assert first.closed == 2
    assert bench.measure(*program, repetitions=2).ms.tolist() == [1, 1]
    assert paused == [1, 2]
    assert said == ["the board is looked for again in 1 s", "the board is looked for again in 2 s"]


def test_a_board_that_does_not_come_back_is_given_up(program: tuple[Program, bytes], paused: list[float]) -> None:
    gone = ConnectionLostError("gone")
    bench = Bench(connecting(FakeEngine([gone]), gone, gone, gone), lambda _: None)
    with pytest.raises(ConnectionLostError):
        bench.measure(*program, repetitions=1)
    with pytest.raises(BoardError, match=r"gone \(looked for it 3 times\)") as raised:
        bench.measure(*program, repetitions=1)
    assert not isinstance(raised.value, ConnectionLostError)
    assert paused == [1, 2, 4]


def test_a_board_that_refuses_is_not_asked_again(paused: list[float]) -> None:
    with pytest.raises(BoardError, match="login refused"):
        Bench(connecting(BoardError("login refused")), lambda _: None)
    with pytest.raises(ConnectionLostError):
        Bench(connecting(ConnectionLostError("mistyped")), lambda _: None)
    assert paused == []


def test_after_a_hang_the_board_is_connected_anew_only_where_it_is_not_usable(
    program: tuple[Program, bytes], paused: list[float]
) -> None:
    errors = [UnfinishedRunError("slow", True), None, UnfinishedRunError("stuck", False)]
    first, second = FakeEngine(list(errors)), FakeEngine([None])
    bench = Bench(connecting(first, second), lambda _: None)
    for message in ("slow", None, "stuck"):
        if message is None:
            bench.measure(*program, repetitions=1)
        else:
            with pytest.raises(UnfinishedRunError, match=message):
                bench.measure(*program, repetitions=1)
    bench.measure(*program, repetitions=1)
    bench.close()
    assert (first.closed, second.closed) == (2, 2)
