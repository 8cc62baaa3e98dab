"""What could be measured: layers, layers again and again, and blocks that stay on chip.

One run alone cannot tell a start from a layer, nor a layer from its slots: a start that runs a layer several times, and
blocks that are set up anew for each band, can. Small layers show what is paid once, large ones what is paid a word.
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
"""How often a stack runs a layer, and how large it may be."""

Layers = tuple[MappedLayer, ...]


def candidates(accelerator: Accelerator) -> list[Layers]:
    """Runs of layers and blocks of random subnets with random mappings, each once; equal arguments give equal runs."""
    rng = np.random.default_rng(0)
    found: dict[Layers, None] = {}
    for name in _SPACES:
        space = load_space(name)
        subnets = [space.largest(), space.smallest(), *(space.sample(rng) for _ in range(_SUBNETS))]
        workloads = [lower(space, subnet) for subnet in subnets]
        layers = list(dict.fromkeys(layer for workload in workloads for layer in workload.layers))
        chosen = [layers[index] for index in rng.permutation(len(layers))[:_LAYERS]]
        blocks = list(dict.fromkeys(block for workload in workloads for _, block in find_blocks(workload.graph)))
        found |= dict.fromkeys(_singles(chosen, accelerator, rng))
        found |= dict.fromkeys(_stacks(chosen, accelerator, rng))
        if accelerator.map_kib:
            for index in rng.permutation(len(blocks))[:_BLOCKS]:
                found |= dict.fromkeys(_kept(blocks[index], accelerator, rng))
    return list(found)


def _mapped(
    layer: Layer, accelerator: Accelerator, rng: np.random.Generator, most: int, placement: Placement = IN_MEMORY
) -> list[MappedLayer]:
    drawn = (draw_mapping(layer, accelerator, rng) for _ in range(most))
    mappings = dict.fromkeys(mapping for mapping in drawn if mapping is not None)
    return [MappedLayer(layer, mapping, placement) for mapping in mappings]


def _singles(layers: list[Layer], accelerator: Accelerator, rng: np.random.Generator) -> Iterator[Layers]:
    for layer in layers:
        for ran in _mapped(layer, accelerator, rng, _MAPPINGS):
            yield (ran,)


def _stacks(layers: list[Layer], accelerator: Accelerator, rng: np.random.Generator) -> Iterator[Layers]:
    small = [layer for layer in layers if layer.macs <= _STACKED_MACS]
    for layer in small[:_STACKS]:
        for ran in _mapped(layer, accelerator, rng, 1):
            yield (ran,) * _STACKED


def _kept(block: Block, accelerator: Accelerator, rng: np.random.Generator) -> Iterator[Layers]:
    """Layers of a block that run together from memory to memory, in a few of the ways whose maps fit."""
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
