"""Programs of random layers for the engine's Verilog, and what their results must be."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from support.verilog.random_engine_layers import random_data, random_tiled_layer
from support.verilog.simulated import run

from codesign.emit.descriptor import describe, pack_weights
from codesign.emit.engine_reference import EngineData, EngineNode, engine_result
from codesign.emit.program import pack_parameters
from cost_models.engine.counts import PortCount, PortCounts
from cost_models.engine.places import MapPlace, Places, ProgramStep
from cost_models.engine.tiles import TiledLayer
from hw_templates.conv_engine import isa
from hw_templates.conv_engine.engine_shape import EngineShape
from hw_templates.conv_engine.isa import COUNTERS
from hw_templates.foundation.arrays import Int8Array

DESCRIPTOR_ALIGNMENT = 512
ALIGNMENT = 64


class Arena:
    """Content that is placed one behind the other."""

    def __init__(self, word: int) -> None:
        self.word, self.content = word, bytearray()

    def place(self, content: bytes, alignment: int = ALIGNMENT) -> int:
        """Return the memory word at which the content begins."""
        self.content += bytes(-len(self.content) % alignment)
        begin = len(self.content)
        self.content += content + bytes(-len(content) % self.word)
        return begin // self.word


@dataclass(frozen=True, kw_only=True, eq=False)
class ExpectedMap:
    """A map that a layer leaves in memory."""

    tiled: TiledLayer
    place: MapPlace
    result: Int8Array


@dataclass(frozen=True, kw_only=True, eq=False)
class SimulatedRun:
    """What a simulation makes of a program.

    Attributes:
        differing: maps that are not what they must be.
        counters: what the engine wrote of each step, [steps] of COUNTERS.
        cycles: of the whole program.
        ports: words and bursts that passed the ports.
        cycles_a_second: that were simulated in a processor second.
    """

    differing: list[ExpectedMap]
    counters: npt.NDArray[np.void]
    cycles: int
    ports: PortCounts
    cycles_a_second: float


@dataclass(frozen=True, kw_only=True)
class EngineProgram:
    """A program on disk, as the simulation reads it; what it leaves in memory begins at ``counters_word``."""

    folder: Path
    steps: list[ProgramStep]
    maps: list[ExpectedMap]
    counters_word: int
    word: int

    def is_right(self, memory: Int8Array, expected: ExpectedMap) -> bool:
        """Say whether a map is what it must be, in memory from the counters on."""
        return np.array_equal(self._result(memory, expected), expected.result)

    def simulate(self, simulation: Path, *options: str) -> SimulatedRun:
        """Run the program once."""
        results = self.folder / "results.bin"
        printed = run(simulation, str(self.folder), "--results", str(results), *options).split()
        content = results.read_bytes()
        memory = np.frombuffer(content, np.int8)
        return SimulatedRun(
            differing=[expected for expected in self.maps if not self.is_right(memory, expected)],
            counters=np.frombuffer(content, COUNTERS, len(self.steps)),
            cycles=int(printed[printed.index("cycles") + 1]),
            ports=PortCounts(
                **{
                    name: PortCount(*map(int, printed[printed.index(name) + 1 : printed.index(name) + 3]))
                    for name in ("ifmap", "weights", "residual", "ofmap")
                }
            ),
            cycles_a_second=float(printed[printed.index("processor") - 2]),
        )

    def _result(self, memory: Int8Array, expected: ExpectedMap) -> Int8Array:
        channels, height, width = expected.result.shape
        place = expected.place
        begin = (place.word - self.counters_word) * self.word
        row = place.pixel_words * self.word
        return (
            memory[begin : begin + height * width * row].reshape(height, width, row)[..., :channels].transpose(2, 0, 1)
        )


def random_program(folder: Path, shape: EngineShape, layers: int, seed: int) -> EngineProgram:
    """Write a program of random layers."""
    rng = np.random.default_rng(seed)
    return engine_program(folder, [random_tiled_layer(rng, shape) for _ in range(layers)], rng)


def engine_program(folder: Path, tiled_layers: Sequence[TiledLayer], rng: np.random.Generator) -> EngineProgram:
    """Write a program of layers that each read maps of their own, some of them parts of wider maps.

    As no layer reads what another one makes, each may begin as early as it likes.
    """
    shape, layers = tiled_layers[0].shape, len(tiled_layers)
    arena = Arena(shape.accelerator.axi_bytes)
    program_word = arena.place(bytes(layers * isa.DESCRIPTOR_BYTES), DESCRIPTOR_ALIGNMENT)
    made = [_place_layer(rng, tiled, arena) for tiled in tiled_layers]
    counters_word = arena.place(bytes(layers * COUNTERS.itemsize))
    steps, expected = [], []
    for index, (tiled, (_, places, result, edges)) in enumerate(zip(tiled_layers, made, strict=True)):
        words = math.ceil(len(result) / shape.accelerator.axi_bytes) + int(rng.integers(0, 2))
        place = MapPlace(
            word=arena.place(bytes(result[0].size * words * shape.accelerator.axi_bytes)), pixel_words=words
        )
        counter_word = counters_word + index * COUNTERS.itemsize // shape.accelerator.axi_bytes
        all_places = Places(**places, ofmap=place, counter_word=counter_word)
        descriptor_word = program_word + index * isa.DESCRIPTOR_BYTES // shape.accelerator.axi_bytes
        steps.append(
            ProgramStep(layer=index, tiled=tiled, places=all_places, descriptor_word=descriptor_word, edges=edges)
        )
        expected.append(ExpectedMap(tiled=tiled, place=place, result=result))
    tables = [data.table for data, _, _, _ in made]
    for index in range(1, layers):
        early, load_table = int(rng.integers(0, 3)), not np.array_equal(tables[index], tables[index - 1])
        waits = int(rng.integers(0, 8))
        steps[index] = replace(steps[index], early=early, waits=waits, load_table=load_table)
    descriptors = [
        describe(step, data.residual_multiplier).tobytes() for step, (data, _, _, _) in zip(steps, made, strict=True)
    ]
    begin = program_word * shape.accelerator.axi_bytes
    arena.content[begin : begin + layers * isa.DESCRIPTOR_BYTES] = b"".join(descriptors)
    folder.mkdir(parents=True)
    (folder / "arena.bin").write_bytes(arena.content)
    layout = {
        "arena_words": len(arena.content) // shape.accelerator.axi_bytes + ALIGNMENT,
        "program_word": program_word,
        "layer_count": layers,
        "counter_word": counters_word,
        **shape.program_sizes(),
    }
    (folder / "program.txt").write_text("".join(f"{name} {value}\n" for name, value in layout.items()))
    return EngineProgram(
        folder=folder, steps=steps, maps=expected, counters_word=counters_word, word=shape.accelerator.axi_bytes
    )


def _place_layer(
    rng: np.random.Generator, tiled: TiledLayer, arena: Arena
) -> tuple[EngineData, dict[str, object], Int8Array, int]:
    """Return a layer's data, the places of what it reads, its result, and its border classes as a field."""
    shape, layer, data = tiled.shape, tiled.layer, random_data(rng, tiled.layer)
    halves = 2 if layer.repeat else 1

    def random_map(channels: int, height: int, width: int) -> tuple[Int8Array, MapPlace]:
        values = rng.integers(-128, 128, (channels, height, width)).astype(np.int8)
        words = math.ceil(channels / shape.accelerator.axi_bytes) + int(rng.integers(0, 2))
        packed = rng.integers(-128, 128, (height, width, words * shape.accelerator.axi_bytes)).astype(np.int8)
        packed[..., :channels] = values.transpose(1, 2, 0)
        return values, MapPlace(word=arena.place(packed.tobytes()), pixel_words=words)

    ifmap, ifmap_place = random_map(layer.in_channels, layer.in_height // halves, layer.in_width // halves)
    places: dict[str, object] = {"ifmap": ifmap_place}
    residual = gate = None
    if layer.residual:
        residual, places["residual"] = random_map(layer.out_channels, layer.out_height, layer.out_width)
    if data.weight is not None:
        places["weight_word"] = arena.place(pack_weights(tiled, data.weight).tobytes())
    elif layer.operation.reads_gate:
        gate = rng.integers(-128, 128, layer.in_channels).astype(np.int8)
        places["weight_word"] = arena.place(gate.tobytes() + bytes(ALIGNMENT))
    node = EngineNode(name="layer", tiled=tiled, data=data, ifmap="ifmap")
    parameters, edges = pack_parameters(node, shape)
    places["parameter_word"] = arena.place(parameters.tobytes())
    places["table_word"] = arena.place(data.table.tobytes())
    gates, residuals = (None if values is None else values[None] for values in (gate, residual))
    result = engine_result(layer, data, ifmap[None], gates, residuals)[0]
    return data, places, result, edges
