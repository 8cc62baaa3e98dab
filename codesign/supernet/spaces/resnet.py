"""Spaces of bottleneck networks: ResNet50D as in the published OFA-ResNet50D."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import ClassVar

from codesign.supernet.spaces.segments import Chain, Segment, Values, halved
from codesign.supernet.spaces.space import Choice, Position, Space, Subnet, check_choices, round_channels
from cost_models.workload import Activation, Node, Operation
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.foundation.json_records import PositiveInt

_RELU = Activation.RELU


@dataclass(frozen=True)
class StemChoice:
    """The stem of a subnet.

    Attributes:
        depth: 1 where a residual convolution follows the first one, else 0.
        mid_width, width: factors of the channels of its first convolutions and of its last.
    """

    depth: int
    mid_width: float
    width: float


@dataclass(frozen=True)
class StageChoice:
    """One stage of a subnet: the factor of its width, and each block's bottleneck channels per output channel."""

    width: float
    expands: tuple[float, ...]


@dataclass(frozen=True)
class ResNetSubnet(Subnet):
    """One sub-network: the input's resolution, the stem and the stages."""

    stem: StemChoice
    stages: tuple[StageChoice, ...]

    @property
    def depths(self) -> tuple[int, ...]:
        """Blocks of each stage."""
        return tuple(len(stage.expands) for stage in self.stages)

    def values(self) -> dict[str, Choice]:
        """Return everything elastic by its name; nothing of absent blocks."""
        stem = {f"stem.{kind}": choice for kind, choice in vars(self.stem).items()}
        values: dict[str, Choice] = {"resolution": self.resolution, **stem}
        for index, stage in enumerate(self.stages):
            name = f"stage{index + 1}"
            values |= {f"{name}.width": stage.width, f"{name}.depth": len(stage.expands)}
            values |= {f"{name}.block{block + 1}.expand": expand for block, expand in enumerate(stage.expands)}
        return values


