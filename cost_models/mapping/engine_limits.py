"""What ``conv_engine`` can run of each operation: a layer may be anything, the engine's own limits stand here."""

from dataclasses import dataclass

from cost_models.workload import Layer
from hw_templates.conv_engine.engine_shape import SUPERNETS
from hw_templates.foundation.errors import UnsupportedLayerError
from hw_templates.operations import Operation

STRIDES = (1, 2)
EXTENT_MAX = 4095
"""Most channels, and most rows or columns with their padding: a field of a descriptor has 12 bits."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The layers of one operation that the engine can run.

    Attributes:
        kernels: sizes of square kernels.
        words: the kernels in words, for messages; a format string of a layer's ``kernel``, ``stride`` and ``padding``.
        strides: strides of these kernels.
        whole_map: whether a kernel may also be as large as the map, at any stride of the engine.
        least_padding: of these kernels.
        pads: whether a map may be padded, by half the kernel at most.
        weight_bits: widths of the weights.
    """

    kernels: tuple[int, ...]
    words: str
    strides: tuple[int, ...] = STRIDES
    whole_map: bool = False
    least_padding: int = 0
    pads: bool = False
    weight_bits: tuple[int, ...] = (8,)


_WEIGHTED = Limits(kernels=(1, 3, 5, 7), words="has 1x1, 3x3, 5x5 and 7x7, got {kernel}", pads=True, weight_bits=(8, 4))

LIMITS = {
    Operation.CONV: _WEIGHTED,
    Operation.DEPTHWISE: _WEIGHTED,
    Operation.POOL: Limits(
        kernels=(2,),
        words="averages the whole map, or 2x2 at stride 2, got {kernel} at {stride}",
        strides=(2,),
        whole_map=True,
    ),
    Operation.MAX_POOL: Limits(
        kernels=(3,), words="is 3x3 with a padding of 1, got {kernel} with {padding}", least_padding=1, pads=True
    ),
    Operation.SCALE: Limits(kernels=(1,), words="is 1x1, got {kernel}"),
}


def check_engine_runs(layer: Layer) -> None:
    """Check that the engine can run a layer of this shape on some accelerator.

    Raises:
        UnsupportedLayerError: it cannot; names the field and what the engine has.
    """
    limits, operation, stride = LIMITS[layer.operation], layer.operation, layer.stride
    kernel = (layer.kernel_height, layer.kernel_width)
    if stride not in STRIDES:
        raise UnsupportedLayerError(f"layer.stride: the engine has strides 1 and 2, got {stride}")
    is_whole = limits.whole_map and kernel == (layer.in_height, layer.in_width)
    is_known = kernel in ((size, size) for size in limits.kernels) and stride in limits.strides
    if not is_whole and not (is_known and layer.padding >= limits.least_padding):
        words = limits.words.format(kernel=kernel, stride=stride, padding=layer.padding)
        raise UnsupportedLayerError(f"layer.kernel: {operation} {words}")
    if is_whole and max(kernel) > SUPERNETS.max_pool:
        raise UnsupportedLayerError(f"layer.kernel: {operation} has at most {SUPERNETS.max_pool}, got {kernel}")
    for name, extent, around in (
        ("in_channels", layer.in_channels, 0),
        ("out_channels", layer.out_channels, 0),
        # The tiles of an axis end at most a stride behind the map.
        ("in_height", layer.in_height, 2 * layer.padding + stride - 1),
        ("in_width", layer.in_width, 2 * layer.padding + stride - 1),
    ):
        if extent > EXTENT_MAX - around:
            raise UnsupportedLayerError(f"layer.{name}: the engine has at most {EXTENT_MAX - around}, got {extent}")
    if layer.padding and not limits.pads:
        raise UnsupportedLayerError(f"layer.padding: {operation} has none, got {layer.padding}")
    if layer.padding > layer.kernel_height // 2:
        raise UnsupportedLayerError(f"layer.padding: at most half the kernel, got {layer.padding}")
    if layer.weight_bits not in limits.weight_bits:
        widths = " and ".join(map(str, limits.weight_bits))
        raise UnsupportedLayerError(f"layer.weight_bits: {operation} has {widths}, got {layer.weight_bits}")
