"""What the engine's Verilog refuses and reports, and what its counters mean."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.verilog.engine_bench import (
    ABORT,
    CYCLE_LIMIT,
    DESCRIPTOR,
    LAYERS,
    READ_OUTSIDE,
    READ_RESPONSE,
    SHAPE,
    WATCHDOG,
    WORD,
    WRITE_OUTSIDE,
    WRITE_RESPONSE,
    Bench,
)
from support.verilog.simulated import build_engine_test, need_verilator

from cost_models.engine.counts import slot_work
from hw_templates.conv_engine import isa5, registers
from hw_templates.conv_engine.isa import COUNTERS

STOP_CYCLES = 4096
"""Most cycles that the engine takes to stop, behind the cycle in which it must."""
SEED = 2
PORTS = [registers.RTL_ENGINE[name].offset for name in registers.PORTS]
COUNTED = [(name, np.int64) for name in COUNTERS.names or ()]


@pytest.fixture(scope="module")
def simulation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The engine, which runs what its arguments say."""
    need_verilator()
    return build_engine_test(tmp_path_factory.mktemp("engine"), SHAPE, Path(__file__).parent / "engine_runs.cpp")


@pytest.fixture
def bench(simulation: Path, tmp_path: Path) -> Bench:
    """A program of layers with weights and a map to add among them."""
    made = Bench(simulation, tmp_path, SEED)
    assert any(made.field(layer, "residual") for layer in range(LAYERS))
    assert any(made.field(layer, "weight_beats_last_last") for layer in range(LAYERS))
    return made


@pytest.mark.parametrize("fields", [{"version": 4}, {"size": 384}, {"operation": 5}, {"operation": 7}])
@pytest.mark.parametrize("layer", [0, 2])
def test_a_descriptor_of_another_format_is_not_run(bench: Bench, layer: int, fields: dict[str, int]) -> None:
    bad = bench.changed(layer, **fields)
    outcome, after = bench.outcomes(bad, bench.good)
    bench.check_stop(bad, outcome, DESCRIPTOR, layer, ran=False)
    bench.check_whole(after)


