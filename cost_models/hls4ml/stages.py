"""A network as the stages of an accelerator of its own: what hls4ml converts of it, and each layer's reuse factor."""

import bisect
from dataclasses import dataclass

from cost_models.hls4ml.streams import StreamLayer, accepted_reuse_factors
from cost_models.workload import Activation, Layer, Node, Operation, Workload
from hw_templates.foundation.errors import UnsupportedLayerError
from hw_templates.hls4ml.parameters import Hls4mlAccelerator, IoType

PARTITION_LIMIT = 4096
"""Elements that Vitis HLS partitions an array into at most."""

_CONVERTED = (Operation.CONV, Operation.DEPTHWISE, Operation.POOL)
_UNCONVERTED = {
    Operation.SCALE: "multiplies a map by one pixel, which hls4ml refuses for streams and gets wrong in registers "
    "(squeeze-and-excite)",
    Operation.MAX_POOL: "pools windows that overlap, which hls4ml does in registers only, too few for its maps",
}
_KERNELS = (1, 3, 5, 7)
_ACTIVATIONS = {
    Activation.RELU6: "hls4ml reads it as ReLU and drops the limit of 6",
    Activation.HSWISH: "hls4ml has no h-swish",
    Activation.HSIGMOID: "hls4ml's hard sigmoid has another slope",
}


@dataclass(frozen=True, kw_only=True)
class StreamStage:
    """One layer in its own hardware, for one output pixel at a time.

    Attributes:
        inputs, outputs: of the product of vector and matrix that a pixel is; a depthwise layer has one output of each
            channel's inputs.
        multiplications: of a pixel; 0 for a pool.
        pixels: of the output map.
        most_reuse: no reuse factor is larger. A convolution of maps in registers has at most its inputs: beyond them,
            hls4ml's C++ ends the process (nnet_conv2d_resource.h), though its checks in Python accept more.
    """

    name: str
    layer: Layer
    inputs: int
    outputs: int
    multiplications: int
    pixels: int
    most_reuse: int

    @classmethod
    def of(cls, node: Node, *, of_registers: bool = False) -> "StreamStage":
        """The stage of a node, which is a convolution of maps in registers or not."""
        layer = node.layer
        taps = layer.kernel_height * layer.kernel_width
        pixels = layer.out_height * layer.out_width
        if layer.operation == Operation.CONV:
            inputs, outputs = taps * layer.in_channels, layer.out_channels
            products = inputs * outputs
            return cls(
                name=node.name,
                layer=layer,
                inputs=inputs,
                outputs=outputs,
                multiplications=products,
                pixels=pixels,
                most_reuse=inputs if of_registers else products,
            )
        products = taps * layer.in_channels if layer.operation == Operation.DEPTHWISE else 0
        return cls(
            name=node.name,
            layer=layer,
            inputs=taps * layer.in_channels,
            outputs=layer.out_channels,
            multiplications=products,
            pixels=pixels,
            most_reuse=max(1, products),
        )

    @property
    def reuse_factors(self) -> tuple[int, ...]:
        """Ascending, those that hls4ml accepts for this layer without rounding; 1 for a pool."""
        if not self.multiplications:
            return (1,)
        accepted = accepted_reuse_factors(self.inputs, self.outputs)
        return tuple(n for n in accepted if self.multiplications % n == 0 and n <= self.most_reuse)

    def reuse_factor(self, interval_cycles: int) -> int:
        """The largest with which the layer spends at most ``interval_cycles`` on an image; else the smallest."""
        accepted = self.reuse_factors
        return accepted[max(0, bisect.bisect_right(accepted, interval_cycles // self.pixels) - 1)]

    def stream_layer(self, reuse_factor: int) -> StreamLayer:
        """The layer as :func:`cost_models.hls4ml.streams.stream_cycles` times it."""
        layer = self.layer
        dense = layer.operation == Operation.CONV
        kernel = 0 if layer.operation == Operation.POOL else layer.kernel_height
        outputs = layer.out_channels if dense or not self.multiplications else 1
        return StreamLayer(
            height=layer.in_height,
            width=layer.in_width,
            channels=layer.in_channels,
            outputs=outputs,
            kernel=kernel,
            stride=layer.stride,
            reuse_factor=reuse_factor,
        )


def stages(workload: Workload, io_type: IoType = IoType.STREAM) -> tuple[StreamStage, ...]:
    """The stages of a network, in order.

    Raises:
        UnsupportedLayerError: hls4ml 1.3.0 cannot convert a layer so that it computes the same; names it and says why.
    """
    for node in workload:
        reason = _refusal(node, io_type)
        if reason is not None:
            raise UnsupportedLayerError(f"{node.name}: not for template hls4ml: {reason}")
    vectors = vector_readers(workload)
    return tuple(
        StreamStage.of(node, of_registers=io_type == IoType.PARALLEL and node.name not in vectors) for node in workload
    )


def vector_readers(workload: Workload) -> frozenset[str]:
    """Names of the nodes that read one vector, the average of a map or what follows it: hls4ml's dense layers."""
    vectors: set[str] = set()
    readers: set[str] = set()
    for node in workload:
        if node.ifmap in vectors:
            readers.add(node.name)
        if node.ifmap in vectors or node.layer.operation == Operation.POOL:
            vectors.add(node.name)
    return frozenset(readers)


def reuse_factors(network: tuple[StreamStage, ...], design: Hls4mlAccelerator) -> tuple[int, ...]:
    """One a stage, each the largest that keeps to the design's interval."""
    return tuple(stage.reuse_factor(design.interval_cycles) for stage in network)


def _refusal(node: Node, io_type: IoType) -> str | None:
    """Why hls4ml cannot have this node; found by converting and compiling such layers with hls4ml 1.3.0."""
    layer, stage = node.layer, StreamStage.of(node)
    if layer.operation not in _CONVERTED:
        return _UNCONVERTED.get(layer.operation, f"computes {layer.operation}, which is not converted")
    if node.activation in _ACTIVATIONS:
        return f"{node.activation}: {_ACTIVATIONS[node.activation]}"
    if node.adds_last:
        return "adds its residual after the activation, for which no type is emitted"
    if layer.weight_bits != 8:
        return f"has weights of {layer.weight_bits} bits of its own; an accelerator has one precision"
    if layer.operation == Operation.POOL:
        taps = layer.kernel_height * layer.kernel_width
        if stage.pixels > 1 or taps & (taps - 1) or layer.padding:
            return f"averages {taps} pixels; whole maps of 1, 4, 16, 64 ... pixels are averaged without rounding"
        return None
    kernel = layer.kernel_height
    if kernel != layer.kernel_width or kernel not in _KERNELS or layer.stride > 2 or layer.padding > kernel // 2:
        return (
            f"has a kernel of {kernel}x{layer.kernel_width} at stride {layer.stride} with a padding of "
            f"{layer.padding}; 1x1 to 7x7 at strides 1 and 2 were converted, padded by half the kernel at most"
        )
    if stage.inputs > PARTITION_LIMIT or (layer.kernel_height == 1 and stage.multiplications > PARTITION_LIMIT):
        return f"partitions an array into {max(stage.inputs, stage.multiplications)}, at most {PARTITION_LIMIT}"
    elements = max(layer.in_channels * layer.in_height * layer.in_width, layer.out_channels * stage.pixels)
    if io_type == IoType.PARALLEL and elements > PARTITION_LIMIT:
        return f"keeps {elements} values of a map in registers for io_parallel, at most {PARTITION_LIMIT}"
    return None
