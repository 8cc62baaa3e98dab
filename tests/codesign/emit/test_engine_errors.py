"""What the engine refuses and reports in both of its implementations."""

from dataclasses import replace
from pathlib import Path

import pytest
from support.verilog.engine_bench import DESCRIPTOR, LAYERS, READ_OUTSIDE, WORD, Bench

from hw_templates.conv_engine import isa

SEED = 2


@pytest.fixture(params=["verilog_runs", "cpp_runs"], ids=["Verilog", "C++"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    """A program of layers with weights and a map to add among them."""
    made = Bench(request.getfixturevalue(request.param), tmp_path, SEED)
    assert any(made.field(layer, "residual") for layer in range(LAYERS))
    assert any(made.field(layer, "weight_beats_last_last") for layer in range(LAYERS))
    return made


@pytest.mark.parametrize(
    "fields",
    [
        {"version": 4},
        {"size": 384},
        {"operation": 5},
        {"operation": 7},
        {"pad_value": 128},
        {"tap_col_0": 0, "in_words": -1},
    ],
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
        {"registered_words": 2**26},
        {"registered_words": 15},
        {"registered_words": LAYERS * isa.DESCRIPTOR_BYTES // WORD - 1},
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
    words = isa.DESCRIPTOR_BYTES // WORD
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
