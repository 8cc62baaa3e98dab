"""A network in integers, as a value."""

from dataclasses import dataclass

import numpy as np

from cost_models.workload import Node, Workload
from hw_templates.foundation.arrays import Float32Array, Int8Array, Int32Array
from hw_templates.foundation.errors import InvalidValueError


@dataclass(frozen=True, eq=False, kw_only=True)
class QuantisedLayer:
    """One layer in integers, as :mod:`codesign.emit.integer_reference` computes it.

    Attributes:
        node: the layer in its place.
        weight: int8 in -127..127, or -7..7 where the layer's have 4 bits; [M, C, k, k] for a convolution, [C, 1, k, k]
            for a depthwise one, otherwise None.
        bias: int32 [M], in units of one step of the products.
        multiplier: int32 [M], 0 or in 2^15..2^16-1.
        shift: int32 [M], 1..47.
        table: int8 [256], the activation of q at index q + 128.
        residual_multiplier: of the map that is added; 0 where none is.
        residual_shift: of the map that is added; 1 where none is.
    """

    node: Node
    weight: Int8Array | None
    bias: Int32Array
    multiplier: Int32Array
    shift: Int32Array
    table: Int8Array
    residual_multiplier: int
    residual_shift: int


@dataclass(frozen=True, eq=False)
class QuantisedNetwork:
    """A network in integers.

    Attributes:
        layers: in the order they run.
        input_scale: real value of one step of the input image.
        output_scale: real value of one step of the result.
    """

    layers: tuple[QuantisedLayer, ...]
    input_scale: float
    output_scale: float

    @property
    def workload(self) -> Workload:
        """The network that is priced."""
        return Workload(tuple(layer.node for layer in self.layers))


def check_images(field: str, workload: Workload, images: Float32Array | Int8Array) -> None:
    """Refuse, with InvalidValueError, images that are not finite [n >= 1, C, H, W] of the workload's input."""
    wanted = workload.nodes[0].layer.in_shape
    if images.ndim != 4 or images.shape[1:] != wanted or len(images) == 0:
        raise InvalidValueError(f"{field}.shape", images.shape, f"(n, {', '.join(map(str, wanted))}) with n at least 1")
    if not np.isfinite(images).all():
        raise InvalidValueError(field, float(images[~np.isfinite(images)][0]), "finite")
