"""Spaces of inverted-residual networks: MobileNetV2 and V3, ProxylessNAS, and small ones of that kind."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

from codesign.supernet.spaces.space import Choice, Space, Subnet, check_choices, round_channels
from cost_models.workload import Activation
from hw_templates.foundation.errors import InvalidValueError


@dataclass(frozen=True)
class Stem:
    """The first convolution, which is the same in every subnet."""

    width: int
    kernel: int = 3
    stride: int = 1
    activation: Activation = Activation.HSWISH

    def __post_init__(self) -> None:
        if self.width < 1:
            raise InvalidValueError("stem.width", self.width, "at least 1")
        if self.kernel not in (1, 3, 5, 7):
            raise InvalidValueError("stem.kernel", self.kernel, "one of (1, 3, 5, 7)")
        if self.stride not in (1, 2):
            raise InvalidValueError("stem.stride", self.stride, "1 or 2")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Inverted-residual blocks of one width (Sandler et al. 2018); the first of them has the stage's stride.

    Attributes:
        width: output channels of every block.
        stride: 1 or 2.
        depths: how many blocks a subnet may have.
        kernels: sizes of the depthwise kernel.
        expands: expanded channels per input channel; blocks that can only be expanded by 1 have no expansion.
        activation: after the expanding and the depthwise convolution.
        squeeze_excite: whether each block gates its expanded channels (Hu et al. 2018), between depthwise and
            projection as in MobileNetV3.
        weight_bits: of the weights of a block's three convolutions, 8 or 4.
        always_expanding: whether blocks that can only be expanded by 1 begin with an expanding convolution too.
    """

    width: int
    stride: int
    depths: tuple[int, ...]
    kernels: tuple[int, ...]
    expands: tuple[int, ...]
    activation: Activation
    squeeze_excite: bool
    weight_bits: tuple[int, ...] = (8,)
    always_expanding: bool = False

    def __post_init__(self) -> None:
        if self.width < 1:
            raise InvalidValueError("stage.width", self.width, "at least 1")
        if self.stride not in (1, 2):
            raise InvalidValueError("stage.stride", self.stride, "1 or 2")
        check_choices("stage.depths", self.depths, 1)
        check_choices("stage.kernels", self.kernels, 3)
        check_choices("stage.expands", self.expands, 1)
        check_choices("stage.weight_bits", self.weight_bits, 4)
        if not set(self.kernels) <= {3, 5, 7}:
            raise InvalidValueError("stage.kernels", self.kernels, "chosen from 3, 5 and 7")
        if not set(self.weight_bits) <= {4, 8}:
            raise InvalidValueError("stage.weight_bits", self.weight_bits, "chosen from 4 and 8")

    @property
    def expanding(self) -> bool:
        """Whether its blocks begin with an expanding convolution."""
        return self.always_expanding or self.expands != (1,)


@dataclass(frozen=True, order=True)
class BlockChoice:
    """The choices of one inverted-residual block of a subnet; its fields are the kinds of a block's genes."""

    kernel: int
    expand: int
    weight_bits: int = 8


_BLOCK_KINDS = ("kernel", "expand", "weight_bits")


@dataclass(frozen=True)
class MobileSubnet(Subnet):
    """One sub-network: the input's resolution, and for each stage its blocks."""

    stages: tuple[tuple[BlockChoice, ...], ...]

    @property
    def depths(self) -> tuple[int, ...]:
        """Blocks of each stage."""
        return tuple(len(blocks) for blocks in self.stages)

    def values(self) -> dict[str, Choice]:
        """Return everything elastic by its name; nothing of absent blocks."""
        values: dict[str, Choice] = {"resolution": self.resolution}
        for index, blocks in enumerate(self.stages):
            values[f"stage{index + 1}.depth"] = len(blocks)
            for number, block in enumerate(blocks):
                place = f"stage{index + 1}.block{number + 1}"
                values |= {f"{place}.{kind}": getattr(block, kind) for kind in _BLOCK_KINDS}
        return values


@dataclass(frozen=True, kw_only=True)
class Position:
    """A place where a subnet may have a block, and what does not depend on the subnet there.

    Attributes:
        stage, block: counted from 0.
        in_channels, out_channels, stride: of the whole block.
        halvings: strides of 2 before it.
    """

    stage: int
    block: int
    in_channels: int
    out_channels: int
    stride: int
    halvings: int

    @property
    def name(self) -> str:
        """Name in nodes and genes, counted from 1."""
        return f"stage{self.stage + 1}.block{self.block + 1}"

    @property
    def residual(self) -> bool:
        """Whether the block's input is added to its output."""
        return self.stride == 1 and self.in_channels == self.out_channels

    def expanded_channels(self, expand: int) -> int:
        """Return channels of the depthwise convolution."""
        return round_channels(self.in_channels * expand)


