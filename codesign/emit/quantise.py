"""From a folded float network to int8 layers with fixed-point rescaling."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from codesign.emit.activation_table import activation_table, to_grid
from codesign.emit.fixed_point import multiplier_and_shift
from codesign.emit.float_reference import Weights
from codesign.emit.map_scales import MapScales, choose_map_scales
from cost_models.workload import IMAGE, Node, Operation, Workload
from hw_templates.errors import InvalidValueError

WEIGHT_MAX = 127
BIAS_MAX = 2**28
"""Leaves room in 32 bits for the products, and is far finer than any result needs."""
SUM_MAX = 2**31 - 1


@dataclass(frozen=True, eq=False)
class QuantisedLayer:
    """One layer in integers; :mod:`codesign.emit.integer_reference` says what is done with them.

    Attributes:
        node: the layer in its place.
        weight: int8 in -127..127, [M, C, k, k] for a convolution, [C, 1, k, k] for a depthwise one, otherwise None.
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


def quantise(workload: Workload, weights: Weights, images: npt.NDArray[np.float32]) -> QuantisedNetwork:
    """The network in int8: weights symmetric per output channel, maps symmetric with one scale each.

    Weight scales cover the largest weight of a channel (Jacob et al. 2018, section 2); map scales come from
    :func:`codesign.emit.map_scales.choose_map_scales`.

    Args:
        workload: the network.
        weights: float (weight, bias) of every convolution and depthwise node, batch norm folded: weight [M, C, k, k]
            or [C, 1, k, k], bias [M].
        images: float32 calibration images [n, C, H, W] of the network's input shape; a few hundred training images
            do. Maps that are still to be read are held for all of them.

    Raises:
        InvalidValueError: weights or images are missing, of the wrong shape or not finite; a layer's sums do not fit
            32 bits; or a map is so small beside the products that it sums that no rescaling factor fits.
    """
    check_weights(workload, weights)
    check_images("calibration images", workload, images)
    input_scale, scales = choose_map_scales(workload, weights, images)
    steps = {IMAGE: input_scale} | {name: scale.after for name, scale in scales.items()}
    layers = tuple(_quantise_layer(node, weights.get(node.name), steps, scales[node.name]) for node in workload)
    return QuantisedNetwork(layers, input_scale, steps[workload.nodes[-1].name])


def quantise_image(network: QuantisedNetwork, images: npt.NDArray[np.float32]) -> npt.NDArray[np.int8]:
    """Float images [n, C, H, W] as the int8 images that the quantised network reads.

    Raises:
        InvalidValueError: the images are not of the network's input shape or not finite.
    """
    check_images("images", network.workload, images)
    return to_grid(images.astype(np.float64), network.input_scale).astype(np.int8)


def check_weights(workload: Workload, weights: Weights) -> None:
    """Refuse, with InvalidValueError, weights that are not exactly those of the workload's convolutions."""
    wanted = {node.name: weight_shape(node) for node in workload}
    for name in weights:
        if wanted.get(name) is None:
            raise InvalidValueError("weights", name, "of a convolution or depthwise node of the workload")
    for name, shape in wanted.items():
        if shape is None:
            continue
        if name not in weights:
            raise InvalidValueError(f"weights[{name}]", None, "given")
        weight, bias = weights[name]
        for part, values, expected in (("weight", weight, shape), ("bias", bias, shape[:1])):
            if values.shape != expected:
                raise InvalidValueError(f"{name}.{part}.shape", values.shape, str(expected))
            if not np.isfinite(values).all():
                raise InvalidValueError(f"{name}.{part}", float(values[~np.isfinite(values)][0]), "finite")


def weight_shape(node: Node) -> tuple[int, int, int, int] | None:
    """Shape of a node's weights; None where it has none."""
    layer = node.layer
    if layer.operation not in (Operation.CONV, Operation.DEPTHWISE):
        return None
    fan_in = layer.in_channels if layer.operation == Operation.CONV else 1
    return layer.out_channels, fan_in, layer.kernel_height, layer.kernel_width


def check_images(field: str, workload: Workload, images: npt.NDArray[np.float32] | npt.NDArray[np.int8]) -> None:
    """Refuse, with InvalidValueError, images that are not finite [n >= 1, C, H, W] of the workload's input."""
    first = workload.nodes[0].layer
    wanted = (first.in_channels, first.in_height, first.in_width)
    if images.ndim != 4 or images.shape[1:] != wanted or len(images) == 0:
        raise InvalidValueError(f"{field}.shape", images.shape, f"(n, {', '.join(map(str, wanted))}) with n at least 1")
    if not np.isfinite(images).all():
        raise InvalidValueError(field, float(images[~np.isfinite(images)][0]), "finite")


def _quantise_layer(
    node: Node,
    floats: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]] | None,
    steps: dict[str, float],
    scales: MapScales,
) -> QuantisedLayer:
    """``steps`` holds the scale of every map by the name of its node."""
    layer = node.layer
    product_step = np.full(layer.out_channels, steps[node.ifmap])
    weight, bias = None, np.zeros(layer.out_channels, np.int32)
    if floats is not None:
        weight, weight_step = _quantise_weight(floats[0], floats[1], steps[node.ifmap])
        product_step = product_step * weight_step
        bias = np.floor(floats[1] / product_step + 0.5).astype(np.int32)
    elif node.gate is not None:
        product_step *= steps[node.gate]
    else:
        product_step /= layer.in_height * layer.in_width
    _check_sums(node, weight, bias)
    multiplier, shift = multiplier_and_shift(product_step / scales.before, f"{node.name}.multiplier")
    residual_multiplier, residual_shift = np.zeros((), np.int32), np.ones((), np.int32)
    if node.residual is not None:
        residual_multiplier, residual_shift = multiplier_and_shift(
            steps[node.residual] / scales.before, f"{node.name}.residual_multiplier"
        )
    table = activation_table(node.activation, scales.before, scales.after)
    return QuantisedLayer(node, weight, bias, multiplier, shift, table, int(residual_multiplier), int(residual_shift))


def _quantise_weight(
    weight: npt.NDArray[np.float32], bias: npt.NDArray[np.float32], input_step: float
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float64]]:
    """int8 weights and the real value [M] of one step of each channel."""
    largest = np.abs(weight.astype(np.float64)).max(axis=(1, 2, 3))
    # A channel that batch norm switched off has next to no weights but a bias, which must fit too.
    step = np.maximum(largest / WEIGHT_MAX, np.abs(bias.astype(np.float64)) / (input_step * BIAS_MAX))
    step = np.where(step > 0, step, 1.0)
    return to_grid(weight, step[:, None, None, None]).astype(np.int8), step


def _check_sums(node: Node, weight: npt.NDArray[np.int8] | None, bias: npt.NDArray[np.int32]) -> None:
    """No order of adding a layer's products and bias may leave 32 bits, whatever the input."""
    if weight is not None:
        largest = np.abs(weight.astype(np.int64)).sum(axis=(1, 2, 3)) * 128 + np.abs(bias.astype(np.int64))
    elif node.gate is not None:
        largest = np.array([128 * 128])
    else:
        largest = np.array([128 * node.layer.in_height * node.layer.in_width])
    if largest.max() > SUM_MAX:
        raise InvalidValueError(f"{node.name}: largest possible sum", int(largest.max()), f"at most {SUM_MAX}")
