"""The network of an emitted project as a program of version 5, and the files that hold it."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np

from codesign.emit.engine_reference import EngineNode, run_engine
from codesign.emit.integer_reference import QuantisedNetwork
from codesign.emit.program import CompiledProgram, compile_program, engine_node, pack_map
from cost_models.coefficients import MEMORY_LATENCY_CYCLES
from cost_models.engine.counts import count_program
from cost_models.engine.cycles import program_cycles
from cost_models.engine.places import ProgramStep
from cost_models.engine.stages import MemoryTiming
from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.workload import IMAGE
from hw_templates.board import Board
from hw_templates.conv_engine.engine_shape import EngineShape
from hw_templates.foundation.arrays import Int8Array

IMAGES_FILE = "program/images.bin"
PROGRAM_FILES = (
    "program/arena.bin",
    IMAGES_FILE,
    "program/golden.bin",
    "program/stated.txt",
    "program/program.txt",
)
"""The program, the test images with their results, and what a run counts; ``program_sha256`` of the project's record is
their digest."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CompiledNetwork:
    """A network as a program of version 5.

    Attributes:
        network: what was compiled.
        shape: the engine.
        mapped: its layers in the tiles that they run in.
        nodes: the same with their data, as the engine runs them.
        compiled: the program, and its steps.
    """

    network: QuantisedNetwork
    shape: EngineShape
    mapped: tuple[MappedLayer, ...]
    nodes: tuple[EngineNode, ...]
    compiled: CompiledProgram

    def tiled_layers(self) -> list[tuple[str, MappedLayer, int]]:
        """Return the name of each layer, how it runs, and its iterations."""
        iterations = np.zeros(len(self.nodes), np.int64)
        for step, count in zip(self.compiled.steps, count_program(self.compiled.steps)[0], strict=True):
            iterations[step.layer] += count.trips.compute_trips
        names = (node.name for node in self.nodes)
        return list(zip(names, self.mapped, map(int, iterations), strict=True))

    def results(self, images: Int8Array) -> Int8Array:
        """Return the engine's result for each quantised image, as :func:`run_engine` does."""
        return run_engine(self.network.workload, self.nodes, images)

    def cycles(self, board: Board) -> int:
        """Return the cycles of an image, stated slot by slot; all ports share the bandwidth planned for a board."""
        bytes_a_cycle = board.ddr.plan_gb_s * 1e3 / self.shape.accelerator.clock_mhz
        memory = MemoryTiming(latency_cycles=MEMORY_LATENCY_CYCLES, bytes_a_cycle=bytes_a_cycle)
        return program_cycles(self.compiled.steps, memory)[1]


def compile_network(network: QuantisedNetwork, mapped: Sequence[MappedLayer], shape: EngineShape) -> CompiledNetwork:
    """Return a network as a program of version 5.

    Args:
        network: what is compiled.
        mapped: its layers in their tiles, and where their maps stay.
        shape: the engine.

    Raises:
        InvalidValueError, MappingError, UnsupportedLayerError: the engine cannot run a layer.
    """
    nodes = tuple(
        engine_node(quantised, ran.mapping, shape, ran.placement)
        for quantised, ran in zip(network.layers, mapped, strict=True)
    )
    compiled = compile_program(nodes, {IMAGE: network.layers[0].node.layer.in_shape}, shape)
    return CompiledNetwork(network=network, shape=shape, mapped=tuple(mapped), nodes=nodes, compiled=compiled)


def program_files(compiled: CompiledNetwork, images: Int8Array) -> dict[str, bytes]:
    """Return {path in the project: content} of a network's program, its results, and what a run of it counts.

    Args:
        compiled: the network.
        images: quantised test images [n, C, H, W].
    """
    program = compiled.compiled.program
    layout = program.layout() | compiled.shape.program_sizes()
    contents = (
        program.arena,
        pack_map(images, compiled.shape.accelerator).tobytes(),
        compiled.results(images).tobytes(),
        _stated([node.name for node in compiled.nodes], compiled.compiled.steps).encode(),
        "".join(f"{name} {value}\n" for name, value in layout.items()).encode(),
    )
    return dict(zip(PROGRAM_FILES, contents, strict=True))


def _stated(names: Sequence[str], steps: Sequence[ProgramStep]) -> str:
    """Return what a run counts: a line a step, with its layer's name, and one a port, as ``tb/rtl_program.h`` reads."""
    counts, ports = count_program(steps)
    lines = (
        f"layer {' '.join(map(str, astuple(count.trips)))} {names[step.layer]}\n"
        for step, count in zip(steps, counts, strict=True)
    )
    of_ports = (
        f"port {port.name} {getattr(ports, port.name).words} {getattr(ports, port.name).bursts}\n"
        for port in fields(ports)
    )
    return "".join((*lines, *of_ports))
