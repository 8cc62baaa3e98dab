"""One subnet taken out of its supernet, to be trained further alone."""

import dataclasses
from collections.abc import Mapping

import torch
from torch import Tensor

from codesign.supernet.network.build import build_supernet
from codesign.supernet.network.supernet import Supernet
from codesign.supernet.spaces.mobile import MobileSpace, MobileSubnet
from codesign.supernet.spaces.space import Space, Subnet


@torch.no_grad()
def specialised_weights(supernet: Supernet, subnet: Subnet) -> Mapping[str, Tensor]:
    """Return the state of a supernet of ``space.only(subnet)`` that computes what the subnet does in its supernet.

    Raises:
        InvalidValueError: the subnet is not of the space.
    """
    supernet.space.check(subnet)
    # Without a choice of bits, parts are the weights themselves rather than what they are rounded to.
    space, subnet = _of_8_bits(supernet.space, subnet)
    source, target = build_supernet(space), build_supernet(space.only(subnet))
    source.load_state_dict(supernet.state_dict())
    taken = source.parts(subnet).values()
    for part, mine in zip(taken, target.parts(target.space.largest()).values(), strict=True):
        mine.weight.copy_(part.weight)
        if mine.bias is not None and part.bias is not None:
            mine.bias.copy_(part.bias)
        if mine.norm is not None and part.norm is not None:
            channels = len(mine.norm.weight)
            mine.norm.weight.copy_(part.norm.weight[:channels])
            mine.norm.bias.copy_(part.norm.bias[:channels])
    return target.state_dict()


def _of_8_bits(space: Space, subnet: Subnet) -> tuple[Space, Subnet]:
    if not (isinstance(space, MobileSpace) and isinstance(subnet, MobileSubnet)):
        return space, subnet
    stages = tuple(dataclasses.replace(stage, weight_bits=(8,)) for stage in space.stages)
    blocks = tuple(tuple(dataclasses.replace(block, weight_bits=8) for block in stage) for stage in subnet.stages)
    return dataclasses.replace(space, stages=stages), dataclasses.replace(subnet, stages=blocks)
