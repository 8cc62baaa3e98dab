"""What the engine in C++ does in its own way: its limit of cycles, and results of another number than is stored."""

from dataclasses import replace
from pathlib import Path

import pytest
from support.verilog.engine_bench import CYCLE_LIMIT, DESCRIPTOR, LAYERS, WRITE_OUTSIDE, Bench

SEED = 2
STOP_CYCLES = 2048
"""More than the words of 17 bursts of each loader, which it still takes once the limit is reached."""


@pytest.fixture
def bench(cpp_runs: Path, tmp_path: Path) -> Bench:
    """A program of layers with weights and a map to add among them."""
    return Bench(cpp_runs, tmp_path, SEED)


def test_a_limit_that_the_clock_may_pass_unseen_is_an_error(bench: Bench) -> None:
    bad = replace(bench.good, cycle_limit=2**31)
    outcome, after = bench.outcomes(bad, bench.good)
    bench.check_stop(bad, outcome, DESCRIPTOR, 0, ran=False)
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
    [outcome] = bench.outcomes(replace(bench.good, cycle_limit=2 * good.cycles))
    bench.check_whole(outcome)


def test_results_of_another_number_than_is_stored_end_the_program(cpp_runs: Path, tmp_path: Path) -> None:
    # Rows of this seed's third layer are runs, of which the last ones end a word early.
    bench, layer = Bench(cpp_runs, tmp_path, 0), 2
    assert bench.field(layer, "whole_out")
    bad = bench.changed(layer, out_col_end=bench.field(layer, "out_col_end") - 1)
    outcome, after = bench.outcomes(bad, bench.good)
    bench.check_stop(bad, outcome, DESCRIPTOR, layer)
    bench.check_whole(after)


@pytest.mark.parametrize("name", ["last_rows", "out_run_words", "last_out_words"])
@pytest.mark.parametrize("change", [-1, 1])
def test_results_of_another_size_leave_nothing_for_the_next_run(bench: Bench, name: str, change: int) -> None:
    for layer in range(LAYERS):
        if bench.field(layer, name) + change >= 1:
            bad = bench.changed(layer, **{name: bench.field(layer, name) + change})
            outcome, after = bench.outcomes(bad, bench.good)
            assert outcome.code in {0, WRITE_OUTSIDE, DESCRIPTOR}
            bench.check_whole(after)