@pytest.mark.parametrize(
    "changes",
    [
        {"layers": 0},
        {"layers": 2**16},
        {"program_word": 2**26},
        {"protected_words": 2**26},
        {"registered_words": 2**26},
        {"registered_words": 15},
        {"registered_words": LAYERS * isa5.DESCRIPTOR_BYTES // WORD - 1},
        *({"port": port, "base_offset": offset} for port in PORTS for offset in (64, 2**40)),
    ],
    ids=str,
)
def test_registers_that_no_program_can_run_with_are_an_error(bench: Bench, changes: dict[str, int]) -> None:
    bad = replace(bench.good, **changes)
    outcome, after = bench.outcomes(bad, bench.good)
    bench.check_stop(bad, outcome, DESCRIPTOR, 0, ran=False)
    bench.check_whole(after)


def test_a_program_that_ends_with_the_arena_runs(bench: Bench) -> None:
    # The second descriptor is beyond the arena of the second run.
    words = isa5.DESCRIPTOR_BYTES // WORD
    good = replace(bench.good, layers=1)
    moved = replace(
        good, program_word=bench.good.arena_words - words, memory=bench.moved(bench.good.arena_words - words)
    )
    ended, beyond, after = bench.outcomes(moved, replace(moved, program_word=moved.program_word + 1), bench.good)
    assert ended.code == 0
    bench.check_stop(moved, beyond, DESCRIPTOR, 0, ran=False)
    bench.check_whole(after)


@pytest.mark.parametrize("name", ["ifmap_word", "residual_word", "weight_word", "parameter_word", "table_word"])
def test_a_read_outside_the_arena_stops_the_layer(bench: Bench, name: str) -> None:
    used = {"residual_word": "residual", "weight_word": "weight_beats_last_last", "table_word": "load_table"}.get(
        name, "size"
    )
    layer = max(layer for layer in range(LAYERS) if bench.field(layer, used))
    bad = bench.changed(layer, **{name: bench.good.arena_words})
    outcome, after = bench.outcomes(bad, bench.good)
    bench.check_stop(bad, outcome, READ_OUTSIDE, layer)
    bench.check_whole(after)


@pytest.mark.parametrize("layer", range(LAYERS))
def test_a_write_outside_the_arena_is_masked_and_stops_the_layer(bench: Bench, layer: int) -> None:
    # The arena ends before the last word of the layer's result.
    bad = replace(bench.good, arena_words=bench.last_word(layer))
    outcome, after = bench.outcomes(bad, bench.good)
    bench.check_late_stop(bad, outcome, layer)
    bench.check_whole(after)


@pytest.mark.parametrize("name", ["ofmap_word", "counter_word"])
@pytest.mark.parametrize("layer", range(LAYERS))
def test_a_write_to_protected_words_is_masked_and_stops_the_layer(bench: Bench, layer: int, name: str) -> None:
    protected = bench.program.counters_word
    bad = replace(bench.changed(layer, **{name: 16}), protected_words=protected)
    outcome, after = bench.outcomes(bad, replace(bench.good, protected_words=protected))
    bench.check_late_stop(bad, outcome, layer)
    assert bench.right(outcome.memory, layer) == (name == "counter_word")
    bench.check_whole(after)


def test_error_answers_stop_the_layer_and_the_next_run_is_right(bench: Bench) -> None:
    bad = [replace(bench.good, errors=errors) for errors in (1, 3, 10, 40, 100, 65536) for _ in range(10)]
    outcomes = bench.outcomes(*(each for one in bad for each in (one, bench.good)))
    for one, outcome, after in zip(bad, outcomes[::2], outcomes[1::2], strict=True):
        if outcome.code == 0:
            bench.check_whole(outcome)
        else:
            # What was answered with an error was done all the same; without its descriptor a layer does not run.
            ran = bool(bench.counters(outcome.memory)["total_cycles"][outcome.layer])
            bench.check_stop(one, outcome, outcome.code, outcome.layer, ran=ran)
        bench.check_whole(after)
    assert {outcome.code for outcome in outcomes[::2]} == {0, READ_RESPONSE, WRITE_RESPONSE}
    assert all((outcome.code, outcome.layer) == (READ_RESPONSE, 0) for outcome in outcomes[-20::2])


def test_an_error_answer_to_any_write_ends_its_layer_or_the_one_behind_it(bench: Bench) -> None:
    [good] = bench.outcomes(bench.good)
    words = [bench.field(layer, "out_run_words") * result_pixels(bench, layer) for layer in range(LAYERS)]
    counters = COUNTERS.itemsize // WORD
    assert good.words_written == sum(words) + LAYERS * counters
    for layer in range(LAYERS):
        # All answers are errors from the layer's last result, or its last counter, on, also those to reads.
        end = sum(words[: layer + 1]) + layer * counters
        for begin in (end, end + counters):
            bad = replace(bench.good, errors=65536, errors_from=begin)
            outcome, after = bench.outcomes(bad, bench.good)
            assert layer <= outcome.layer <= min(layer + 1, LAYERS - 1)
            assert outcome.code == WRITE_RESPONSE or (outcome.code == READ_RESPONSE and layer + 1 < LAYERS)
            bench.check_stop(bad, outcome, outcome.code, outcome.layer)
            bench.check_whole(after)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.97])
def test_a_run_ends_at_its_limit_of_cycles(bench: Bench, share: float) -> None:
    [good] = bench.outcomes(bench.good)
    limit = int(share * good.cycles)
    bad = replace(bench.good, cycle_limit=limit)
    outcome, after = bench.outcomes(bad, bench.good)
    bench.check_stop(bad, outcome, CYCLE_LIMIT, outcome.layer)
    assert limit < outcome.cycles <= limit + STOP_CYCLES
    bench.check_whole(after)


def test_a_limit_that_is_not_reached_changes_nothing(bench: Bench) -> None:
    [good] = bench.outcomes(bench.good)
    limited = replace(bench.good, cycle_limit=2 * good.cycles, watchdog=1000)
    [outcome] = bench.outcomes(limited)
    bench.check_whole(outcome)


