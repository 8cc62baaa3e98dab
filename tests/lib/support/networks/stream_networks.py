"""Subnets of the space that hls4ml converts, with random weights, in fixed point."""

import numpy as np
from support.networks.named_spaces import DIGITS_STREAM

from codesign.emit.map_scales import Grid
from codesign.emit.quantise import quantise_image, quantise_on, weight_shape
from codesign.supernet.lowering.workloads import lower
from codesign.templates.hls4ml.network import FixedPointNetwork


def random_weights(workload, seed=0):
    rng = np.random.default_rng(seed)
    shapes = {node.name: weight_shape(node) for node in workload}
    return {
        name: (
            rng.normal(0, np.prod(shape[1:]) ** -0.5, shape).astype(np.float32),
            rng.normal(0, 0.2, shape[0]).astype(np.float32),
        )
        for name, shape in shapes.items()
        if shape is not None
    }


def fixed_point(workload, weights, images, bits) -> FixedPointNetwork:
    """The network in fixed point."""
    return FixedPointNetwork(*quantise_on(Grid(bits, powers_of_two=True), workload, weights, images), bits)


def random_stream_network(bits: int, subnet=None, count=48) -> tuple[FixedPointNetwork, np.ndarray]:
    """A subnet, the smallest by default, in fixed point, and images as it reads them."""
    subnet = subnet or DIGITS_STREAM.smallest()
    workload = lower(DIGITS_STREAM, subnet)
    shape = (count, 1, subnet.resolution, subnet.resolution)
    images = np.random.default_rng(1).normal(0, 1, shape).astype(np.float32)
    fixed = fixed_point(workload, random_weights(workload), images, bits)
    return fixed, quantise_image(fixed.network, images, bits)
