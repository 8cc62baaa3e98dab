"""A folded network in float32, layer by layer as the engine runs it: what quantisation is measured against."""

import numpy as np
import numpy.typing as npt

from codesign.emit.activation_table import activate
from codesign.emit.convolve import Maps, last_map, layer_sums, walk
from cost_models.workload import Node, Workload

Weights = dict[str, tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]
"""Weight and bias of each convolution by node name: [M, C, k, k] dense, [C, 1, k, k] depthwise; bias [M]."""


def run_float(workload: Workload, weights: Weights, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The network's result [n, M] (or [n, M, OH, OW] where the last map has pixels) for images [n, C, H, W]."""

    def compute(node: Node, reads: dict[str, Maps]) -> Maps:
        return activated(node, before_activation(node, weights, reads), reads)

    result = last_map(walk(workload, images, compute))
    return result[:, :, 0, 0] if result.shape[2:] == (1, 1) else result


def before_activation(node: Node, weights: Weights, reads: dict[str, Maps]) -> Maps:
    """What a node's activation is applied to, [n, M, OH, OW], from the maps that it reads by role."""
    weight, bias = weights.get(node.name, (None, np.zeros(node.layer.out_channels, np.float32)))
    sums = layer_sums(node.layer, reads["ifmap"], weight, reads.get("gate"))
    if node.layer.operation.averages:
        sums = sums / (node.layer.kernel_height * node.layer.kernel_width)
    before: Maps = sums + bias[:, None, None]
    return before + reads["residual"] if "residual" in reads and not node.adds_last else before


def activated(node: Node, values: Maps, reads: dict[str, Maps]) -> Maps:
    """A node's map from what its activation is applied to, and the maps that it reads by role."""
    after: Maps = activate(node.activation, values)
    return after + reads["residual"] if node.adds_last else after
