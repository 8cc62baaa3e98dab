"""A folded network in float32, layer by layer as the engine runs it: the reference for quantisation."""

import numpy as np

from codesign.emit.activation_table import activate
from codesign.emit.convolve import Maps, last_map, layer_sums, walk
from cost_models.workload import Node, Workload
from hw_templates.foundation.arrays import Float32Array

Weights = dict[str, tuple[Float32Array, Float32Array]]
"""Weight and bias of each convolution by node name: [M, C, k, k] dense, [C, 1, k, k] depthwise; bias [M]."""


def run_float(workload: Workload, weights: Weights, images: Float32Array) -> Float32Array:
    """Return the network's result [n, M] (or [n, M, OH, OW] where the last map has pixels) for images [n, C, H, W]."""

    def compute(node: Node, reads: dict[str, Maps]) -> Maps:
        return activated(node, before_activation(node, weights, reads), reads)

    return last_map(walk(workload, images, compute))


def before_activation(node: Node, weights: Weights, reads: dict[str, Maps]) -> Maps:
    """Compute the values [n, M, OH, OW] before a node's activation from the maps that it reads, by role."""
    weight, bias = weights.get(node.name, (None, np.zeros(node.layer.out_channels, np.float32)))
    sums = layer_sums(node.layer, reads["ifmap"], weight, reads.get("gate"))
    if node.layer.operation.averages:
        sums = sums / node.layer.taps
    before: Maps = sums + bias[:, None, None]
    return before + reads["residual"] if "residual" in reads and not node.adds_last else before


def activated(node: Node, values: Maps, reads: dict[str, Maps]) -> Maps:
    """Compute a node's map from the values before its activation and the maps that it reads, by role."""
    after: Maps = activate(node.activation, values)
    return after + reads["residual"] if node.adds_last else after
