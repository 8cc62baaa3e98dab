"""``codesign supernet``: what spaces hold, and the specialised networks that were published."""

from dataclasses import dataclass

from codesign.supernet.lowering.workloads import lower
from codesign.supernet.network.standalone import count_parameters
from codesign.supernet.network.supernet import Supernet
from codesign.supernet.published.specialised import specialised_nets
from codesign.supernet.spaces.named import load_space, space_names
from codesign.supernet.spaces.space import Choice, Subnet, kind_of


@dataclass(frozen=True)
class SpaceSummary:
    """Number of subnets of a space, and the sides of their images in pixels."""

    name: str
    subnets: int
    resolutions: tuple[int, ...]


@dataclass(frozen=True)
class ElasticKind:
    """All choices of one kind, and in how many places of a network there are some."""

    kind: str
    choices: tuple[Choice, ...]
    places: int


@dataclass(frozen=True)
class SubnetCost:
    """Parameters of a subnet, and multiply-accumulates of one image."""

    resolution: int
    parameters: int
    macs: int


@dataclass(frozen=True, kw_only=True)
class SpaceDescription:
    """A space in figures."""

    summary: SpaceSummary
    elastic: tuple[ElasticKind, ...]
    shared_weights: int
    smallest: SubnetCost
    largest: SubnetCost


@dataclass(frozen=True, kw_only=True)
class SpecialisedRow:
    """A published specialised network.

    Attributes:
        name, supernet: as published.
        resolution: side of its images in pixels.
        top1, top5: accuracy on ImageNet in percent, as reported.
        parameters_m, macs_m: millions, as reported.
        parameters, macs: as counted here.
        agrees: whether both counts are the reported ones within the table's rounding.
    """

    name: str
    supernet: str
    resolution: int
    top1: float
    top5: float
    parameters_m: float
    macs_m: float
    parameters: int
    macs: int
    agrees: bool


def list_spaces() -> tuple[SpaceSummary, ...]:
    """Return a summary of every space with a name."""
    spaces = map(load_space, space_names())
    return tuple(SpaceSummary(space.name, space.size(), space.resolutions) for space in spaces)


def describe_space(name: str) -> SpaceDescription:
    """Return how many subnets a space holds, what varies, and what its ends cost.

    Raises:
        InvalidValueError: unknown space.
        StorageError: its file breaks a rule.
    """
    space = load_space(name)
    kinds: dict[str, list[tuple[Choice, ...]]] = {}
    for gene, choices in space.genes:
        kinds.setdefault(kind_of(gene), []).append(choices)

    def cost(subnet: Subnet) -> SubnetCost:
        return SubnetCost(subnet.resolution, count_parameters(space, subnet), lower(space, subnet).macs)

    return SpaceDescription(
        summary=SpaceSummary(space.name, space.size(), space.resolutions),
        elastic=tuple(ElasticKind(kind, tuple(sorted(set().union(*many))), len(many)) for kind, many in kinds.items()),
        shared_weights=sum(parameter.numel() for parameter in Supernet(space).parameters()),
        smallest=cost(space.smallest()),
        largest=cost(space.largest()),
    )


def list_specialised() -> tuple[SpecialisedRow, ...]:
    """Return the published specialised networks: what was reported of each, and what is counted here."""
    return tuple(
        SpecialisedRow(
            name=net.name,
            supernet=net.space.name,
            resolution=net.subnet.resolution,
            top1=net.top1,
            top5=net.top5,
            parameters_m=net.parameters_m,
            macs_m=net.macs_m,
            parameters=net.parameters,
            macs=net.macs,
            agrees=net.as_reported,
        )
        for net in specialised_nets()
    )
