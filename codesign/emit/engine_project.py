"""The files of an emitted project that its Verilog is simulated with: the network as a program of version 5."""

from collections.abc import Sequence
from dataclasses import astuple, fields

from codesign.emit.engine_program import compile_engine_program, engine_node
from codesign.emit.engine_reference import run_engine
from codesign.emit.integer_reference import QuantisedNetwork
from cost_models.engine.counts import count_program
from cost_models.engine.places import ProgramStep
from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.workload import IMAGE
from hw_templates.conv_engine.rtl_config import EngineShape
from hw_templates.foundation.arrays import Int8Array

ISA5_FILES = tuple(f"isa5/{name}" for name in ("arena.bin", "golden.bin", "stated.txt", "program.txt"))
"""The files whose digest, with that of the test images, is ``isa5_sha256`` of the project's record."""


def isa5_files(
    network: QuantisedNetwork, mapped: Sequence[MappedLayer], shape: EngineShape, images: Int8Array
) -> dict[str, bytes]:
    """Return {path in the project: content} of a network's program, its results, and what a run of it counts.

    Args:
        network: what is compiled.
        mapped: its layers in their tiles, and where their maps stay.
        shape: the engine.
        images: quantised test images [n, C, H, W].

    Raises:
        InvalidValueError, MappingError, UnsupportedLayerError: the engine cannot run a layer.
    """
    nodes = [
        engine_node(quantised, ran.mapping, shape, ran.placement)
        for quantised, ran in zip(network.layers, mapped, strict=True)
    ]
    compiled = compile_engine_program(nodes, {IMAGE: network.layers[0].node.layer.in_shape}, shape)
    layout = compiled.program.layout() | shape.program_sizes()
    contents = (
        compiled.program.arena,
        run_engine(network.workload, nodes, images).tobytes(),
        _stated([node.name for node in nodes], compiled.steps).encode(),
        "".join(f"{name} {value}\n" for name, value in layout.items()).encode(),
    )
    return dict(zip(ISA5_FILES, contents, strict=True))


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
