"""What the engine's Verilog refuses and reports, and what its counters mean."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from support.verilog.engine_programs import EngineProgram, random_engine_program
from support.verilog.simulated import build_engine_test, need_verilator, run

from hw_templates.conv_engine import isa5
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.isa import COUNTERS
from hw_templates.conv_engine.rtl_config import EngineShape
from hw_templates.foundation.arrays import Int8Array

SHAPE = EngineShape(
    accelerator=Accelerator(
        pe_rows=4,
        pe_cols=4,
        pe_pixels=2,
        pack=2,
        ifmap_kib=4,
        weight_kib=4,
        ofmap_kib=4,
        axi_bits=32,
        clock_mhz=100,
        depthwise_lanes=4,
    )
)
WORD = SHAPE.accelerator.axi_bytes
LAYERS = 4
READ_OUTSIDE, WRITE_OUTSIDE, READ_RESPONSE, WRITE_RESPONSE, DESCRIPTOR = 1, 2, 3, 4, 5
"""Error codes of the engine's status."""
SEED = 2
COUNTED = [(name, np.int64) for name in COUNTERS.names or ()]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run: its memory and registers, and how many of 65,536 answers are errors once so many words were written."""

    memory: bytes
    arena_words: int
    protected_words: int = 0
    layers: int = LAYERS
    errors: int = 0
    errors_from: int = 0
    latency: int = 20


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run ended with."""

    code: int
    layer: int
    cycles: int
    words_written: int
    memory: Int8Array


@pytest.fixture(scope="module")
def simulation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The engine, which runs what its arguments say."""
    need_verilator()
    return build_engine_test(tmp_path_factory.mktemp("engine"), SHAPE, Path(__file__).parent / "engine_runs.cpp")


class Bench:
    """A program, and runs of it."""

    def __init__(self, simulation: Path, folder: Path, seed: int) -> None:
        self.simulation, self.folder = simulation, folder
        self.program: EngineProgram = random_engine_program(folder / "program", SHAPE, LAYERS, seed)
        layout = dict(line.split() for line in (folder / "program/program.txt").read_text().splitlines())
        content = (folder / "program/arena.bin").read_bytes()
        arena_words = int(layout["arena_words"])
        self.good = Run(memory=content + bytes(arena_words * WORD - len(content)), arena_words=arena_words)
        self.before = np.frombuffer(self.good.memory, np.int8)

    def changed(self, layer: int, **fields: int) -> Run:
        """Return a run with other values in the fields of a layer's descriptor."""
        memory = self.before.copy()
        records = memory[: LAYERS * isa5.DESCRIPTOR_BYTES].view(isa5.DESCRIPTOR)
        for name, value in fields.items():
            records[name][layer] = value
        return replace(self.good, memory=memory.tobytes())

    def field(self, layer: int, name: str) -> int:
        """Return a field of a layer's descriptor."""
        return int(self.before[: LAYERS * isa5.DESCRIPTOR_BYTES].view(isa5.DESCRIPTOR)[name][layer])

    def outcomes(self, *runs: Run) -> list[Outcome]:
        """Run one after the other on the same engine."""
        arguments: list[str] = []
        paths = [self.folder / f"run{index}.bin" for index in range(len(runs))]
        for path, each in zip(paths, runs, strict=True):
            path.write_bytes(each.memory)
            numbers = (each.arena_words, each.protected_words, each.layers, each.errors, each.errors_from, each.latency)
            arguments += [str(path), *map(str, numbers)]
        lines = run(self.simulation, *arguments).splitlines()
        outcomes = []
        for path, line in zip(paths, lines, strict=True):
            code, layer, cycles, words = map(int, line.split())
            memory = np.fromfile(f"{path}.after", np.int8)
            outcomes.append(Outcome(code=code, layer=layer, cycles=cycles, words_written=words, memory=memory))
        return outcomes

    def right(self, memory: Int8Array, layer: int) -> bool:
        """Say whether a layer's result is in its place."""
        return self.program.is_right(memory[self.program.counters_word * WORD :], self.program.layers[layer])

    def counters(self, memory: Int8Array) -> np.ndarray:
        """Return the counters of all layers."""
        return np.frombuffer(memory.tobytes(), COUNTERS, LAYERS, self.program.counters_word * WORD)

    def check_whole(self, outcome: Outcome) -> None:
        """Check that a run came to its end with all results."""
        assert (outcome.code, outcome.layer) == (0, LAYERS - 1)
        assert all(self.right(outcome.memory, layer) for layer in range(LAYERS))

    def check_stop(self, bad: Run, outcome: Outcome, code: int, layer: int, *, ran: bool = True) -> None:
        """Check that a run ended in a layer with this code, behind those before it, and wrote nothing but results.

        Where the layer ran, it may have written counters and results.
        """
        assert (outcome.code, outcome.layer) == (code, layer)
        assert all(self.right(outcome.memory, each) for each in range(layer))
        before = np.frombuffer(bad.memory, np.int8)[: len(outcome.memory)]
        first = layer + ran
        counters = self.program.counters_word * WORD
        untouched = [slice(0, counters), slice(counters + first * COUNTERS.itemsize, self.result_byte(0))]
        if first < LAYERS:
            untouched.append(slice(self.result_byte(first), None))
        for part in untouched:
            assert np.array_equal(outcome.memory[part], before[part])

    def result_byte(self, layer: int) -> int:
        """Return where a layer's result begins; results lie in the order of layers, behind all else."""
        return self.field(layer, "ofmap_word") * WORD

    def last_word(self, layer: int) -> int:
        """Return the last word of a layer's result."""
        pixels = self.field(layer, "out_height") * self.field(layer, "out_width")
        words = self.field(layer, "out_run_words")
        return self.field(layer, "ofmap_word") + (pixels - 1) * self.field(layer, "out_words") + words - 1


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