@pytest.mark.parametrize("share", [0.01, 0.25, 0.5, 0.9])
def test_a_run_can_be_aborted_at_any_time(bench: Bench, share: float) -> None:
    [good] = bench.outcomes(bench.good)
    at = int(share * good.cycles)
    bad = replace(bench.good, abort_at=at)
    outcome, after = bench.outcomes(bad, bench.good)
    bench.check_stop(bad, outcome, ABORT, outcome.layer)
    assert at <= outcome.cycles <= at + STOP_CYCLES
    bench.check_whole(after)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_a_memory_that_is_silent_for_long_sets_off_the_watchdog(bench: Bench, share: float) -> None:
    [good] = bench.outcomes(bench.good)
    begin = int(share * good.cycles)
    bad = replace(bench.good, watchdog=900, silent_from=begin, silent_until=begin + 2000)
    outcome, after = bench.outcomes(bad, bench.good)
    bench.check_stop(bad, outcome, WATCHDOG, outcome.layer)
    assert not outcome.undrained
    assert begin + 900 < outcome.cycles <= begin + 900 + STOP_CYCLES
    bench.check_whole(after)


def test_a_memory_that_does_not_answer_is_said_and_nothing_begins_before_it_has(bench: Bench) -> None:
    [good] = bench.outcomes(bench.good)
    begin = good.cycles // 2
    bad = replace(bench.good, watchdog=900, silent_from=begin, silent_until=begin + 20_000)
    outcome, after = bench.outcomes(bad, bench.good)
    bench.check_stop(bad, outcome, WATCHDOG, outcome.layer)
    assert outcome.undrained
    # The tile that is computed when the memory falls silent still ends.
    computed = max(int(slot_work(step).iterations.max()) for step in bench.program.steps)
    assert outcome.cycles < begin + computed + 900 + STOP_CYCLES + 200
    bench.check_whole(after)


@pytest.mark.parametrize("name", ["last_rows", "out_run_words", "last_out_words"])
@pytest.mark.parametrize("change", [-1, 1])
def test_results_of_another_number_than_is_stored_leave_nothing_for_the_next_run(
    bench: Bench, name: str, change: int
) -> None:
    for layer in range(LAYERS):
        if bench.field(layer, name) + change < 1:
            continue
        bad = replace(
            bench.changed(layer, **{name: bench.field(layer, name) + change}), cycle_limit=200_000, watchdog=900
        )
        outcome, after = bench.outcomes(bad, bench.good)
        assert outcome.code in {0, WRITE_OUTSIDE, DESCRIPTOR, WATCHDOG}
        bench.check_whole(after)


def result_pixels(bench: Bench, layer: int) -> int:
    """Return the pixels of a layer's result."""
    return bench.field(layer, "out_height") * bench.field(layer, "out_width")


@pytest.mark.parametrize("seed", range(3))
def test_counters_mean_what_is_said_of_them(simulation: Path, tmp_path: Path, seed: int) -> None:
    bench = Bench(simulation, tmp_path, seed)
    near, far = bench.outcomes(replace(bench.good, latency=1), replace(bench.good, latency=150))
    quick, slow = bench.counters(near.memory).astype(COUNTED), bench.counters(far.memory).astype(COUNTED)
    latency = 4 + SHAPE.chain + (SHAPE.accelerator.pe_cols // SHAPE.chain - 1).bit_length()
    for outcome, counted in ((near, quick), (far, slow)):
        bench.check_whole(outcome)
        waits = counted["load_wait_cycles"] + counted["store_wait_cycles"]
        assert (counted["total_cycles"] > counted["compute_cycles"] + waits).all()
        assert counted["total_cycles"].sum() < outcome.cycles
        for layer, step in enumerate(bench.program.steps):
            one, tiled = counted[layer], step.tiled
            tiles = len(tiled.fetch_order()) * tiled.rows.tiles * tiled.cols.tiles
            # The window takes 6 cycles to a tile's first iteration, and the last one 5 more than the array to its sum.
            assert one["compute_cycles"] == one["compute_trips"] + tiles * (6 + latency + 5)
            assert one["ofmap_words"] == bench.field(layer, "out_run_words") * result_pixels(bench, layer)
            for words in ("ifmap_words", "weight_words", "ofmap_words"):
                assert one[words] <= one["total_cycles"]
    # The array never waits inside a tile, so that memory changes only how long it is waited for.
    for name in ("compute_trips", "ifmap_words", "weight_words", "ofmap_words", "compute_cycles"):
        assert np.array_equal(quick[name], slow[name])
    assert (quick["load_wait_cycles"] < slow["load_wait_cycles"]).all()
    assert (quick["total_cycles"] < slow["total_cycles"]).all()
