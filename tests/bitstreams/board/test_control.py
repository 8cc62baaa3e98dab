"""The engine in Verilog on a twin that simulates it, driven by the real client of PYNQ: how its runs end."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.boards.emitted_projects import FUSING, emit_fused_project
from support.boards.engine_faults import FAULTS
from support.boards.twins import IMAGES, golden_of, images_of, running, served, spoil_loaded
from support.verilog.simulated import need_verilator

from bitstreams.board import control
from bitstreams.board.control import UndrainedError, UnfinishedRunError
from bitstreams.board.driver import Engine
from bitstreams.board.remote_session import RemoteSession
from bitstreams.board.timing import Timing
from bitstreams.twin.server import TwinServer
from cost_models.coefficients import load_coefficients
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.conv_engine.program import Program, read_program
from hw_templates.foundation.errors import InvalidValueError


@pytest.fixture(scope="module")
def program(verilog_project: Path) -> Program:
    return read_program(verilog_project, Implementation.RTL)


@pytest.fixture(scope="module")
def server(verilog_project: Path) -> Iterator[TwinServer]:
    with served(verilog_project) as opened:
        yield opened


@pytest.fixture
def engine(server: TwinServer, tmp_path: Path) -> Iterator[Engine]:
    with running(server, tmp_path) as opened:
        yield opened


@pytest.fixture
def images(verilog_project: Path) -> list[bytes]:
    return images_of(verilog_project)


@pytest.fixture
def golden(verilog_project: Path) -> list[bytes]:
    return golden_of(verilog_project, "isa5")


def configured(session: RemoteSession, bit: Path) -> None:
    raise AssertionError("the board was configured again")


def test_logits_counters_and_cycles_are_those_of_the_verilog(
    engine: Engine, program: Program, images: list[bytes], golden: list[bytes], verilog_project: Path
) -> None:
    engine.load_program(program)
    assert list(engine.run(images)) == golden
    stated = [line.split()[1:5] for line in (verilog_project / "isa5/stated.txt").read_text().splitlines()]
    assert [tuple(row) for row in engine.trips()] == [tuple(map(int, row)) for row in stated[: program.layer_count]]
    assert engine.twin is Timing.RTL
    first, second = engine.measure(images[0], 1), engine.measure(images[1], 2)
    # No layer's work depends on its data.
    assert first.cycles == second.cycles
    assert first.cycles is not None
    assert second.ms == pytest.approx([first.cycles / 1e5] * 2)
    layers = first.counters["total_cycles"].sum()
    # Behind each layer the answers to its last writes are waited for.
    assert layers < first.cycles < layers + 100 * program.layer_count
    assert (first.counters["compute_cycles"] > first.counters["compute_trips"]).all()
    assert first.first_pixel == golden[0]


def test_maps_that_stay_on_chip_band_by_band_are_run_as_those_in_memory(tmp_path: Path) -> None:
    need_verilator()
    project = tmp_path / "project"
    emit_fused_project(project, FUSING, seed=3, images=IMAGES, implementation=Implementation.RTL)
    program = read_program(project, Implementation.RTL)
    assert program.descriptors["map_in"].any()
    assert program.descriptors["map_out"].any()
    with served(project) as server, running(server, tmp_path) as engine:
        engine.load_program(program)
        assert list(engine.run(images_of(project))) == golden_of(project, "isa5")
        checked, measured = engine.hardware.check(program), engine.measure(images_of(project)[0], 1)
    assert measured.cycles is not None
    assert checked.least_cycles == measured.counters["compute_trips"].sum()
    assert checked.least_cycles < measured.cycles < checked.most_cycles


def test_what_is_no_twin_is_timed_by_the_cycles_that_the_engine_counts(
    engine: Engine, program: Program, images: list[bytes]
) -> None:
    engine.load_program(program)
    simulated = engine.measure(images[0], 1)
    engine.twin = None
    counted = engine.measure(images[0], 3)
    assert (counted.cycles, counted.starts) == (None, 1)
    assert counted.ms == pytest.approx([simulated.ms[0]] * 3)


@pytest.mark.parametrize("code", FAULTS)
def test_a_run_that_ends_with_an_error_is_said_and_the_next_one_is_right(
    code: int,
    engine: Engine,
    program: Program,
    images: list[bytes],
    golden: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fault = FAULTS[code]
    engine.load_program(program)
    layer = r"\d+" if fault.layer is None else str(fault.layer)
    with monkeypatch.context() as patch:
        patch.setattr(RemoteSession, "load", configured)
        fault.cause(engine, patch)
        reason = (
            rf"descriptor {layer} of the program ended with error {code}, {fault.message}; the board takes the next"
        )
        with pytest.raises(UnfinishedRunError, match=rf"^127\.0\.0\.1:\d+: {reason} program$") as raised:
            list(engine.run(images))
        assert raised.value.is_usable
    with monkeypatch.context() as patch:
        patch.setattr(RemoteSession, "load", configured)
        engine.load_program(program)
        assert list(engine.run(images[:2])) == golden[:2]


def test_a_damaged_descriptor_writes_over_nothing_that_a_program_needs(
    engine: Engine, program: Program, images: list[bytes], golden: list[bytes]
) -> None:
    engine.load_program(program)
    assert engine._loaded is not None
    layout, arena = engine._loaded.layout, engine._loaded.arena
    spoil_loaded(engine, ofmap_word=layout.content_offset // program.axi_bytes)
    with pytest.raises(UnfinishedRunError, match="error 2, a write outside the arena, or to protected words"):
        list(engine.run(images))
    assert (
        arena.read(layout.content_offset, program.counter_word * program.axi_bytes)
        == (program.arena[: program.counter_word * program.axi_bytes])
    )
    engine.load_program(program)
    assert list(engine.run(images[:1])) == golden[:1]


def test_a_run_that_takes_too_long_is_aborted_at_once(
    engine: Engine, program: Program, images: list[bytes], golden: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.load_program(program)
    monkeypatch.setattr(RemoteSession, "load", configured)
    engine.twin, engine.timeout_s = None, 0.1  # as on a board
    assert engine._loaded is not None
    begun = time.perf_counter()
    with pytest.raises(UnfinishedRunError, match=r"error 8, an abort \(not done within 0\.1 s\); the board takes the"):
        engine.repeat(images[0])
    assert time.perf_counter() < begun + 2
    engine.timeout_s = 20
    assert list(engine.run(images[:2])) == golden[:2]


def test_an_interruption_aborts_the_run_and_leaves_the_engine_idle(
    engine: Engine, program: Program, images: list[bytes], golden: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.load_program(program)
    wait, waits = RemoteSession.wait, iter(range(100))

    def interrupt(session: RemoteSession, address: int, timeout_s: float) -> float | None:
        # The first wait of each run; the next one is for the run that was aborted.
        if next(waits) % 2 == 0:
            raise KeyboardInterrupt
        return wait(session, address, timeout_s)

    for interrupted in (lambda: engine.repeat(images[0]), lambda: list(engine.run(images))):
        with monkeypatch.context() as patch:
            patch.setattr(RemoteSession, "wait", interrupt)
            with pytest.raises(KeyboardInterrupt):
                interrupted()
        assert engine._control._get("status") & 0x300 == 0
        assert engine._control._get("status") & 15 == 8
    assert list(engine.run(images[:2])) == golden[:2]


def test_memory_that_owes_answers_keeps_everything_from_being_started_or_loaded(
    verilog_project: Path, program: Program, images: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prior = load_coefficients(implementation=Implementation.RTL)
    silent = replace(prior, memory_latency_cycles=1e9)
    monkeypatch.setattr(control, "STOP_S", 0.3)
    with served(verilog_project, silent) as server, running(server, tmp_path) as engine:
        engine.load_program(program)
        monkeypatch.setattr(RemoteSession, "load", configured)
        owed = "the memory owes the engine answers of an earlier run: start, reset and load nothing, and restart"
        with pytest.raises(
            UndrainedError, match=f"descriptor 0 .* error 6, the watchdog: .* for 100,000 cycles; {owed}"
        ):
            list(engine.run(images))
        for again in (lambda: list(engine.run(images)), lambda: engine.load_program(program)):
            with pytest.raises(UndrainedError, match=rf"^127\.0\.0\.1:\d+: {owed} the board$"):
                again()


def test_a_request_beside_the_buffers_ends_the_simulation_and_the_board_is_configured_again(
    engine: Engine, program: Program, images: list[bytes], golden: list[bytes]
) -> None:
    engine.load_program(program)
    assert engine._loaded is not None
    arena = engine._loaded.arena
    # Between the two buffers lies memory of nobody's, which the engine takes for the arena's.
    spoil_loaded(engine, ifmap_word=arena.size // program.axi_bytes)
    reason = f"0x{arena.address + arena.size:08X}: the engine's program reaches it, and no allocated buffer has it"
    with pytest.raises(UnfinishedRunError, match=f"{reason}; it has been configured again"):
        list(engine.run(images))
    engine.load_program(program)
    assert list(engine.run(images[:1])) == golden[:1]


def test_a_program_that_asks_for_more_cycles_than_a_start_may_take_is_refused_before_memory_is_asked_for(
    engine: Engine, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: object) -> None:
        raise AssertionError("memory was asked for")

    monkeypatch.setattr(RemoteSession, "allocate", asked)
    engine.timeout_s = 1e-3
    with pytest.raises(
        InvalidValueError,
        match=r"program\.iterations: must be at most 100000, the cycles of 0\.001 s at 100 MHz \(--timeout\), got \d+",
    ):
        engine.load_program(program)


def test_each_start_has_a_limit_of_cycles(
    engine: Engine, program: Program, images: list[bytes], golden: list[bytes]
) -> None:
    engine.load_program(program)
    assert list(engine.run(images[:1])) == golden[:1]
    limit, cycles = engine._control._get("cycle_limit"), engine._control._get("cycles")
    assert cycles < limit < 50 * cycles
    engine.timeout_s = 0.005
    assert list(engine.run(images[:1])) == golden[:1]
    assert engine._control._get("cycle_limit") == 500_000
