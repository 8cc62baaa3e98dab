"""Layers as a program of their own with random data, which is run to measure their time.

A layer reads the map of the one before it where that stays on chip or both run in one group, and otherwise a map of its
own, which the program's image holds together with gates and maps that are added.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from codesign.emit.convolve import Maps
from codesign.emit.engine_reference import engine_result
from codesign.emit.integer_reference import QuantisedLayer
from codesign.emit.program import compile_program, engine_node, pack_map
from codesign.emit.quantise import weight_shape
from cost_models.engine.layer import engine_layer
from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.workload import Node, Shape
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.engine_shape import EngineShape
from hw_templates.conv_engine.program import Program
from hw_templates.foundation.arrays import Int8Array
from hw_templates.foundation.errors import InvalidValueError

_SPREAD_PRODUCT = 2.0**12
"""Typical product of a random pixel and a random weight of 8 bits."""
_SPREAD_PIXEL = 2.0**6


@dataclass(frozen=True)
class RandomProgram:
    """A program of layers with random data.

    Attributes:
        program: the program.
        image: the image that it reads.
        first_pixel: the first pixel of its result, int8 as bytes.
        layer_of: which layer each of its descriptors belongs to.
    """

    program: Program
    image: bytes
    first_pixel: bytes
    layer_of: tuple[int, ...]


def random_program(layers: Sequence[MappedLayer], shape: EngineShape, seed: int) -> RandomProgram:
    """Compile layers with random weights and maps; equal arguments give equal bytes.

    Raises:
        InvalidValueError: no layer, or placements that do not go together.
        UnsupportedLayerError, MappingError: the engine cannot run them.
    """
    drawn = _draw(layers, seed)
    nodes = {
        layer.node.name: engine_node(layer, ran.mapping, shape, ran.placement)
        for layer, ran in zip(drawn.layers, layers, strict=True)
    }
    compiled = compile_program(tuple(nodes.values()), drawn.shapes, shape)

    def compute(layer: QuantisedLayer, reads: dict[str, Maps]) -> Maps:
        node = nodes[layer.node.name]
        gate = reads["gate"][:, :, 0, 0] if node.gate else None
        # Of a layer alone only the corner of its maps is computed.
        corner = engine_layer(layer.node.layer, node.tiled.layer.residual)
        return engine_result(corner, node.data, reads["ifmap"], gate, reads.get("residual"))

    image = _image(drawn, shape.accelerator)
    layer_of = tuple(step.layer for step in compiled.steps)
    return RandomProgram(compiled.program, image, _first_pixel(drawn, compute), layer_of)


@dataclass(frozen=True)
class _Drawn:
    """Layers with random weights, and random maps [1, C, H, W] that they read of none before them."""

    layers: list[QuantisedLayer]
    maps: dict[str, Int8Array]

    @property
    def shapes(self) -> dict[str, Shape]:
        """Shapes of the maps."""
        return {name: (values.shape[1], values.shape[2], values.shape[3]) for name, values in self.maps.items()}


def _draw(layers: Sequence[MappedLayer], seed: int) -> _Drawn:
    if not layers or layers[-1].placement.ofmap_ring:
        raise InvalidValueError("layers", len(layers), "at least one, the last of which writes to memory")
    rng = np.random.default_rng(seed)
    quantised = [_random_layer(node, rng) for node in _nodes(layers)]
    given = {
        producer: layer.node.read_shapes[role]
        for layer in quantised
        for role, producer in layer.node.reads
        if producer not in {other.node.name for other in quantised}
    }
    maps = {name: rng.integers(-128, 128, (1, *shape)).astype(np.int8) for name, shape in given.items()}
    return _Drawn(quantised, maps)


def _image(drawn: _Drawn, accelerator: Accelerator) -> bytes:
    """Return the maps as the program reads them: each begins where the weight port can, and the last one ends it."""
    maps = drawn.maps.values()
    port_bytes, image = accelerator.weight_port_bytes, bytearray()
    for values in maps:
        image += bytes(-len(image) % port_bytes) + pack_map(values, accelerator)[0].tobytes()
    return bytes(image)


def _nodes(layers: Sequence[MappedLayer]) -> list[Node]:
    nodes: list[Node] = []
    in_group = 0
    for index, ran in enumerate(layers):
        layer, follows = ran.layer, in_group > 0 or ran.placement.ifmap_ring > 0
        in_group = max(in_group, ran.placement.group_layers) - 1
        if follows:
            shape = layers[index - 1].layer.out_shape if index else None
            if shape != layer.in_shape:
                raise InvalidValueError(f"layers[{index}].layer", layer, f"one that reads a map of shape {shape}")
        nodes.append(
            Node(
                name=f"layer{index}",
                layer=layer,
                ifmap=f"layer{index - 1}" if follows else f"ifmap{index}",
                gate=f"gate{index}" if layer.operation.reads_gate else None,
                residual=f"residual{index}" if layer.residual else None,
            )
        )
    return nodes


def _random_layer(node: Node, rng: np.random.Generator) -> QuantisedLayer:
    """Return a layer whose sums mostly fit int8 once they are rescaled."""
    layer, shape = node.layer, weight_shape(node)
    most = 2 ** (layer.weight_bits - 1) - 1
    weight = None if shape is None else rng.integers(-most, most + 1, shape).astype(np.int8)
    spread = _SPREAD_PIXEL if layer.operation.is_weightless else _SPREAD_PRODUCT * 2.0 ** (layer.weight_bits - 8)
    terms = layer.macs / (layer.out_height * layer.out_width * layer.out_channels)
    shift = 15 + max(0, round(math.log2(spread * math.sqrt(terms) / _SPREAD_PIXEL)))
    channels = layer.out_channels
    return QuantisedLayer(
        node=node,
        weight=weight,
        bias=np.zeros(channels, np.int32),
        multiplier=np.full(channels, 2**15, np.int32),
        shift=np.full(channels, shift, np.int32),
        table=np.arange(-128, 128).astype(np.int8),
        residual_multiplier=2**15 if layer.residual else 0,
        residual_shift=15 if layer.residual else 1,
    )


def _first_pixel(drawn: _Drawn, compute: Callable[[QuantisedLayer, dict[str, Maps]], Maps]) -> bytes:
    """Compute the first pixel of the last layer with all layers that it depends on."""
    layers, maps = drawn.layers, drawn.maps
    first = len(layers) - 1
    while layers[first].node.ifmap not in maps:
        first -= 1
    chain, known = list(layers[first:]), dict[str, Maps](maps)
    if len(chain) == 1:
        chain = [_cropped(chain[0], known)]
    for layer in chain:
        reads = {role: known[producer] for role, producer in layer.node.reads}
        known[layer.node.name] = compute(layer, reads)
    pixel: bytes = known[layers[-1].node.name][0, :, 0, 0].tobytes()
    return pixel


def _cropped(layer: QuantisedLayer, maps: dict[str, Maps]) -> QuantisedLayer:
    """Return the layer on the corner of its maps that its first pixel reads, to which ``maps`` are cut."""
    node, shape = layer.node, layer.node.layer
    rows, cols = min(shape.in_height, shape.kernel_height), min(shape.in_width, shape.kernel_width)
    corner = replace(shape, in_height=rows, in_width=cols)
    maps[node.ifmap] = maps[node.ifmap][:, :, :rows, :cols]
    if node.residual is not None:
        maps[node.residual] = maps[node.residual][:, :, : corner.out_height, : corner.out_width]
    return replace(layer, node=replace(node, layer=corner))