@dataclass(frozen=True, kw_only=True)
class ResNetSpace(Space):
    """Subnets of a three-convolution stem, max pool, bottleneck stages, average pool and classifier (ResNet-D).

    The stem and the shortcuts (average pool, then 1x1 convolution) are those of He et al. 2019, "Bag of tricks".

    Attributes:
        stem_width: channels of the stem's last convolution before the width's factor; its others have half of them.
        widths: factors of the channels, chosen apart for both parts of the stem and for each stage.
        expands: bottleneck channels per output channel, chosen for each block.
        fixed: (name, choice) of what has that one choice only.

    Raises:
        InvalidValueError: a field breaks a rule.
    """

    subnet_kind: ClassVar[type[Subnet]] = ResNetSubnet

    stem_width: PositiveInt
    widths: tuple[float, ...]
    expands: tuple[float, ...]
    fixed: tuple[tuple[str, Choice], ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choices("space.resolutions", self.resolutions, 32)
        check_choices("space.widths", self.widths, 0.01)
        check_choices("space.expands", self.expands, 0.01)
        for name, choice in self.fixed:
            if choice not in self._free_choices.get(name, ()):
                raise InvalidValueError("space.fixed", (name, choice), "a name and one of its choices")

    @property
    def stem_halvings(self) -> int:
        """Strides of 2 between the image and the first stage's map: of the stem and of its max pool."""
        return 2

    @cached_property
    def _widths(self) -> dict[str, int]:
        """Channels that the stem and each stage make, before the width's factor."""
        return {"stem": self.stem_width, **dict(zip(self.stage_names, (s.width for s in self.stages), strict=True))}

    def _channels(self, part: str, values: Values) -> int:
        """Return the channels that the stem or a stage makes."""
        return round_channels(self._widths[part] * values[f"{part}.width"])

    @cached_property
    def choices(self) -> dict[str, tuple[Choice, ...]]:
        """Choices of the resolution and the stem, then of width and depth of each stage, and of its blocks."""
        return self._free_choices | {name: (choice,) for name, choice in self.fixed}

    @cached_property
    def _free_choices(self) -> dict[str, tuple[Choice, ...]]:
        choices: dict[str, tuple[Choice, ...]] = {
            "resolution": self.resolutions,
            "stem.depth": (0, 1),
            "stem.mid_width": self.widths,
            "stem.width": self.widths,
        }
        for name, stage in zip(self.stage_names, self.stages, strict=True):
            choices |= {f"{name}.width": self.widths, f"{name}.depth": stage.depths}
            choices |= {f"{name}.block{block + 1}.expand": self.expands for block in range(stage.depths[-1])}
        return choices

    def only(self, subnet: Subnet) -> "ResNetSpace":
        """Return the space that holds nothing but this subnet."""
        self.check(subnet)
        stages = (replace(stage, depths=(depth,)) for stage, depth in zip(self.stages, subnet.depths, strict=True))
        return replace(
            self,
            name=f"{self.name}-only",
            resolutions=(subnet.resolution,),
            stages=tuple(stages),
            fixed=tuple(subnet.values().items()),
        )

    def build(self, values: Mapping[str, Choice]) -> ResNetSubnet:
        """Return the subnet of such values; those of absent blocks are ignored."""
        stages = []
        for name in self.stage_names:
            depth = int(values[f"{name}.depth"])
            expands = tuple(values[f"{name}.block{block + 1}.expand"] for block in range(depth))
            stages.append(StageChoice(values[f"{name}.width"], expands))
        stem = StemChoice(int(values["stem.depth"]), values["stem.mid_width"], values["stem.width"])
        return ResNetSubnet(int(values["resolution"]), stem, tuple(stages))

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """Stem, blocks and head, in the order they run.

        Nodes are named ``stem.first``, ``stem.residual``, ``stem.last``, ``stem.pool``, ``stage1.block1.reduce``
        (``convolve``, ``pool``, ``shortcut``, ``project``), ``pool`` and ``classifier``.
        """
        # A stage's first block reads what the stage before it, or the stem, has made.
        widths = [f"{part}.width" for part in self._widths]
        blocks = []
        for place in self.positions:
            read = widths[place.stage : place.stage + 2] if place.block == 0 else [widths[place.stage + 1]]
            names = ("resolution", *read, f"{place.name}.expand")
            blocks.append(Segment(names, partial(self._block_nodes, place), place.name))
        stem = Segment(("resolution", "stem.depth", "stem.mid_width", "stem.width"), self._stem_nodes)
        return stem, *blocks, Segment(("resolution", widths[-1]), self._head_nodes)

    def _stem_nodes(self, values: Values, ifmap: str) -> list[Node]:
        middle = round_channels(round_channels(self.stem_width * values["stem.mid_width"]) // 2)
        chain = Chain(ifmap, self.image_channels, int(values["resolution"]), "stem.")
        chain.add("first", middle, 3, 2, activation=_RELU)
        if values["stem.depth"]:
            chain.add("residual", middle, 3, activation=_RELU, residual=chain.ifmap, adds_last=True)
        chain.add("last", self._channels("stem", values), 3, activation=_RELU)
        chain.add("pool", kernel=3, stride=2, operation=Operation.MAX_POOL)
        return chain.nodes

    def _block_nodes(self, place: Position, values: Values, ifmap: str) -> list[Node]:
        before, own = [*self._widths][place.stage : place.stage + 2]
        channels = self._channels(own, values)
        size, residual = halved(int(values["resolution"]), place.halvings), ifmap
        chain = Chain(ifmap, channels, size, f"{place.name}.")
        if place.block == 0:
            # Its shortcut has a convolution of its own.
            read = ifmap, self._channels(before, values), size
            chain.read(*read)
            if place.stride == 2:
                chain.add("pool", kernel=2, stride=2, operation=Operation.POOL)
            chain.add("shortcut", channels)
            residual = chain.ifmap
            chain.read(*read)
        middle = round_channels(round(channels * values[f"{place.name}.expand"]))
        chain.add("reduce", middle, activation=_RELU)
        chain.add("convolve", middle, 3, place.stride, activation=_RELU)
        chain.add("project", channels, activation=_RELU, residual=residual)
        return chain.nodes

    def _head_nodes(self, values: Values, ifmap: str) -> list[Node]:
        width = self._channels(self.stage_names[-1], values)
        chain = Chain(ifmap, width, halved(int(values["resolution"]), self.halvings))
        chain.add("pool", kernel=chain.size, operation=Operation.POOL)
        chain.add("classifier", self.num_classes)
        return chain.nodes
