"""From a folded float network to int8 layers with fixed-point rescaling."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.emit.convolve import Maps, walk
from codesign.emit.integer_reference import (
    QuantisedLayer,
    QuantisedNetwork,
    after_table,
    before_table,
    check_finite,
    check_images,
)
from codesign.emit.map_scales import INT8, Grid, MapScales, Weights, activation_table, choose_map_scales, to_grid
from cost_models.workload import IMAGE, Node, Workload
from hw_templates.foundation.arrays import Float32Array, FloatArray, Int8Array, Int32Array
from hw_templates.foundation.errors import InvalidValueError

BIAS_MAX = 2**28
"""Leaves room in 32 bits for the products, and is far finer than any result needs."""
SUM_MAX = 2**31 - 1
MULTIPLIER_BITS = 16
SHIFT_MAX = 47


def quantise(workload: Workload, weights: Weights, images: Float32Array) -> QuantisedNetwork:
    """Return the network in int8: weights symmetric per output channel, maps symmetric with one scale each.

    Weights have the bits of their layer. Their scales cover the largest weight of a channel (Jacob et al. 2018,
    section 2), so that weights trained with fake quantisation keep their values; map scales come from
    :func:`codesign.emit.map_scales.choose_map_scales`. Then the biases take up what rounding shifts the mean of each
    channel by on the calibration images (Nagel et al. 2019, section 4.2, measured and not derived).

    Args:
        workload: the network.
        weights: float (weight, bias) of every convolution and depthwise node, batch norm folded: weight [M, C, k, k]
            or [C, 1, k, k], bias [M].
        images: float32 calibration images [n, C, H, W] of the network's input shape; a few hundred training images
            do. Maps that are still to be read are held for all of them.

    Raises:
        InvalidValueError: weights or images are missing, of the wrong shape or not finite, or a layer's sums do not
            fit 32 bits.
    """
    return quantise_on(INT8, workload, weights, images)[0]


def quantise_on(
    grid: Grid, workload: Workload, weights: Weights, images: Float32Array
) -> tuple[QuantisedNetwork, dict[str, float]]:
    """Quantise as :func:`quantise` does on any grid; also return the real value of one step of each map by name.

    The name of the input is :data:`~cost_models.workload.IMAGE`.
    """
    check_weights(workload, weights)
    check_images("calibration images", workload, images)
    input_scale, scales = choose_map_scales(workload, weights, images, grid)
    steps = {IMAGE: input_scale} | {name: scale.after for name, scale in scales.items()}
    layers = tuple(_quantise_layer(node, weights.get(node.name), steps, scales[node.name], grid) for node in workload)
    network = QuantisedNetwork(layers, input_scale, steps[workload.nodes[-1].name])
    return _correct_biases(network, scales, quantise_image(network, images, grid.bits)), steps


def quantise_image(network: QuantisedNetwork, images: Float32Array, bits: int = 8) -> Int8Array:
    """Return float images [n, C, H, W] as the int8 images of ``bits`` bits that the quantised network reads.

    Raises:
        InvalidValueError: the images are not of the network's input shape or not finite.
    """
    check_images("images", network.workload, images)
    return to_grid(images.astype(np.float64), network.input_scale, bits).astype(np.int8)


def check_weights(workload: Workload, weights: Weights) -> None:
    """Refuse, with InvalidValueError, weights that are not exactly those of the workload's convolutions."""
    wanted = {node.name: shape for node in workload if (shape := weight_shape(node))}
    for name in weights:
        if name not in wanted:
            raise InvalidValueError("weights", name, "of a convolution or depthwise node of the workload")
    for name, shape in wanted.items():
        if name not in weights:
            raise InvalidValueError(f"weights[{name}]", None, "given")
        for part, values, expected in zip(("weight", "bias"), weights[name], (shape, shape[:1]), strict=True):
            if values.shape != expected:
                raise InvalidValueError(f"{name}.{part}.shape", values.shape, str(expected))
            check_finite(f"{name}.{part}", values)


def weight_shape(node: Node) -> tuple[int, int, int, int] | None:
    """Return the shape of a node's weights, or None where it has none."""
    layer = node.layer
    if not layer.operation.has_weights:
        return None
    fan_in = layer.in_channels if layer.operation.is_dense else 1
    return layer.out_channels, fan_in, layer.kernel_height, layer.kernel_width


