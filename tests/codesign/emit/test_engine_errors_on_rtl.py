"""What the engine's Verilog alone refuses and reports, and what its counters mean."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.verilog.engine_bench import (
    ABORT,
    CYCLE_LIMIT,
    DESCRIPTOR,
    LAYERS,
    READ_RESPONSE,
    SHAPE,
    WATCHDOG,
    WORD,
    WRITE_OUTSIDE,
    WRITE_RESPONSE,
    Bench,
)

from cost_models.engine.counts import slot_work
from hw_templates.conv_engine import registers
from hw_templates.conv_engine.isa import COUNTERS

STOP_CYCLES = 4096
"""Most cycles that the engine takes to stop, behind the cycle in which it must."""
SEED = 2
PORTS = [registers.RTL_ENGINE[name].offset for name in registers.PORTS]
COUNTED = [(name, np.int64) for name in COUNTERS.names or ()]


@pytest.fixture
def bench(verilog_runs: Path, tmp_path: Path) -> Bench:
    """A program of layers with weights and a map to add among them."""
    return Bench(verilog_runs, tmp_path, SEED)


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("offset", [64, 2**40])
def test_a_base_that_is_no_page_or_too_far_is_an_error(bench: Bench, port: int, offset: int) -> None:
    bad = replace(bench.good, port=port, base_offset=offset)
    outcome, after = bench.outcomes(bad, bench.good)
    bench.check_stop(bad, outcome, DESCRIPTOR, 0, ran=False)
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
def test_counters_mean_what_is_said_of_them(verilog_runs: Path, tmp_path: Path, seed: int) -> None:
    bench = Bench(verilog_runs, tmp_path, seed)
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
