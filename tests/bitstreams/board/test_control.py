"""The engine of each implementation on a twin, driven by the real client of PYNQ: how its runs end."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.boards.emitted_projects import FUSING, emit_fused_project
from support.boards.engine_faults import FAULTS, SEEN
from support.boards.twins import (
    IMAGES,
    Served,
    golden_of,
    images_of,
    running,
    served,
    spoil_endless,
    spoil_loaded,
    stated_of,
)
from support.verilog.simulated import need_verilator

from bitstreams.board import control
from bitstreams.board.control import UndrainedError, UnfinishedRunError
from bitstreams.board.driver import Engine
from bitstreams.board.remote_session import RemoteSession
from bitstreams.board.timing import Timing
from bitstreams.twin.modelled import ModelledEngine
from cost_models.coefficients import load_coefficients
from hw_templates.conv_engine import registers
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.conv_engine.program import read_program
from hw_templates.foundation.errors import InvalidValueError, VerificationError

HLS, RTL = Implementation.HLS, Implementation.RTL


def configured(session: RemoteSession, bit: Path) -> None:
    raise AssertionError("the board was configured again")


@pytest.fixture
def unchanged(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lets nobody configure the board again once the engine is there."""
    with monkeypatch.context() as patch:
        patch.setattr(RemoteSession, "load", configured)
        yield


def status_of(engine: Engine) -> int:
    return engine._control._get("status")


def test_logits_and_counters_are_those_of_the_reference_and_as_stated(engine: Engine, on_twin: Served) -> None:
    engine.load_program(on_twin.program)
    assert list(engine.run(on_twin.images)) == on_twin.golden
    assert [tuple(row) for row in engine.trips()] == stated_of(on_twin.project)
    assert engine.twin is {HLS: Timing.MODEL, RTL: Timing.RTL}[on_twin.implementation]
    first, second = engine.measure(on_twin.images[0], 1), engine.measure(on_twin.images[1], 2)
    # No layer's work depends on its data.
    assert first.cycles == second.cycles
    assert first.cycles is not None
    assert second.ms == pytest.approx([first.cycles / 1e5] * 2)
    assert (first.counters["compute_cycles"] > first.counters["compute_trips"]).all()
    assert first.first_pixel == on_twin.golden[0]


@pytest.mark.parametrize("implementation", [RTL])
def test_behind_each_layer_the_answers_to_its_last_writes_are_waited_for(engine: Engine, on_twin: Served) -> None:
    program = on_twin.program
    engine.load_program(program)
    measured = engine.measure(on_twin.images[0], 1)
    layers = measured.counters["total_cycles"].sum()
    assert measured.cycles is not None
    assert layers < measured.cycles < layers + 100 * program.layer_count


@pytest.mark.parametrize("implementation", Implementation)
def test_maps_that_stay_on_chip_band_by_band_are_run_as_those_in_memory(
    implementation: Implementation, tmp_path: Path
) -> None:
    if implementation is RTL:
        need_verilator()
    project = tmp_path / "project"
    emit_fused_project(project, FUSING, seed=3, images=IMAGES, implementation=implementation)
    program = read_program(project)
    assert program.descriptors["map_in"].any()
    assert program.descriptors["map_out"].any()
    with served(project) as server, running(server, tmp_path) as engine:
        engine.load_program(program)
        assert list(engine.run(images_of(project))) == golden_of(project)
        checked, measured = engine.hardware.check(program), engine.measure(images_of(project)[0], 1)
    assert measured.cycles is not None
    assert checked.least_cycles == measured.counters["compute_trips"].sum()
    assert checked.least_cycles < measured.cycles < checked.most_cycles


def test_what_is_no_twin_is_timed_by_the_cycles_that_the_engine_counts(engine: Engine, on_twin: Served) -> None:
    engine.load_program(on_twin.program)
    simulated = engine.measure(on_twin.images[0], 1)
    engine.twin = None
    counted = engine.measure(on_twin.images[0], 3)
    assert counted.cycles is None
    assert counted.ms == pytest.approx([simulated.ms[0]] * 3)