def _quantise_layer(
    node: Node,
    floats: tuple[Float32Array, Float32Array] | None,
    steps: dict[str, float],
    scales: MapScales,
    grid: Grid,
) -> QuantisedLayer:
    """Quantise one node; ``steps`` holds the scale of every map by the name of its node."""
    layer = node.layer
    product_step = np.full(layer.out_channels, steps[node.ifmap])
    weight, bias = None, np.zeros(layer.out_channels, np.int32)
    if floats is not None:
        own_grid = replace(grid, bits=min(grid.bits, layer.weight_bits))
        weight, weight_step = _quantise_weight(*floats, steps[node.ifmap], own_grid)
        product_step = product_step * weight_step
        bias = np.floor(floats[1] / product_step + 0.5).astype(np.int32)
    elif node.gate is not None:
        product_step *= steps[node.gate]
    elif layer.operation.averages:
        product_step /= layer.taps
    _check_sums(node, weight, bias)
    multiplier, shift = multiplier_and_shift(product_step / scales.before, f"{node.name}.multiplier")
    added: tuple[Any, Any] = (0, 1)
    if node.residual is not None:
        step = steps[node.residual] / (scales.after if node.adds_last else scales.before)
        added = multiplier_and_shift(step, f"{node.name}.residual_multiplier")
    return QuantisedLayer(
        node=node,
        weight=weight,
        bias=bias,
        multiplier=multiplier,
        shift=shift,
        table=activation_table(node.activation, scales.before, scales.after, grid.bits),
        residual_multiplier=int(added[0]),
        residual_shift=int(added[1]),
    )


def multiplier_and_shift(factor: npt.ArrayLike, field: str) -> tuple[Int32Array, Int32Array]:
    """Return the multiplier and rounding shift with factor = multiplier / 2^shift, relative error at most 2^-16.

    The multiplier lies in [2^15, 2^16) and the shift in 1..47. A factor below 2^-32 becomes multiplier 0 and shift 1:
    it takes every 32-bit value to less than a half, which rounds to 0. A factor above 32767.5 becomes that: either
    takes every value but 0 far out of int8.

    Args:
        factor: real numbers of any shape, not negative.
        field: what the factors belong to, for the error's message.

    Raises:
        InvalidValueError: a factor is negative or not finite.
    """
    wanted = np.asarray(factor, dtype=np.float64)
    bad = wanted[~((wanted >= 0) & np.isfinite(wanted))]
    if bad.size:
        raise InvalidValueError(field, float(bad[0]), "a rescaling factor of at least 0")
    mantissa, exponent = np.frexp(np.minimum(wanted, (2**MULTIPLIER_BITS - 1) / 2))
    multiplier = np.floor(mantissa * 2**MULTIPLIER_BITS + 0.5).astype(np.int32)
    carry = multiplier >> MULTIPLIER_BITS
    shift = MULTIPLIER_BITS - exponent - carry
    vanishing = (multiplier == 0) | (shift > SHIFT_MAX)
    return np.where(vanishing, 0, multiplier >> carry).astype(np.int32), np.where(vanishing, 1, shift).astype(np.int32)


def _correct_biases(network: QuantisedNetwork, scales: dict[str, MapScales], images: Int8Array) -> QuantisedNetwork:
    """Correct the biases so that channels have the float network's means, each layer after those before it."""
    layers = {layer.node.name: layer for layer in network.layers}
    corrected: list[QuantisedLayer] = []

    def compute(node: Node, reads: dict[str, Maps]) -> Maps:
        layer = layers[node.name]
        before = before_table(layer, reads)
        if layer.weight is not None:
            excess = before.mean(axis=(0, 2, 3)) - scales[node.name].channel_means
            # A step of the map in units of the bias; channels whose sums all vanish have none.
            unit = np.where(layer.multiplier > 0, 2.0**layer.shift / np.maximum(layer.multiplier, 1), 0)
            bias = np.clip(np.floor(layer.bias - excess * unit + 0.5), -BIAS_MAX, BIAS_MAX).astype(np.int32)
            layer = replace(layer, bias=bias)
            _check_sums(node, layer.weight, bias)
            before = before_table(layer, reads)
        corrected.append(layer)
        return after_table(layer, before, reads)

    walk(network.workload, images, compute)
    return replace(network, layers=tuple(corrected))


def _quantise_weight(
    weight: Float32Array, bias: Float32Array, input_step: float, grid: Grid
) -> tuple[Int8Array, FloatArray]:
    """Return weights of the grid's bits as int8, and the real value [M] of one step of each channel."""
    largest = np.abs(weight.astype(np.float64)).max(axis=(1, 2, 3))
    # A channel that batch norm switched off has next to no weights but a bias, which must fit too.
    step = np.maximum(largest / grid.steps, np.abs(bias.astype(np.float64)) / (input_step * BIAS_MAX))
    step = np.where(step > 0, step, 1.0)
    if grid.powers_of_two:
        step = np.full_like(step, 2.0 ** np.ceil(np.log2(step.max())))
    return to_grid(weight, step[:, None, None, None]).astype(np.int8), step


def _check_sums(node: Node, weight: Int8Array | None, bias: Int32Array) -> None:
    """Check that sums of a layer's products and bias fit 32 bits in any order, whatever the input."""
    largest = 128 * (128 if node.gate is not None else node.layer.taps)
    if weight is not None:
        sums = np.abs(weight.astype(np.int64)).sum(axis=(1, 2, 3)) * 128 + np.abs(bias.astype(np.int64))
        largest = int(sums.max())
    if largest > SUM_MAX:
        raise InvalidValueError(f"{node.name}: largest possible sum", largest, f"at most {SUM_MAX}")
