"""Runs of a program with registers, memories and disturbances of their own, on either implementation of the engine."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from support.verilog.engine_programs import EngineProgram, random_program
from support.verilog.simulated import run

from hw_templates.conv_engine import isa
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.engine_shape import EngineShape
from hw_templates.conv_engine.isa import COUNTERS
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
    )
)
WORD = SHAPE.accelerator.axi_bytes
LAYERS = 4
READ_OUTSIDE, WRITE_OUTSIDE, READ_RESPONSE, WRITE_RESPONSE, DESCRIPTOR, WATCHDOG, CYCLE_LIMIT, ABORT = range(1, 9)
"""Error codes of the engine's status."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run: its memory and registers, and what happens to it.

    Attributes:
        memory: before the run.
        registered_words: words of the arena as the engine is told, where they are others than ``arena_words``.
        port, base_offset: register of a port's base, and how many bytes it is off.
        errors, errors_from: of 65,536 answers, those that are errors once so many words were written.
        abort_at, silent_from, silent_until: cycles behind the start; in between the last two the memory does nothing.
    """

    memory: bytes
    arena_words: int
    registered_words: int = 0
    program_word: int = 0
    protected_words: int = 0
    layers: int = LAYERS
    port: int = 0
    base_offset: int = 0
    errors: int = 0
    errors_from: int = 0
    latency: int = 20
    watchdog: int = 0
    cycle_limit: int = 0
    abort_at: int = 0
    silent_from: int = 0
    silent_until: int = 0


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run ended with."""

    code: int
    layer: int
    cycles: int
    words_written: int
    undrained: bool
    memory: Int8Array


class Bench:
    """A program, and runs of it."""

    def __init__(self, simulation: Path, folder: Path, seed: int) -> None:
        self.simulation, self.folder = simulation, folder
        self.program: EngineProgram = random_program(folder / "program", SHAPE, LAYERS, seed)
        layout = dict(line.split() for line in (folder / "program/program.txt").read_text().splitlines())
        content = (folder / "program/arena.bin").read_bytes()
        arena_words = int(layout["arena_words"])
        self.good = Run(memory=content + bytes(arena_words * WORD - len(content)), arena_words=arena_words)
        self.before = np.frombuffer(self.good.memory, np.int8)

    def changed(self, layer: int, **fields: int) -> Run:
        """Return a run with other values in the fields of a layer's descriptor."""
        memory = self.before.copy()
        records = memory[: LAYERS * isa.DESCRIPTOR_BYTES].view(isa.DESCRIPTOR)
        for name, value in fields.items():
            records[name][layer] = value
        return replace(self.good, memory=memory.tobytes())

    def moved(self, word: int) -> bytes:
        """Return the memory with the first descriptor at another place too."""
        memory = bytearray(self.good.memory)
        memory[word * WORD : word * WORD + isa.DESCRIPTOR_BYTES] = memory[: isa.DESCRIPTOR_BYTES]
        return bytes(memory)

    def field(self, layer: int, name: str) -> int:
        """Return a field of a layer's descriptor."""
        return int(self.before[: LAYERS * isa.DESCRIPTOR_BYTES].view(isa.DESCRIPTOR)[name][layer])

    def outcomes(self, *runs: Run) -> list[Outcome]:
        """Run one after the other on the same engine."""
        arguments: list[str] = []
        paths = [self.folder / f"run{index}.bin" for index in range(len(runs))]
        for path, each in zip(paths, runs, strict=True):
            path.write_bytes(each.memory)
            values = vars(each).items() - {("memory", each.memory)}
            arguments += [str(path), *(f"{name}={value}" for name, value in values)]
        lines = run(self.simulation, *arguments).splitlines()
        outcomes = []
        for path, line in zip(paths, lines, strict=True):
            code, layer, cycles, words, undrained = map(int, line.split())
            memory = np.fromfile(f"{path}.after", np.int8)
            outcomes.append(
                Outcome(
                    code=code,
                    layer=layer,
                    cycles=cycles,
                    words_written=words,
                    undrained=bool(undrained),
                    memory=memory,
                )
            )
        return outcomes

    def right(self, memory: Int8Array, layer: int) -> bool:
        """Say whether a layer's result is in its place."""
        return self.program.is_right(memory[self.program.counters_word * WORD :], self.program.maps[layer])

    def counters(self, memory: Int8Array) -> np.ndarray:
        """Return the counters of all layers."""
        return np.frombuffer(memory.tobytes(), COUNTERS, LAYERS, self.program.counters_word * WORD)

    def check_whole(self, outcome: Outcome) -> None:
        """Check that a run came to its end with all results."""
        assert (outcome.code, outcome.layer) == (0, LAYERS - 1)
        assert all(self.right(outcome.memory, layer) for layer in range(LAYERS))

    def check_stop(
        self, bad: Run, outcome: Outcome, code: int, layer: int, *, ran: bool = True, right: int | None = None
    ) -> None:
        """Check that a run ended in a layer with this code, behind those before it, and wrote nothing but results.

        Where the layer ran, it may have written counters and results. All layers before ``right`` made what they must,
        by default all before the one in which the run ended.
        """
        assert (outcome.code, outcome.layer) == (code, layer)
        assert all(self.right(outcome.memory, each) for each in range(layer if right is None else right))
        before = np.frombuffer(bad.memory, np.int8)[: len(outcome.memory)]
        first = layer + ran
        counters = self.program.counters_word * WORD
        untouched = [slice(0, counters), slice(counters + first * COUNTERS.itemsize, self.result_byte(0))]
        if first < LAYERS:
            untouched.append(slice(self.result_byte(first), None))
        for part in untouched:
            assert np.array_equal(outcome.memory[part], before[part])

    def check_late_stop(self, bad: Run, outcome: Outcome, layer: int) -> None:
        """Check that a write outside that a layer makes ended the run in it, or in the one that had begun behind it."""
        assert layer <= outcome.layer <= layer + 1
        self.check_stop(bad, outcome, WRITE_OUTSIDE, outcome.layer, right=layer)

    def result_byte(self, layer: int) -> int:
        """Return where a layer's result begins; results lie in the order of layers, behind all else."""
        return self.field(layer, "ofmap_word") * WORD

    def last_word(self, layer: int) -> int:
        """Return the last word of a layer's result."""
        pixels = self.field(layer, "out_height") * self.field(layer, "out_width")
        words = self.field(layer, "out_run_words")
        return self.field(layer, "ofmap_word") + (pixels - 1) * self.field(layer, "out_words") + words - 1
