"""How far subnets here are from those of the reference implementation with the same weights."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from support.networks.reference_ofa import activate, reference_supernet

from codesign.supernet.layers.elastic import BatchNormStatistics
from codesign.supernet.network.standalone import count_parameters, extract
from codesign.supernet.published.official_weights import read_official
from codesign.supernet.spaces.named import load_space

FAMILIES = ("ofa-mbv3-w1.0", "ofa-proxyless-w1.3", "ofa-resnet50d")
# Small, as parity does not depend on the size; the second one makes maps of odd sizes.
SIDES = (32, 36)


@dataclass(frozen=True)
class Differences:
    """The largest difference of a logit, over all subnets.

    Attributes:
        shared: subnets in the supernets, here and there.
        alone: subnets extracted from the supernets, here and there.
        parameters: in how many subnets the number of parameters differs.
        smallest_spread: least standard deviation of a subnet's logits, which the differences are to be seen beside.
    """

    shared: float
    alone: float
    parameters: int
    smallest_spread: float


def of_first_channels(official, subnet):
    """The full net's statistics of the channels that a subnet has, by which the reference evaluates it."""
    channels = {name: len(part.weight) for name, part in official.supernet.parts(subnet).items()}
    shared = official.statistics
    return BatchNormStatistics(
        {name: tensor[: channels[name]] for name, tensor in shared.mean.items() if name in channels},
        {name: tensor[: channels[name]] for name, tensor in shared.variance.items() if name in channels},
    )


@torch.inference_mode()
def compare_with_reference(name: str, count: int, seed: int = 0) -> Differences:
    """The smallest, the largest and random subnets of a space, ``count`` in all."""
    reference = reference_supernet(name, seed)
    space = dataclasses.replace(load_space(name), resolutions=SIDES)
    official = read_official(space, reference.state_dict())
    ends = [space.encode(space.smallest())[None], space.encode(space.largest())[None]]
    sample = space.sample_genes(np.random.default_rng(seed), count - len(ends))
    shared, alone, parameters, spreads = 0.0, 0.0, 0, []
    for number, row in enumerate(np.concatenate([*ends, sample])):
        subnet = space.decode(row)
        generator = torch.Generator().manual_seed(number)
        images = torch.randn(2, 3, subnet.resolution, subnet.resolution, generator=generator)
        activate(reference, subnet)
        theirs, theirs_alone = reference(images), reference.get_active_subnet(preserve_weight=True).eval()
        ours = official.supernet(images, subnet, of_first_channels(official, subnet))
        ours_alone = extract(official.supernet, subnet, official.statistics)
        shared = max(shared, float((ours - theirs).abs().max()))
        alone = max(alone, float((ours_alone(images) - theirs_alone(images)).abs().max()))
        counted = sum(parameter.numel() for parameter in theirs_alone.parameters())
        parameters += counted != count_parameters(space, subnet)
        parameters += counted != sum(parameter.numel() for parameter in ours_alone.parameters())
        spreads.append(float(theirs.std()))
    return Differences(shared, alone, parameters, min(spreads))
