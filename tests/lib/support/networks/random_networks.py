"""Random quantised networks and mappings that use every operation of the engine, for comparing implementations."""

from collections.abc import Sequence

import numpy as np
from support.pricing.shapes import layer_of

from codesign.emit.convolve import walk
from codesign.emit.integer_reference import QuantisedLayer, QuantisedNetwork, after_table, before_table
from cost_models.mapping.block import find_blocks, partitions_of
from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.mapping.mapping import LoopOrder, Mapping
from cost_models.mapping.placement import IN_MEMORY, Placement
from cost_models.workload import IMAGE, Activation, Layer, Node, Operation, Workload
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.errors import MappingError


class NetworkBuilder:
    """Adds random layers, one after the other, to a network whose integers are random too.

    Weights have 8 or 4 bits, layer by layer. They may be anything that fits these, beyond what quantisation makes; with
    ``extreme`` each is the least or the greatest of it.
    """

    def __init__(self, rng: np.random.Generator, extreme: bool = False) -> None:
        self._rng = rng
        self._extreme = extreme
        self._layers: list[QuantisedLayer] = []
        self._last = IMAGE
        self._shape = (int(rng.integers(1, 6)), int(rng.integers(5, 20)), int(rng.integers(5, 20)))

    def network(self) -> QuantisedNetwork:
        """What was added so far."""
        return QuantisedNetwork(tuple(self._layers), input_scale=1.0, output_scale=1.0)

    def convolution(self, kernel: int, stride: int, residual: bool = False, adds_last: bool = False) -> None:
        """A dense layer; with ``residual`` it keeps the shape and adds its own input, perhaps after the activation."""
        channels, height, width = self._shape
        out = channels if residual else int(self._rng.integers(3, 40))
        shape = (channels, out, height, width, kernel, kernel, stride, kernel // 2)
        self._add(layer_of(Operation.CONV, *shape, residual, self._weight_bits()), adds_last=adds_last)

    def depthwise(self, kernel: int, stride: int) -> None:
        """A depthwise layer."""
        channels, height, width = self._shape
        shape = (channels, channels, height, width, kernel, kernel, stride, kernel // 2)
        self._add(layer_of(Operation.DEPTHWISE, *shape, False, self._weight_bits()))

    def pool(self) -> None:
        """An average pool over the whole map."""
        channels, height, width = self._shape
        self._add(
            Layer(
                operation=Operation.POOL,
                in_channels=channels,
                out_channels=channels,
                in_height=height,
                in_width=width,
                kernel_height=height,
                kernel_width=width,
            )
        )

    def average_windows(self) -> None:
        """An average pool of windows of 2x2 at stride 2, which overhang maps of odd sides."""
        channels, height, width = self._shape
        self._add(
            Layer(
                operation=Operation.POOL,
                in_channels=channels,
                out_channels=channels,
                in_height=height,
                in_width=width,
                kernel_height=2,
                kernel_width=2,
                stride=2,
            )
        )

    def max_pool(self, stride: int) -> None:
        """A max pool of windows of 3x3."""
        channels, height, width = self._shape
        self._add(
            Layer(
                operation=Operation.MAX_POOL,
                in_channels=channels,
                out_channels=channels,
                in_height=height,
                in_width=width,
                kernel_height=3,
                kernel_width=3,
                stride=stride,
                padding=1,
            )
        )

    def squeeze_excite(self) -> None:
        """A gate computed from the pooled map, and the scaling by it."""
        trunk, shape = self._last, self._shape
        self.pool()
        self.convolution(1, 1)
        channels, height, width = self._shape
        self._add(
            Layer(
                operation=Operation.CONV, in_channels=channels, out_channels=shape[0], in_height=height, in_width=width
            )
        )
        gate, self._last, self._shape = self._last, trunk, shape
        self._add(layer_of(Operation.SCALE, shape[0], *shape), gate)

    def _weight_bits(self) -> int:
        return int(self._rng.choice([4, 8]))

    def _weight(self, layer: Layer) -> np.ndarray | None:
        fan_in = {Operation.CONV: layer.in_channels, Operation.DEPTHWISE: 1}.get(layer.operation)
        if fan_in is None:
            return None
        shape = (layer.out_channels, fan_in, layer.kernel_height, layer.kernel_width)
        end = 2 ** (layer.weight_bits - 1)
        drawn = self._rng.choice([-end, end - 1], shape) if self._extreme else self._rng.integers(-end, end, shape)
        return np.maximum(drawn, 1 - end).astype(np.int8)

    def inverted_residual(
        self, kernel: int, stride: int, expands: bool = True, squeezes: bool = False, residual: bool = False
    ) -> None:
        """A dense layer, a depthwise one, squeeze-and-excite, and a dense layer that may add the block's input."""
        trunk, channels = self._last, self._shape[0]
        if expands:
            self.convolution(1, 1)
        self.depthwise(kernel, stride)
        if squeezes:
            self.squeeze_excite()
        out = channels if residual else int(self._rng.integers(3, 40))
        layer = layer_of(Operation.CONV, self._shape[0], out, *self._shape[1:], 1, 1, 1, 0, residual)
        self._add(layer, residual=trunk if residual else None)

    def _add(self, layer: Layer, gate: str | None = None, residual: str | None = None, adds_last: bool = False) -> None:
        rng, count = self._rng, layer.out_channels
        name = f"layer{len(self._layers)}"
        if layer.residual and residual is None:
            residual = self._last
        node = Node(
            name=name,
            layer=layer,
            ifmap=self._last,
            activation=Activation.IDENTITY,
            gate=gate,
            residual=residual,
            adds_last=adds_last,
        )
        # Shifts that bring typical sums into int8, some too small so that saturation is met.
        product = 70 if layer.operation.is_weightless else 5000 * 2.0 ** (layer.weight_bits - 8)
        spread = np.log2(max(2.0, product * np.sqrt(layer.macs / (layer.out_height * layer.out_width * count))))
        shift = rng.integers(int(spread) + 7, int(spread) + 11, count)
        weight = self._weight(layer)
        bias = np.floor(product * rng.uniform(-1, 1, count))
        multiplier = rng.integers(2**15, 2**16, count)
        if layer.operation.averages:
            # One multiplier for all channels, and no bias.
            shift, multiplier, bias = np.full_like(shift, shift[0]), np.full_like(multiplier, multiplier[0]), 0 * bias
        self._layers.append(
            QuantisedLayer(
                node=node,
                weight=weight,
                bias=bias.astype(np.int32),
                multiplier=multiplier.astype(np.int32),
                shift=shift.astype(np.int32),
                table=rng.permutation(np.arange(-128, 128)).astype(np.int8),
                residual_multiplier=int(rng.integers(2**15, 2**16)) if layer.residual else 0,
                residual_shift=16 if layer.residual else 1,
            )
        )
        self._last, self._shape = name, (count, layer.out_height, layer.out_width)


def network_of_every_operation(rng: np.random.Generator, extreme: bool = False) -> QuantisedNetwork:
    """Convolutions 1/3/5/7 at both strides, depthwise ones, residuals, squeeze-and-excite, pools, classifier."""
    builder = NetworkBuilder(rng, extreme)
    builder.convolution(int(rng.choice([3, 5])), 1)
    builder.depthwise(3, 1)
    builder.convolution(1, 1, residual=True)
    builder.max_pool(int(rng.choice([1, 2])))
    builder.depthwise(int(rng.choice([5, 7])), int(rng.choice([1, 2])))
    builder.squeeze_excite()
    builder.convolution(3, 1, residual=True, adds_last=True)
    builder.average_windows()
    builder.convolution(7, 1)
    builder.convolution(5, int(rng.choice([1, 2])))
    builder.depthwise(7, 1)
    builder.convolution(3, 1, residual=True)
    builder.convolution(3, 2)
    builder.convolution(1, 2)
    builder.pool()
    builder.convolution(1, 1)
    return builder.network()


def network_of_blocks(rng: np.random.Generator) -> QuantisedNetwork:
    """Inverted residuals: with and without expansion, stride, residual and squeeze-and-excite."""
    builder = NetworkBuilder(rng)
    builder.inverted_residual(3, 1, expands=False)
    builder.inverted_residual(5, 2)
    builder.inverted_residual(int(rng.choice([3, 7])), 1, squeezes=True)
    builder.inverted_residual(5, 1, residual=True)
    builder.inverted_residual(3, 2, squeezes=True, expands=False)
    builder.pool()
    builder.convolution(1, 1)
    return builder.network()


def integer_maps(network: QuantisedNetwork, images: np.ndarray) -> dict[str, np.ndarray]:
    """The int8 map [n, M, OH, OW] of every node by name."""
    layers = {layer.node.name: layer for layer in network.layers}
    maps: dict[str, np.ndarray] = {}

    def compute(node: Node, reads: dict[str, np.ndarray]) -> np.ndarray:
        layer = layers[node.name]
        maps[node.name] = after_table(layer, before_table(layer, reads), reads)
        return maps[node.name]

    walk(network.workload, images, compute)
    return maps


def random_placements(workload: Workload, accelerator: Accelerator, rng: np.random.Generator) -> tuple[Placement, ...]:
    """A way to run each block of a network, of those whose maps the accelerator holds."""
    placements = {node.name: IN_MEMORY for node in workload}
    for names, block in find_blocks(workload.graph):
        partitions = partitions_of(block)
        for _ in range(1000):
            partition = partitions[int(rng.integers(len(partitions)))]
            chosen = [placement for _, options in partition for placement in options[int(rng.integers(len(options)))]]
            try:
                for layer, placement in zip(block, chosen, strict=True):
                    placement.check(layer, accelerator)
            except MappingError:
                continue
            placements |= zip(names, chosen, strict=True)
            break
    return tuple(placements.values())


def random_mapped_layers(
    network: QuantisedNetwork, accelerator: Accelerator, rng: np.random.Generator, placements: Sequence[Placement] = ()
) -> list[MappedLayer]:
    """The layers of a network, each with a random legal mapping, all from memory to memory or placed as given."""
    layers, ways = network.workload.layers, placements or [IN_MEMORY] * len(network.layers)
    return [
        MappedLayer(layer, random_mapping(layer, accelerator, rng), way)
        for layer, way in zip(layers, ways, strict=True)
    ]


def random_mapping(layer: Layer, accelerator: Accelerator, rng: np.random.Generator) -> Mapping:
    """A legal mapping of ``layer``, drawn without regard to its price."""
    channels = int(np.lcm(accelerator.pe_rows, accelerator.pe_cols))
    orders = [o for o in LoopOrder if layer.operation == Operation.CONV or o != LoopOrder.INPUTS_OUTER]
    for _ in range(10_000):
        order = LoopOrder(rng.choice(orders))
        height = int(rng.integers(1, layer.out_height + 1))
        width = int(rng.integers(1, layer.out_width + 1))
        if layer.operation == Operation.CONV:
            out = accelerator.pe_rows * int(rng.integers(1, -(-layer.out_channels // accelerator.pe_rows) + 1))
            into = accelerator.pe_cols * int(rng.integers(1, -(-layer.in_channels // accelerator.pe_cols) + 1))
        else:
            out = into = channels * int(rng.integers(1, -(-layer.out_channels // channels) + 1))
        mapping = Mapping(
            tile_out_channels=out, tile_in_channels=into, tile_height=height, tile_width=width, loop_order=order
        )
        try:
            mapping.check(layer, accelerator)
        except MappingError:
            continue
        return mapping
    raise AssertionError(f"no legal mapping found for {layer}")
