"""A network in integers, as a value."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cost_models.workload import Node, Workload
from hw_templates.foundation.errors import InvalidValueError


@dataclass(frozen=True, eq=False, kw_only=True)
class QuantisedLayer:
    """One layer in integers; :mod:`codesign.emit.integer_reference` says what is done with them.

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
    weight: npt.NDArray[np.int8] | None
    bias: npt.NDArray[np.int32]
    multiplier: npt.NDArray[np.int32]
    shift: npt.NDArray[np.int32]
    table: npt.NDArray[np.int8]
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
        """The network as the cost model knows it."""
        return Workload(tuple(layer.node for layer in self.layers))


def check_images(field: str, workload: Workload, images: npt.NDArray[np.float32] | npt.NDArray[np.int8]) -> None:
    """Refuse, with InvalidValueError, images that are not finite [n >= 1, C, H, W] of the workload's input."""
    first = workload.nodes[0].layer
    wanted = (first.in_channels, first.in_height, first.in_width)
    if images.ndim != 4 or images.shape[1:] != wanted or len(images) == 0:
        raise InvalidValueError(f"{field}.shape", images.shape, f"(n, {', '.join(map(str, wanted))}) with n at least 1")
    if not np.isfinite(images).all():
        raise InvalidValueError(field, float(images[~np.isfinite(images)][0]), "finite")
