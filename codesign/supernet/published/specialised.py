"""The 50 specialised networks that Cai et al. 2020 published, as subnets of the published spaces.

``specialised.csv`` holds them: the choices of their blocks (``kernel x expand``, stages divided by slashes) and
resolutions from the ``net.config`` and ``run.config`` that the authors published (repository ``han-cai/files`` at
a7c9bcd5), top-1 and top-5 accuracy on ImageNet, parameters and MACs as the table in the README of
``mit-han-lab/once-for-all`` (MIT licence) at f03b2673 reports them. The accuracies are after fine-tuning of 25 or 75
epochs, as the names tell. The table's eight ResNet50D networks are not here: no configurations of theirs are public.
"""

import csv
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib.resources import files

from codesign.supernet.lowering.workloads import lower
from codesign.supernet.network.standalone import count_parameters
from codesign.supernet.spaces.mobile import BlockChoice, MobileSpace, MobileSubnet
from codesign.supernet.spaces.named import load_space
from codesign.supernet.spaces.space import Space, Subnet
from hw_templates.foundation.errors import InvalidValueError


@dataclass(frozen=True, kw_only=True)
class SpecialisedNet:
    """One published network.

    Attributes:
        name, short: as published.
        space: its own: that of its family and width, at its one resolution.
        subnet: which subnet of the space it is.
        top1, top5: reported accuracy on ImageNet in percent.
        parameters_m, macs_m: reported, in millions.
    """

    name: str
    short: str
    space: Space
    subnet: Subnet
    top1: float
    top5: float
    parameters_m: float
    macs_m: float

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of its convolutions and its classifier, which are what the table counts."""
        layers = lower(self.space, self.subnet).layers
        return sum(layer.macs for layer in layers if layer.operation.has_weights)

    @cached_property
    def parameters(self) -> int:
        """Weights, biases, batch-norm scales and offsets of the network of its own that it is."""
        return count_parameters(self.space, self.subnet)

    @property
    def as_reported(self) -> bool:
        """Whether its parameters and MACs are the reported ones, within the table's rounding.

        That is to 0.1 M of parameters and to 1 M of MACs, of some after rounding them to 0.1 M: 73.47 M stand as 74 M.
        """
        parameters, macs = self.parameters / 1e6 - self.parameters_m, self.macs / 1e6 - self.macs_m
        return abs(parameters) <= 0.05 and abs(macs) <= 0.55


@cache
def specialised_nets() -> tuple[SpecialisedNet, ...]:
    """Return all of them, sorted by name."""
    with (files("codesign.supernet.published") / "specialised.csv").open() as file:
        return tuple(_parse(row) for row in csv.DictReader(file))


def _parse(row: dict[str, str]) -> SpecialisedNet:
    resolution, space = int(row["resolution"]), load_space(row["space"])
    assert isinstance(space, MobileSpace)
    stages = tuple(
        tuple(BlockChoice(*map(int, block.split("x"))) for block in stage.split()) for stage in row["blocks"].split("/")
    )
    return SpecialisedNet(
        name=row["name"],
        short=row["short"],
        space=replace(space, resolutions=(resolution,)),
        subnet=MobileSubnet(resolution, stages),
        top1=float(row["top1"]),
        top5=float(row["top5"]),
        parameters_m=float(row["params_m"]),
        macs_m=float(row["macs_m"]),
    )


def specialised_in(space: Space) -> tuple[tuple[SpecialisedNet, Subnet], ...]:
    """Return the specialised networks of the space's family and width, each with the subnet of the space that it is.

    The subnet has the space's resolution nearest to the network's (of two the smaller), as four were specialised for
    more than the 224 pixels that the supernets were trained with.

    Raises:
        InvalidValueError: the space is not one that networks were specialised in.
    """
    found = []
    for net in specialised_nets():
        if replace(net.space, name=space.name, resolutions=space.resolutions) == space:
            wanted = net.subnet.resolution
            _, nearest = min((abs(side - wanted), side) for side in space.resolutions)
            found.append((net, replace(net.subnet, resolution=nearest)))
    if not found:
        names = sorted({net.space.name for net in specialised_nets()})
        raise InvalidValueError("space", space.name, f"one of {', '.join(names)}, which networks were specialised in")
    return tuple(found)
