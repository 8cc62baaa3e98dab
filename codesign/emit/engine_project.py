"""The files of an emitted project that its Verilog is simulated with: the network as a program of version 5."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np

from codesign.emit.engine_program import compile_engine_program, engine_node
from codesign.emit.engine_reference import EngineNode, run_engine
from codesign.emit.integer_reference import QuantisedNetwork
from cost_models.coefficients import MEMORY_LATENCY_CYCLES
from cost_models.engine.counts import count_program
from cost_models.engine.cycles import program_cycles
from cost_models.engine.places import PlacedLayer, placed_layers
from cost_models.engine.stages import MemoryTiming
from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.mapping.mapping import Mapping
from cost_models.workload import IMAGE
from hw_templates.board import Board
from hw_templates.conv_engine import isa5
from hw_templates.conv_engine.program import Program
from hw_templates.conv_engine.rtl_config import EngineShape
from hw_templates.foundation.arrays import Int8Array

ISA5_FILES = tuple(f"isa5/{name}" for name in ("arena.bin", "golden.bin", "stated.txt", "program.txt"))
"""The files whose digest, with that of the test images, is ``isa5_sha256`` of the project's record."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CompiledNetwork:
    """A network as a program of version 5.

    Attributes:
        network: what was compiled.
        shape: the engine.
        nodes: its layers in their tiles, as the engine runs them.
        program: the program.
        placed: the layers in memory.
    """

    network: QuantisedNetwork
    shape: EngineShape
    nodes: tuple[EngineNode, ...]
    program: Program
    placed: tuple[PlacedLayer, ...]

    def tiled_layers(self) -> list[tuple[str, Mapping, int]]:
        """Return the name of each layer, its tiles, which may be others than were asked for, and its iterations."""
        counts = count_program(self.placed)[0]
        return [
            (node.name, node.tiled.mapping, count.trips.compute_trips)
            for node, count in zip(self.nodes, counts, strict=True)
        ]

    def cycles(self, board: Board) -> int:
        """Return the cycles of an image, stated slot by slot; all ports share the bandwidth planned for a board."""
        bytes_a_cycle = board.ddr.plan_gb_s * 1e3 / self.shape.accelerator.clock_mhz
        memory = MemoryTiming(latency_cycles=MEMORY_LATENCY_CYCLES, bytes_a_cycle=bytes_a_cycle)
        return program_cycles(self.placed, memory)[1]


def compile_network(network: QuantisedNetwork, mapped: Sequence[MappedLayer], shape: EngineShape) -> CompiledNetwork:
    """Return a network as a program of version 5.

    Args:
        network: what is compiled.
        mapped: its layers in their tiles; where version 1 keeps their maps is not looked at, as all go to memory here.
        shape: the engine.

    Raises:
        MappingError, UnsupportedLayerError: the engine cannot run a layer.
    """
    nodes = [engine_node(quantised, ran.mapping, shape) for quantised, ran in zip(network.layers, mapped, strict=True)]
    program = compile_engine_program(nodes, {IMAGE: network.layers[0].node.layer.in_shape}, shape)
    records = np.frombuffer(program.arena, isa5.DESCRIPTOR, len(nodes))
    placed = placed_layers([node.tiled for node in nodes], records)
    return CompiledNetwork(network=network, shape=shape, nodes=tuple(nodes), program=program, placed=tuple(placed))


def isa5_files(compiled: CompiledNetwork, images: Int8Array) -> dict[str, bytes]:
    """Return {path in the project: content} of a network's program, its results, and what a run of it counts.

    Args:
        compiled: the network.
        images: quantised test images [n, C, H, W].
    """
    program, nodes = compiled.program, compiled.nodes
    layout = program.layout() | compiled.shape.program_sizes()
    contents = (
        program.arena,
        run_engine(compiled.network.workload, nodes, images).tobytes(),
        _stated([node.name for node in nodes], compiled.placed).encode(),
        "".join(f"{name} {value}\n" for name, value in layout.items()).encode(),
    )
    return dict(zip(ISA5_FILES, contents, strict=True))


def _stated(names: Sequence[str], placed: Sequence[PlacedLayer]) -> str:
    """Return what a run counts: a line a layer and one a port, as ``tb/rtl_program.h`` reads them."""
    counts, ports = count_program(placed)
    layers = (
        f"layer {' '.join(map(str, astuple(count.trips)))} {name}\n" for name, count in zip(names, counts, strict=True)
    )
    of_ports = (
        f"port {port.name} {getattr(ports, port.name).words} {getattr(ports, port.name).bursts}\n"
        for port in fields(ports)
    )
    return "".join((*layers, *of_ports))
