"""Random programs whose layers read each other's maps: in groups, band by band, from memory and from rings on chip."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from support.verilog.engine_programs import EngineProgram, ExpectedMap
from support.verilog.random_engine_layers import random_data, random_layer, randomly_tiled

from codesign.emit.engine_reference import EngineNode, engine_result
from codesign.emit.plan import plan_steps
from codesign.emit.program import CompiledProgram, compile_program, pack_map
from cost_models.engine.bands import rows_read
from cost_models.engine.layer import EngineLayer
from cost_models.mapping.placement import Placement, RowRange
from cost_models.workload import Shape
from hw_templates.conv_engine.engine_shape import EngineShape
from hw_templates.foundation.arrays import Int8Array
from hw_templates.foundation.errors import InvalidValueError, MappingError, UnsupportedLayerError
from hw_templates.operations import Operation

MOST_LAYERS = 4
"""Of a group."""


@dataclass(frozen=True, kw_only=True)
class Chain:
    """Layers of a program, and the shapes (channels, rows, columns) of the maps that are given to it."""

    shape: EngineShape
    nodes: tuple[EngineNode, ...]
    given: dict[str, Shape]

    def compiled(self) -> CompiledProgram:
        """The program in memory."""
        return compile_program(self.nodes, self.given, self.shape)


@dataclass(kw_only=True)
class _Draft:
    """A chain that grows."""

    rng: np.random.Generator
    shape: EngineShape
    nodes: list[EngineNode] = field(default_factory=list)
    given: dict[str, Shape] = field(default_factory=dict)
    rings: dict[str, int] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)

    def give(self, size: Shape) -> str:
        """Return the name of a new map that is given."""
        name = f"given{len(self.given)}"
        self.given[name] = self.shapes[name] = size
        return name


def random_chain(shape: EngineShape, groups: int, seed: int) -> Chain:
    """Return the layers of a random program; the last map of every one goes to memory."""
    draft = _Draft(rng=np.random.default_rng(seed), shape=shape)
    while groups:
        before = len(draft.nodes), dict(draft.given), dict(draft.rings), dict(draft.shapes)
        try:
            _add_group(draft, last=groups == 1)
            plan_steps(draft.nodes, draft.given)
            groups -= 1
        except (MappingError, InvalidValueError, UnsupportedLayerError):
            # The memory has no room for these rings, or a row is gone when it is read.
            del draft.nodes[before[0] :]
            draft.given, draft.rings, draft.shapes = before[1:]
    return Chain(shape=shape, nodes=tuple(draft.nodes), given=draft.given)


def _add_group(draft: _Draft, last: bool) -> None:
    """Add layers that each read the one before; the first reads any map."""
    rng, on_chip = draft.rng, draft.shape.accelerator.map_kib > 0
    size = int(rng.integers(1, MOST_LAYERS + 1)) if on_chip and rng.random() < 0.6 else 1
    names = list(draft.shapes)
    name = names[-1 - int(rng.integers(0, min(3, len(names))))] if names and rng.random() < 0.8 else _any_map(draft)
    layers: list[EngineLayer] = []
    sources = [name]
    gates: list[str | None] = []
    first_node = len(draft.nodes)
    for _ in range(size):
        source = layers[-1] if layers else None
        shape = draft.shapes[name] if source is None else (source.out_channels, source.out_height, source.out_width)
        layer = _layer_on(draft, shape, may_repeat=size == 1 and not draft.rings.get(name, 0))
        gate = None
        if layer.operation.reads_gate:
            gate = _gate(draft, layer.in_channels) if size == 1 else draft.give((layer.in_channels, 1, 1))
        gates.append(gate)
        layers.append(layer)
    layers[:-1] = [replace(layer, residual=0) if on_chip else layer for layer in layers[:-1]]
    keeps = on_chip and not last and rng.random() < 0.4
    if keeps:
        layers[-1] = replace(layers[-1], residual=0)
    banded = size > 1 or (on_chip and not layers[0].repeat and rng.random() < 0.2)
    rings = [0] * size
    bands: list[tuple[RowRange, ...]] = [()] * size
    if banded:
        bands = bands_of(layers, int(rng.integers(1, layers[-1].out_height + 1)))
        for index, (writer, reader) in enumerate(pairwise(layers)):
            read = [rows_read(reader, rows) for rows in bands[index + 1] if rows[0] < rows[1]]
            least = max(
                max((end - begin for begin, end in read), default=1), max(end - begin for begin, end in bands[index])
            )
            rings[index] = min(writer.out_height, least + int(rng.integers(0, 2)) * int(rng.integers(0, 4)))
            if rng.random() < 0.15:
                rings[index] = 0  # from band to band through memory
                bands[index] = (*bands[index][:-1], (bands[index][-1][0], writer.out_height))
    if keeps:
        rings[-1] = layers[-1].out_height
    for index, layer in enumerate(layers):
        tiled = randomly_tiled(rng, layer, draft.shape)
        if tiled is None:
            raise MappingError("no tiles")
        new = f"layer{len(draft.nodes)}"
        ifmap = sources[-1]
        draft.nodes.append(
            EngineNode(
                name=new,
                tiled=tiled,
                data=random_data(rng, layer, borders=not banded),
                ifmap=ifmap,
                gate=gates[index],
                residual=_residual(draft, layer, ifmap) if layer.residual else None,
                placement=Placement(
                    ifmap_ring=draft.rings.get(ifmap, 0),
                    ofmap_ring=rings[index],
                    bands=bands[index],
                    group_layers=size if index == 0 and size > 1 else 0,
                ),
            )
        )
        draft.shapes[new] = (layer.out_channels, layer.out_height, layer.out_width)
        draft.rings[new] = rings[index]
        sources.append(new)
    # What stays in a ring of some rows only cannot be read again.
    for node in draft.nodes[first_node:-1]:
        if node.placement.ofmap_ring:
            del draft.shapes[node.name]


def _any_map(draft: _Draft) -> str:
    rng = draft.rng
    return draft.give((int(rng.integers(1, 40)), int(rng.integers(1, 14)), int(rng.integers(1, 14))))


def _layer_on(draft: _Draft, shape: Shape, may_repeat: bool) -> EngineLayer:
    """Return a layer that reads a map of this shape, often one that keeps its rows and columns."""
    rng, (channels, height, width) = draft.rng, shape
    for _ in range(1000):
        layer = random_layer(rng, draft.shape)
        if rng.random() < 0.3 and layer.operation.is_dense:
            layer = replace(layer, kernel=(1, 1), stride=(1, 1), dilation=(1, 1), padding=(0, 0, 0, 0))
        if rng.random() < 0.3:
            layer = replace(layer, out_channels=channels)
        scale = 2 if layer.repeat else 1
        layer = replace(
            layer,
            in_channels=channels,
            in_height=height * scale,
            in_width=width * scale,
            out_channels=layer.out_channels if layer.operation.is_dense else channels,
        )
        reach = [(layer.kernel[axis] - 1) * layer.dilation[axis] for axis in (0, 1)]
        fits = all(
            layer.in_size(axis) + layer.padding[axis] + layer.padding[axis + 2] > reach[axis]
            and layer.in_size(axis) < 40
            and max(layer.padding[axis], layer.padding[axis + 2]) <= reach[axis]
            for axis in (0, 1)
        )
        if fits and (may_repeat or not layer.repeat):
            return layer
    raise MappingError("no layer")


def _gate(draft: _Draft, channels: int) -> str:
    """Return a map of one pixel: given, made by the layer before, or by one before that."""
    rng = draft.rng
    made = [name for name, shape in draft.shapes.items() if shape == (channels, 1, 1) and not draft.rings.get(name, 0)]
    if made and rng.random() < 0.3:
        return made[-1]
    source = draft.give((int(rng.integers(1, 20)), 1, 1))
    if rng.random() < 0.3:
        return source if draft.shapes[source][0] == channels else draft.give((channels, 1, 1))
    layer = EngineLayer(
        operation=Operation.CONV, in_channels=draft.shapes[source][0], in_height=1, in_width=1, out_channels=channels
    )
    tiled = randomly_tiled(rng, layer, draft.shape)
    if tiled is None:
        raise MappingError("no tiles")
    name = f"layer{len(draft.nodes)}"
    draft.nodes.append(EngineNode(name=name, tiled=tiled, data=random_data(rng, layer), ifmap=source))
    draft.shapes[name] = (channels, 1, 1)
    return name


def _residual(draft: _Draft, layer: EngineLayer, ifmap: str) -> str:
    """Return a map of the result's shape in memory: the newest that there is, or one that is given."""
    size = (layer.out_channels, layer.out_height, layer.out_width)
    there = [name for name, shape in draft.shapes.items() if shape == size and not draft.rings.get(name, 0)]
    return there[-1] if there and draft.rng.random() < 0.8 else draft.give(size)


