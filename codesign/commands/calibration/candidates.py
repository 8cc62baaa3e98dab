"""Candidates for measuring: single layers, one layer several times, and blocks whose feature maps stay on chip.

Single layers alone cannot separate the cost of a start from that of a layer, nor that of a layer from that of its
slots. A start that runs a layer several times, and blocks that are set up anew for each band, can. Small layers show
the costs paid once, large ones those paid a word.
"""

from collections.abc import Iterator

import numpy as np

from codesign.supernet.lowering.workloads import lower
from codesign.supernet.spaces.named import load_space
from cost_models.mapping.block import Block, find_blocks, partitions_of
from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.mapping.mapping import draw_mapping
from cost_models.mapping.placement import IN_MEMORY, Placement
from cost_models.workload import Layer
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.errors import MappingError

_SPACES, _SUBNETS = ("ofa-mbv3-w1.0", "digits"), 12
_LAYERS, _MAPPINGS, _STACKS, _BLOCKS, _WAYS = 60, 3, 20, 60, 2
_STACKED, _STACKED_MACS = 8, 5_000_000
"""How often a start runs one layer, and the multiplications that such a layer has at most."""

Layers = tuple[MappedLayer, ...]


def candidates(accelerator: Accelerator) -> list[Layers]:
    """Return runs of layers and blocks of random subnets with random mappings, each once.

    Equal arguments give equal runs.
    """
    rng = np.random.default_rng(0)
    found: dict[Layers, None] = {}
    for name in _SPACES:
        space = load_space(name)
        subnets = [space.largest(), space.smallest(), *(space.sample(rng) for _ in range(_SUBNETS))]
        workloads = [lower(space, subnet) for subnet in subnets]
        layers = list(dict.fromkeys(layer for workload in workloads for layer in workload.layers))
        chosen = [layers[index] for index in rng.permutation(len(layers))[:_LAYERS]]
        blocks = list(dict.fromkeys(block for workload in workloads for _, block in find_blocks(workload.graph)))
        found |= dict.fromkeys((ran,) for layer in chosen for ran in _mapped(layer, accelerator, rng, _MAPPINGS))
        small = [layer for layer in chosen if layer.macs <= _STACKED_MACS][:_STACKS]
        found |= dict.fromkeys((ran,) * _STACKED for layer in small for ran in _mapped(layer, accelerator, rng, 1))
        if accelerator.map_kib:
            for index in rng.permutation(len(blocks))[:_BLOCKS]:
                found |= dict.fromkeys(_fused(blocks[index], accelerator, rng))
    return list(found)


def _mapped(
    layer: Layer, accelerator: Accelerator, rng: np.random.Generator, most: int, placement: Placement = IN_MEMORY
) -> list[MappedLayer]:
    drawn = (draw_mapping(layer, accelerator, rng) for _ in range(most))
    mappings = dict.fromkeys(mapping for mapping in drawn if mapping is not None)
    return [MappedLayer(layer, mapping, placement) for mapping in mappings]


def _fused(block: Block, accelerator: Accelerator, rng: np.random.Generator) -> Iterator[Layers]:
    """Yield layers of a block that run together from memory to memory, in a few ways whose feature maps fit."""
    ways = []
    for partition in partitions_of(block):
        for part, layers in partition.parts_of(block):
            for option in part:
                alone = option[0].ifmap_ring or option[-1].ofmap_ring or not option[0].group_layers
                if not alone and _fits(layers, option, accelerator):
                    ways.append((layers, option))
    for index in rng.permutation(len(ways))[:_WAYS]:
        pairs = zip(*ways[index], strict=True)
        ran = [_mapped(layer, accelerator, rng, 1, placement) for layer, placement in pairs]
        if all(ran):
            yield tuple(each[0] for each in ran)


def _fits(layers: tuple[Layer, ...], option: tuple[Placement, ...], accelerator: Accelerator) -> bool:
    try:
        for layer, placement in zip(layers, option, strict=True):
            placement.check(layer, accelerator)
    except MappingError:
        return False
    return True