def test_a_count_of_fewer_cycles_than_a_run_must_take_is_no_measurement(
    engine: Engine, on_twin: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.load_program(on_twin.program)
    iterations = engine.hardware.check(on_twin.program).least_cycles
    monkeypatch.setattr(engine._control, "cycles", lambda: iterations)
    with pytest.raises(
        VerificationError,
        match=f"must take more cycles than its {iterations} iterations, the engine counts {iterations}",
    ):
        engine.measure(on_twin.images[0], 1)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(("implementation", "code"), SEEN)
def test_a_run_that_ends_with_an_error_is_said_and_the_next_one_is_right(
    code: int, engine: Engine, on_twin: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = FAULTS[code]
    engine.load_program(on_twin.program)
    layer = r"\d+" if fault.layer is None else str(fault.layer)
    with monkeypatch.context() as patch:
        fault.cause(engine, patch)
        reason = (
            rf"descriptor {layer} of the program ended with error {code}, {fault.message}; the board takes the next"
        )
        with pytest.raises(UnfinishedRunError, match=rf"^127\.0\.0\.1:\d+: {reason} program$") as raised:
            list(engine.run(on_twin.images))
        assert raised.value.is_usable
    engine.load_program(on_twin.program)
    assert list(engine.run(on_twin.images[:2])) == on_twin.golden[:2]


def test_a_damaged_descriptor_writes_over_nothing_that_a_program_needs(engine: Engine, on_twin: Served) -> None:
    program = on_twin.program
    engine.load_program(program)
    assert engine._loaded is not None
    layout, arena = engine._loaded.layout, engine._loaded.arena
    spoil_loaded(engine, ofmap_word=layout.content_offset // program.axi_bytes)
    with pytest.raises(UnfinishedRunError, match="error 2, a write outside the arena, or to protected words"):
        list(engine.run(on_twin.images))
    content = program.counter_word * program.axi_bytes
    assert arena.read(layout.content_offset, content) == program.arena[:content]
    engine.load_program(program)
    assert list(engine.run(on_twin.images[:1])) == on_twin.golden[:1]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("implementation", [RTL])
def test_a_run_that_takes_too_long_is_aborted_at_once(engine: Engine, on_twin: Served) -> None:
    engine.load_program(on_twin.program)
    engine.twin, engine.timeout_s = None, 0.1  # as on a board
    begun = time.perf_counter()
    with pytest.raises(UnfinishedRunError, match=r"error 8, an abort \(not done within 0\.1 s\); the board takes the"):
        engine.repeat(on_twin.images[0])
    assert time.perf_counter() < begun + 2
    engine.timeout_s = 20
    assert list(engine.run(on_twin.images[:2])) == on_twin.golden[:2]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("implementation", [HLS])
def test_a_run_that_cannot_be_aborted_ends_by_its_limit_of_cycles(engine: Engine, on_twin: Served) -> None:
    engine.load_program(on_twin.program)
    spoil_endless(engine)
    engine.timeout_s = 0.01
    with pytest.raises(UnfinishedRunError, match=r"descriptor 0 .* error 7, the limit of cycles, 1,000,000; the board"):
        list(engine.run(on_twin.images))
    engine.timeout_s = 20
    engine.load_program(on_twin.program)
    assert list(engine.run(on_twin.images[:2])) == on_twin.golden[:2]


@pytest.mark.parametrize("implementation", [HLS])
def test_an_engine_that_does_not_end_is_configured_again(
    engine: Engine, on_twin: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "STOP_S", 0.2)
    engine.load_program(on_twin.program)
    logic = on_twin.server.board.engine
    assert isinstance(logic, ModelledEngine)
    assert logic._fabric._process is not None
    # Memory that does not answer holds the engine up for ever.
    os.kill(logic._fabric._process.pid, signal.SIGSTOP)
    engine.timeout_s = 0.3
    with pytest.raises(
        UnfinishedRunError, match=r"^127\.0\.0\.1:\d+: the engine did not finish within 0\.3 s; it has been configured"
    ) as raised:
        list(engine.run(on_twin.images))
    assert raised.value.is_usable
    with pytest.raises(InvalidValueError, match="program: must be loaded"):
        list(engine.run(on_twin.images))
    engine.timeout_s = 20
    engine.load_program(on_twin.program)
    assert list(engine.run(on_twin.images[:2])) == on_twin.golden[:2]


@pytest.mark.usefixtures("unchanged")
def test_an_interruption_leaves_the_engine_idle(
    engine: Engine, on_twin: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.load_program(on_twin.program)
    wait, waits = RemoteSession.wait, iter(range(100))

    def interrupt(session: RemoteSession, address: int, timeout_s: float) -> float | None:
        # The first wait of each run; the next one is for its end.
        if next(waits) % 2 == 0:
            raise KeyboardInterrupt
        return wait(session, address, timeout_s)

    for interrupted in (lambda: engine.repeat(on_twin.images[0]), lambda: list(engine.run(on_twin.images))):
        with monkeypatch.context() as patch:
            patch.setattr(RemoteSession, "wait", interrupt)
            with pytest.raises(KeyboardInterrupt):
                interrupted()
        # The Verilog aborts what the C++ must run to its end.
        assert status_of(engine) & (registers.STATUS_UNDRAINED | registers.STATUS_CODE | 1 << 8) == (
            8 if on_twin.implementation is RTL else 0
        )
        assert engine.session.read(engine._addresses.engine) & registers.IDLE
    assert list(engine.run(on_twin.images[:2])) == on_twin.golden[:2]


@pytest.mark.parametrize("implementation", [RTL])
def test_memory_that_owes_answers_keeps_everything_from_being_started_or_loaded(
    on_twin: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = replace(load_coefficients(implementation=RTL), memory_latency_cycles=1e9)
    monkeypatch.setattr(control, "STOP_S", 0.3)
    with served(on_twin.project, silent) as server, running(server, tmp_path) as engine:
        engine.load_program(on_twin.program)
        monkeypatch.setattr(RemoteSession, "load", configured)
        owed = "the memory owes the engine answers of an earlier run: start, reset and load nothing, and restart"
        with pytest.raises(
            UndrainedError, match=f"descriptor 0 .* error 6, the watchdog: .* for 100,000 cycles; {owed}"
        ):
            list(engine.run(on_twin.images))
        for again in (lambda: list(engine.run(on_twin.images)), lambda: engine.load_program(on_twin.program)):
            with pytest.raises(UndrainedError, match=rf"^127\.0\.0\.1:\d+: {owed} the board$"):
                again()


def test_a_request_beside_the_buffers_ends_the_twin_and_the_board_is_configured_again(
    engine: Engine, on_twin: Served
) -> None:
    engine.load_program(on_twin.program)
    assert engine._loaded is not None
    arena = engine._loaded.arena
    # Between the two buffers lies memory of nobody's, which the engine takes for the arena's.
    spoil_loaded(engine, ifmap_word=arena.size // on_twin.program.axi_bytes)
    reason = f"0x{arena.address + arena.size:08X}: the engine's program reaches it, and no allocated buffer has it"
    with pytest.raises(UnfinishedRunError, match=f"{reason}; it has been configured again"):
        list(engine.run(on_twin.images))
    engine.load_program(on_twin.program)
    assert list(engine.run(on_twin.images[:1])) == on_twin.golden[:1]


def test_a_program_that_asks_for_more_cycles_than_a_start_may_take_is_refused_before_memory_is_asked_for(
    engine: Engine, on_twin: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: object) -> None:
        raise AssertionError("memory was asked for")

    monkeypatch.setattr(RemoteSession, "allocate", asked)
    engine.timeout_s = 1e-5
    with pytest.raises(
        InvalidValueError,
        match=r"program\.iterations: must be at most 1000, the cycles of 1e-05 s at 100 MHz \(--timeout\), got \d+",
    ):
        engine.load_program(on_twin.program)


def test_a_program_that_leaves_its_arena_is_refused_before_memory_is_asked_for(
    engine: Engine, on_twin: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = on_twin.program
    table = program.descriptors.copy()
    table["ofmap_word"][2] += (96 << 20) // program.axi_bytes
    moved = replace(program, arena=table.tobytes() + program.arena[table.nbytes :])

    def asked(*_: object) -> None:
        raise AssertionError("memory was asked for")

    monkeypatch.setattr(RemoteSession, "allocate", asked)
    with pytest.raises(
        InvalidValueError, match=r"program\.layers\[2\]\.ofmap_word: must be such that its \d+ words lie"
    ):
        engine.load_program(moved)


def test_each_start_has_a_limit_of_cycles(engine: Engine, on_twin: Served) -> None:
    engine.load_program(on_twin.program)
    assert list(engine.run(on_twin.images[:1])) == on_twin.golden[:1]
    limit, cycles = engine._control._get("cycle_limit"), engine._control.cycles()
    assert cycles < limit < 100 * cycles
    engine.timeout_s = 0.005
    assert list(engine.run(on_twin.images[:1])) == on_twin.golden[:1]
    assert engine._control._get("cycle_limit") == 500_000


@pytest.mark.parametrize("implementation", [HLS])
def test_a_limit_is_at_most_what_its_register_takes(engine: Engine, on_twin: Served) -> None:
    engine.load_program(on_twin.program)
    loaded = engine._program()
    table_word = loaded.layout.table_word(0, loaded.arena.address, loaded.results.address)
    engine._control.start(table_word, on_twin.program.layer_count, 1, 2**40)
    assert engine._control.wait(20) is not None
    assert engine._control._get("cycle_limit") == 2**31 - 1
