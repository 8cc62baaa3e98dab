"""What the engine in C++ refuses and reports: what the Verilog does, as far as HLS has means for it."""

from dataclasses import replace
from pathlib import Path

import pytest
from support.engine_cpp import FLAGS, SANITIZERS, compiled
from support.verilog.engine_bench import (
    CYCLE_LIMIT,
    DESCRIPTOR,
    LAYERS,
    READ_OUTSIDE,
    SHAPE,
    WORD,
    WRITE_OUTSIDE,
    Bench,
)
from support.verilog.simulated import render_engine

from hw_templates.conv_engine import isa5

SEED = 2
STOP_CYCLES = 2048
"""More than the words of 17 bursts of each loader, which it still takes once the limit is reached."""


@pytest.fixture(scope="module")
def simulation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The engine, which runs what its arguments say."""
    folder = tmp_path_factory.mktemp("engine")
    render_engine(folder, SHAPE)
    sources = sorted((folder / "hls").glob("*.cpp"))
    flags = [*FLAGS, *SANITIZERS, f"-I{folder / 'hls'}"]
    return compiled(folder / "hls_runs", [Path(__file__).parent / "hls_runs.cpp", *sources], flags)


@pytest.fixture
def bench(simulation: Path, tmp_path: Path) -> Bench:
    """A program of layers with weights and a map to add among them."""
    return Bench(simulation, tmp_path, SEED)


@pytest.mark.parametrize(
    "fields",
    [{"version": 4}, {"size": 384}, {"operation": 5}, {"pad_value": 128}, {"tap_col_0": 0, "in_words": -1}],
    ids=str,
)
@pytest.mark.parametrize("layer", [0, 2])
def test_a_descriptor_that_it_cannot_run_is_not_run(bench: Bench, layer: int, fields: dict[str, int]) -> None:
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
        {"cycle_limit": 2**31},
        {"registered_words": 2**26},
        {"registered_words": 15},
        {"registered_words": LAYERS * isa5.DESCRIPTOR_BYTES // WORD - 1},
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
    at = bench.good.arena_words - words
    moved = replace(bench.good, layers=1, program_word=at, memory=bench.moved(at))
    ended, beyond, after = bench.outcomes(moved, replace(moved, program_word=at + 1), bench.good)
    assert ended.code == 0
    bench.check_stop(moved, beyond, DESCRIPTOR, 0, ran=False)
    bench.check_whole(after)


@pytest.mark.parametrize("name", ["ifmap_word", "residual_word", "weight_word", "parameter_word", "table_word"])
def test_a_read_outside_the_arena_stops_the_layer(bench: Bench, name: str) -> None:
    used = {"residual_word": "residual", "weight_word": "weight_beats_last_last", "table_word": "load_table"}.get(
        name, "size"
    )
    for layer in [layer for layer in range(LAYERS) if bench.field(layer, used)]:
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


def test_results_of_another_number_than_is_stored_end_the_program(simulation: Path, tmp_path: Path) -> None:
    # Rows of this seed's third layer are runs, of which the last ones end a word early.
    bench, layer = Bench(simulation, tmp_path, 0), 2
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