def bands_of(layers: Sequence[EngineLayer], height: int) -> list[tuple[RowRange, ...]]:
    """Return the rows that each of several layers, each reading the one before, makes in each band.

    The last makes ``height`` rows a band, those before it what it needs of them and was not made before.
    """
    bands: list[tuple[RowRange, ...]] = []
    ends = [min(end + height, layers[-1].out_height) for end in range(0, layers[-1].out_height, height)]
    for layer in reversed(layers):
        ends = [min(end, layer.out_height) for end in ends]
        bands.append(tuple(zip([0, *ends[:-1]], ends, strict=True)))
        reach = (layer.kernel[0] - 1) * layer.dilation[0] + 1
        ends = [max(0, (end - 1) * layer.stride[0] - layer.padding[0] + reach) if end else 0 for end in ends]
    return bands[::-1]


def random_chain_program(folder: Path, shape: EngineShape, groups: int, seed: int) -> EngineProgram:
    """Write the program of a random chain, with random maps."""
    return write_chain(folder, random_chain(shape, groups, seed), np.random.default_rng(seed))


def write_chain(folder: Path, chain: Chain, rng: np.random.Generator) -> EngineProgram:
    """Write a chain's program as the simulation reads it."""
    compiled, accelerator = chain.compiled(), chain.shape.accelerator
    program, word = compiled.program, accelerator.axi_bytes
    maps = {name: rng.integers(-128, 128, (1, *size)).astype(np.int8) for name, size in chain.given.items()}
    content = bytearray(program.arena)
    for values in maps.values():
        content += bytes(-len(content) % accelerator.weight_port_bytes) + pack_map(values, accelerator).tobytes()
    folder.mkdir(parents=True)
    (folder / "arena.bin").write_bytes(content)
    layout = program.layout() | chain.shape.program_sizes()
    (folder / "program.txt").write_text("".join(f"{name} {value}\n" for name, value in layout.items()))
    begins = {
        step.layer: step.places.ofmap for step in reversed(compiled.steps) if step.places.ofmap.ring is None
    }  # the first step's is the map's
    expected: list[ExpectedMap] = []
    for index, node in enumerate(chain.nodes):
        maps[node.name] = node_result(node, maps)
        if index in begins:
            expected.append(ExpectedMap(tiled=node.tiled, place=begins[index], result=maps[node.name][0]))
    return EngineProgram(
        folder=folder, steps=list(compiled.steps), maps=expected, counters_word=program.counter_word, word=word
    )


def node_result(node: EngineNode, maps: dict[str, Int8Array]) -> Int8Array:
    """Return the map [1, M, OH, OW] that a layer makes of those by name."""
    gate = None if node.gate is None else maps[node.gate][:, :, 0, 0]
    residual = None if node.residual is None else maps[node.residual]
    return engine_result(node.tiled.layer, node.data, maps[node.ifmap], gate, residual)
