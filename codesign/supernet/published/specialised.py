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
from typing import Any

from codesign.supernet.lowering.workloads import lower
from codesign.supernet.network.standalone import Network, count_parameters
from codesign.supernet.published.artefacts import fetched
from codesign.supernet.published.net_config import Config, subnet_of_config
from codesign.supernet.published.official_weights import load_weights
from codesign.supernet.published.weights_file import parse_weights, read_bytes
from codesign.supernet.spaces.mobile import BlockChoice, MobileSpace, MobileSubnet
from codesign.supernet.spaces.named import load_space
from codesign.supernet.spaces.space import Space, Subnet
from hw_templates.foundation.errors import InvalidValueError, UnknownNameError
from hw_templates.foundation.json_records import parse_json, reading


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
        """Say whether its parameters and MACs are the reported ones, within the table's rounding.

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


def find_specialised(name: str) -> SpecialisedNet:
    """Return the published specialised network of that name or short name.

    Raises:
        InvalidValueError: there is none.
    """
    named = {known: net for net in specialised_nets() for known in (net.name, net.short)}
    if name not in named:
        raise UnknownNameError("network", name, named, "one that `codesign supernet specialised` lists")
    return named[name]


def load_specialised(net: SpecialisedNet) -> tuple[Config, Network]:
    """Return a published specialised network that was fetched: its configuration, and the network itself, to evaluate.

    Raises:
        FetchError: it was not fetched yet, or is not what was published.
        StorageError: a file is missing or damaged.
        InvalidValueError: the configuration is another network's, or the weights do not fit it.
    """
    config_path, weights_path = (fetched(f"ofa_specialized/{net.name}/{file}") for file in ("net.config", "init"))
    with reading(config_path, "fetch it anew"):
        config = parse_json(read_bytes(config_path, "fetch it first"), dict[str, Any], "net.config")
        space, subnet = subnet_of_config(config, net.subnet.resolution)
    if (space.name, subnet) != (net.space.name, net.subnet):
        raise InvalidValueError("net.config", str(config_path), f"that of {net.name}")
    network = Network(space, subnet)
    load_weights(network, parse_weights(read_bytes(weights_path, "fetch it first"), weights_path))
    return config, network
