"""Spaces of bottleneck networks: ResNet50D as in the published OFA-ResNet50D."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

from codesign.supernet.spaces.space import Choice, Space, Subnet, check_choices, round_channels
from hw_templates.foundation.errors import InvalidValueError


@dataclass(frozen=True)
class BottleneckStage:
    """Bottleneck blocks (He et al. 2016) of one width; the first of them has the stage's stride.

    Attributes:
        width: output channels of every block, before the width's factor.
        stride: 1 or 2.
        depths: how many blocks a subnet may have.
    """

    width: int
    stride: int
    depths: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.width < 1:
            raise InvalidValueError("stage.width", self.width, "at least 1")
        if self.stride not in (1, 2):
            raise InvalidValueError("stage.stride", self.stride, "1 or 2")
        check_choices("stage.depths", self.depths, 1)


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
        stem = {f"stem.{kind}": getattr(self.stem, kind) for kind in ("depth", "mid_width", "width")}
        values: dict[str, Choice] = {"resolution": self.resolution, **stem}
        for index, stage in enumerate(self.stages):
            name = f"stage{index + 1}"
            values |= {f"{name}.width": stage.width, f"{name}.depth": len(stage.expands)}
            values |= {f"{name}.block{block + 1}.expand": expand for block, expand in enumerate(stage.expands)}
        return values


@dataclass(frozen=True)
class BottleneckPosition:
    """A place where a subnet may have a block, and what does not depend on the subnet there.

    Attributes:
        stage, block: counted from 0.
        stride: of the block.
        halvings: strides of 2 before it.
    """

    stage: int
    block: int
    stride: int
    halvings: int

    @property
    def name(self) -> str:
        """Name in nodes and genes, counted from 1."""
        return f"stage{self.stage + 1}.block{self.block + 1}"

    @property
    def downsamples(self) -> bool:
        """Whether the shortcut has a convolution of its own: in the first block of each stage."""
        return self.block == 0


def bottleneck_channels(out_channels: int, expand: float) -> int:
    """Return channels of the 3x3 convolution of a block."""
    return round_channels(round(out_channels * expand))


@dataclass(frozen=True, kw_only=True)
class ResNetSpace(Space):
    """Subnets of a three-convolution stem, max pool, bottleneck stages, average pool and classifier (ResNet-D).

    The stem and the shortcuts (average pool, then 1x1 convolution) are those of He et al. 2019, "Bag of tricks".

    Attributes:
        stem_width: channels of the stem's last convolution before the width's factor; its others have half of them.
        stages: see there.
        widths: factors of the channels, chosen apart for both parts of the stem and for each stage.
        expands: bottleneck channels per output channel, chosen for each block.
        fixed: (name, choice) of what has that one choice only.

    Raises:
        InvalidValueError: a field breaks a rule.
    """

    subnet_kind: ClassVar[type[Subnet]] = ResNetSubnet

    stem_width: int
    stages: tuple[BottleneckStage, ...]
    widths: tuple[float, ...]
    expands: tuple[float, ...]
    fixed: tuple[tuple[str, Choice], ...] = ()

    def __post_init__(self) -> None:
        for field in ("image_channels", "num_classes", "stem_width"):
            if getattr(self, field) < 1:
                raise InvalidValueError(f"space.{field}", getattr(self, field), "at least 1")
        if not self.stages:
            raise InvalidValueError("space.stages", (), "at least one stage")
        check_choices("space.resolutions", self.resolutions, 32)
        check_choices("space.widths", self.widths, 0.01)
        check_choices("space.expands", self.expands, 0.01)
        for name, choice in self.fixed:
            if choice not in self._free_choices.get(name, ()):
                raise InvalidValueError("space.fixed", (name, choice), "a name and one of its choices")

    @property
    def halvings(self) -> int:
        """Strides of 2 between the image and the last stage's map: stem and max pool halve it before the stages."""
        return 2 + sum(stage.stride == 2 for stage in self.stages)

    @cached_property
    def positions(self) -> tuple[BottleneckPosition, ...]:
        """All places of blocks, in the order they run."""
        positions, halvings = [], 2
        for index, stage in enumerate(self.stages):
            for block in range(stage.depths[-1]):
                stride = stage.stride if block == 0 else 1
                positions.append(BottleneckPosition(index, block, stride, halvings))
                halvings += stride == 2
        return tuple(positions)

    def stem_channels(self, width: float) -> int:
        """Return channels of the stem's last convolution."""
        return round_channels(self.stem_width * width)

    def stem_mid_channels(self, width: float) -> int:
        """Return channels of the stem's other convolutions."""
        return round_channels(self.stem_channels(width) // 2)

    def stage_channels(self, stage: int, width: float) -> int:
        """Output channels of a stage's blocks."""
        return round_channels(self.stages[stage].width * width)

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
        for index, stage in enumerate(self.stages):
            name = f"stage{index + 1}"
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
        for index in range(len(self.stages)):
            name = f"stage{index + 1}"
            depth = int(values[f"{name}.depth"])
            expands = tuple(float(values[f"{name}.block{block + 1}.expand"]) for block in range(depth))
            stages.append(StageChoice(float(values[f"{name}.width"]), expands))
        stem = StemChoice(int(values["stem.depth"]), float(values["stem.mid_width"]), float(values["stem.width"]))
        return ResNetSubnet(int(values["resolution"]), stem, tuple(stages))
