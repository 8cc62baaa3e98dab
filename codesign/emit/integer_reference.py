"""The results of the engine in numpy integers: the definition of bit-exactness.

Every layer is int32 sums, then for each output channel

    v = sum + bias
    r = (v * multiplier + 2^(shift-1)) >> shift            (+ the residual map, rescaled by its own pair)
    result = table[clamp(r, -128, 127) + 128]

A node that adds last adds the residual map to the result instead, and clamps again.
"""

import numpy as np

from codesign.emit.convolve import Maps, layer_sums, walk
from codesign.emit.quantised_network import QuantisedLayer, QuantisedNetwork, check_images, rescale, saturate
from cost_models.workload import Node
from hw_templates.foundation.arrays import Int8Array
from hw_templates.foundation.errors import InvalidValueError

IMAGES_AT_ONCE = 64


def run_integer(network: QuantisedNetwork, images: Int8Array) -> Int8Array:
    """Return the network's result for each image: [n, M] where the last map is M x 1 x 1, else [n, M, H, W].

    Args:
        network: the quantised network.
        images: int8 [n, C, H, W] in units of ``network.input_scale``.

    Raises:
        InvalidValueError: the images are not int8 or not of the network's shape.
    """
    if images.dtype != np.int8:
        raise InvalidValueError("images.dtype", str(images.dtype), "int8")
    check_images("images", network.workload, images)
    layers = {layer.node.name: layer for layer in network.layers}

    def compute(node: Node, reads: dict[str, Maps]) -> Maps:
        return after_table(layers[node.name], before_table(layers[node.name], reads), reads)

    parts = (images[first : first + IMAGES_AT_ONCE] for first in range(0, len(images), IMAGES_AT_ONCE))
    return np.concatenate([walk(network.workload, part, compute) for part in parts])


def before_table(layer: QuantisedLayer, reads: dict[str, Maps]) -> Int8Array:
    """Compute a layer's saturated int8 result [n, M, OH, OW] before its table from the maps it reads, by role."""
    wide = {role: values.astype(np.int32) for role, values in reads.items()}
    weight = None if layer.weight is None else layer.weight.astype(np.int32)
    value = layer_sums(layer.node.layer, wide["ifmap"], weight, wide.get("gate")) + layer.bias[:, None, None]
    result = rescale(value, layer.multiplier[:, None, None], layer.shift[:, None, None])
    if "residual" in wide and not layer.node.adds_last:
        result += rescale(wide["residual"], layer.residual_multiplier, layer.residual_shift)
    return saturate(result)


def after_table(layer: QuantisedLayer, before: Int8Array, reads: dict[str, Maps]) -> Int8Array:
    """Compute a layer's map from its result before the activation table and the maps it reads, by role."""
    looked_up: Int8Array = layer.table[before.astype(np.intp) + 128]
    if not layer.node.adds_last:
        return looked_up
    return saturate(
        looked_up + rescale(reads["residual"].astype(np.int32), layer.residual_multiplier, layer.residual_shift)
    )