def test_a_program_without_layers_is_an_error(bench: Bench) -> None:
    bad = replace(bench.good, layers=0)
    outcome, after = bench.outcomes(bad, bench.good)
    bench.check_stop(bad, outcome, DESCRIPTOR, 0, ran=False)
    bench.check_whole(after)


@pytest.mark.parametrize("name", ["ifmap_word", "residual_word", "weight_word", "parameter_word", "table_word"])
def test_a_read_outside_the_arena_stops_the_layer(bench: Bench, name: str) -> None:
    used = {"residual_word": "residual", "weight_word": "weight_beats_last_last"}.get(name, "size")
    layer = max(layer for layer in range(LAYERS) if bench.field(layer, used))
    bad = bench.changed(layer, **{name: bench.good.arena_words})
    outcome, after = bench.outcomes(bad, bench.good)
    bench.check_stop(bad, outcome, READ_OUTSIDE, layer)
    bench.check_whole(after)


def test_a_descriptor_outside_the_arena_is_not_run(bench: Bench) -> None:
    bad = replace(bench.good, arena_words=isa5.DESCRIPTOR_BYTES // WORD - 1)
    outcome, after = bench.outcomes(bad, bench.good)
    bench.check_stop(bad, outcome, READ_OUTSIDE, 0, ran=False)
    bench.check_whole(after)


@pytest.mark.parametrize("layer", range(LAYERS))
def test_a_write_outside_the_arena_is_masked_and_stops_the_layer(bench: Bench, layer: int) -> None:
    # The arena ends before the last word of the layer's result.
    bad = replace(bench.good, arena_words=bench.last_word(layer))
    outcome, after = bench.outcomes(bad, bench.good)
    bench.check_stop(bad, outcome, WRITE_OUTSIDE, layer)
    bench.check_whole(after)


@pytest.mark.parametrize("name", ["ofmap_word", "counter_word"])
@pytest.mark.parametrize("layer", range(LAYERS))
def test_a_write_to_protected_words_is_masked_and_stops_the_layer(bench: Bench, layer: int, name: str) -> None:
    protected = bench.program.counters_word
    bad = replace(bench.changed(layer, **{name: 16}), protected_words=protected)
    outcome, after = bench.outcomes(bad, replace(bench.good, protected_words=protected))
    bench.check_stop(bad, outcome, WRITE_OUTSIDE, layer)
    assert bench.right(outcome.memory, layer) == (name == "counter_word")
    bench.check_whole(after)


def test_error_answers_stop_the_layer_and_the_next_run_is_right(bench: Bench) -> None:
    bad = [replace(bench.good, errors=errors) for errors in (1, 3, 10, 40, 100, 65536) for _ in range(6)]
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
    assert all((outcome.code, outcome.layer) == (READ_RESPONSE, 0) for outcome in outcomes[-12::2])


def test_an_error_answer_to_any_write_is_that_of_its_layer(bench: Bench) -> None:
    [good] = bench.outcomes(bench.good)
    words = [bench.field(layer, "out_run_words") * result_pixels(bench, layer) for layer in range(LAYERS)]
    counters = COUNTERS.itemsize // WORD
    assert good.words_written == sum(words) + LAYERS * counters
    for layer in range(LAYERS):
        # All answers are errors from the layer's last result, or its last counter, on: reads come only behind those.
        end = sum(words[: layer + 1]) + layer * counters
        for begin in (end, end + counters):
            bad = replace(bench.good, errors=65536, errors_from=begin)
            outcome, after = bench.outcomes(bad, bench.good)
            bench.check_stop(bad, outcome, WRITE_RESPONSE, layer)
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
        for layer, expected in enumerate(bench.program.layers):
            one, tiled = counted[layer], expected.placed.tiled
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