def squeezed_channels(channels: int) -> int:
    """Return channels between the two convolutions of a squeeze-and-excite that gates ``channels``: a quarter."""
    return round_channels(channels / 4)


@dataclass(frozen=True, kw_only=True)
class MobileSpace(Space):
    """Subnets of a stem, stages, a last 1x1 expansion, average pool, perhaps a mixing layer, and a classifier.

    Example:
        >>> from codesign.supernet.spaces.named import DIGITS
        >>> DIGITS.largest().depths
        (2, 3, 3)
        >>> DIGITS.decode(DIGITS.encode(DIGITS.smallest())) == DIGITS.smallest()
        True

    Attributes:
        stem, stages: see there.
        final_width: channels of the last 1x1 convolution.
        final_activation: after that convolution, and after the mixing layer.
        mix_width: channels of a 1x1 convolution between pool and classifier, without batch norm (the mixing layer of
            MobileNetV3); None for none.
        odd_maps: whether strides may halve a map of odd size, rounding up; the published spaces do.

    Raises:
        InvalidValueError: a field breaks a rule; a resolution that the strides do not divide is one such.
    """

    subnet_kind: ClassVar[type[Subnet]] = MobileSubnet

    stem: Stem
    stages: tuple[Stage, ...]
    final_width: int
    final_activation: Activation = Activation.HSWISH
    mix_width: int | None = None
    odd_maps: bool = False

    def __post_init__(self) -> None:
        for field in ("image_channels", "num_classes", "final_width"):
            if getattr(self, field) < 1:
                raise InvalidValueError(f"space.{field}", getattr(self, field), "at least 1")
        if self.mix_width is not None and self.mix_width < 1:
            raise InvalidValueError("space.mix_width", self.mix_width, "at least 1, or None")
        if not self.stages:
            raise InvalidValueError("space.stages", (), "at least one stage")
        check_choices("space.resolutions", self.resolutions, 1)
        for resolution in self.resolutions:
            if not self.odd_maps and resolution % 2**self.halvings:
                raise InvalidValueError(
                    "space.resolutions", resolution, f"a multiple of {2**self.halvings}, the product of the strides"
                )

    @property
    def halvings(self) -> int:
        """Strides of 2 between the image and the last stage's map."""
        return (self.stem.stride == 2) + sum(stage.stride == 2 for stage in self.stages)

    @cached_property
    def positions(self) -> tuple[Position, ...]:
        """All places of blocks, in the order they run."""
        positions = []
        channels, halvings = self.stem.width, int(self.stem.stride == 2)
        for index, stage in enumerate(self.stages):
            for block in range(stage.depths[-1]):
                stride = stage.stride if block == 0 else 1
                positions.append(
                    Position(
                        stage=index,
                        block=block,
                        in_channels=channels,
                        out_channels=stage.width,
                        stride=stride,
                        halvings=halvings,
                    )
                )
                channels, halvings = stage.width, halvings + (stride == 2)
        return tuple(positions)

    @cached_property
    def choices(self) -> dict[str, tuple[Choice, ...]]:
        """Choices of the resolution, then of each stage's depth, and kernel, expand and bits of its blocks."""
        choices: dict[str, tuple[Choice, ...]] = {"resolution": self.resolutions}
        for index, stage in enumerate(self.stages):
            choices[f"stage{index + 1}.depth"] = stage.depths
            for block in range(stage.depths[-1]):
                of_kind = zip(_BLOCK_KINDS, (stage.kernels, stage.expands, stage.weight_bits), strict=True)
                choices |= {f"stage{index + 1}.block{block + 1}.{kind}": values for kind, values in of_kind}
        return choices

    def only(self, subnet: Subnet) -> "MobileSpace":
        """Return the space that holds nothing but this subnet; every block is a stage of its own."""
        self.check(subnet)
        assert isinstance(subnet, MobileSubnet)
        stages = []
        for stage, blocks in zip(self.stages, subnet.stages, strict=True):
            for number, block in enumerate(blocks):
                one = replace(
                    stage,
                    stride=1 if number else stage.stride,
                    depths=(1,),
                    kernels=(block.kernel,),
                    expands=(block.expand,),
                    weight_bits=(block.weight_bits,),
                    always_expanding=stage.expanding,
                )
                stages.append(one)
        return replace(self, name=f"{self.name}-only", resolutions=(subnet.resolution,), stages=tuple(stages))

    def build(self, values: Mapping[str, Choice]) -> MobileSubnet:
        """Return the subnet of such values; those of absent blocks are ignored."""
        stages = []
        for index in range(len(self.stages)):
            depth = int(values[f"stage{index + 1}.depth"])
            names = [f"stage{index + 1}.block{block + 1}" for block in range(depth)]
            stages.append(
                tuple(BlockChoice(*(int(values[f"{name}.{kind}"]) for kind in _BLOCK_KINDS)) for name in names)
            )
        return MobileSubnet(int(values["resolution"]), tuple(stages))
