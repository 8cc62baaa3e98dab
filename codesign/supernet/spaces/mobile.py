"""Spaces of inverted-residual networks: MobileNetV2 and V3, ProxylessNAS, and small ones of that kind."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import ClassVar

from codesign.supernet.spaces.segments import Chain, Segment, Values, halved
from codesign.supernet.spaces.space import (
    Choice,
    Position,
    Space,
    Stage,
    Stride,
    Subnet,
    check_choices,
    round_channels,
)
from cost_models.workload import Activation, Node, Operation
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.foundation.json_records import PositiveInt, check_fields


@dataclass(frozen=True)
class Stem:
    """The first convolution, which is the same in every subnet."""

    width: PositiveInt
    kernel: int = 3
    stride: Stride = 1
    activation: Activation = Activation.HSWISH

    def __post_init__(self) -> None:
        check_fields(self, "stem")
        if self.kernel not in (1, 3, 5, 7):
            raise InvalidValueError("stem.kernel", self.kernel, "one of (1, 3, 5, 7)")


@dataclass(frozen=True, kw_only=True)
class MobileStage(Stage):
    """Inverted-residual blocks of one width (Sandler et al. 2018); the first of them has the stage's stride.

    Attributes:
        kernels: sizes of the depthwise kernel.
        expands: expanded channels per input channel; blocks that can only be expanded by 1 have no expansion.
        activation: after the expanding and the depthwise convolution.
        squeeze_excite: whether each block gates its expanded channels (Hu et al. 2018), between depthwise and
            projection as in MobileNetV3.
        weight_bits: of the weights of a block's three convolutions, 8 or 4.
        always_expanding: whether blocks that can only be expanded by 1 begin with an expanding convolution too.
    """

    kernels: tuple[int, ...]
    expands: tuple[int, ...]
    activation: Activation
    squeeze_excite: bool
    weight_bits: tuple[int, ...] = (8,)
    always_expanding: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choices("stage.kernels", self.kernels, 3)
        check_choices("stage.expands", self.expands, 1)
        check_choices("stage.weight_bits", self.weight_bits, 4)
        if not set(self.kernels) <= {3, 5, 7}:
            raise InvalidValueError("stage.kernels", self.kernels, "chosen from 3, 5 and 7")
        if not set(self.weight_bits) <= {4, 8}:
            raise InvalidValueError("stage.weight_bits", self.weight_bits, "chosen from 4 and 8")

    @property
    def expanding(self) -> bool:
        """Say whether its blocks begin with an expanding convolution."""
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
                values |= {f"{place}.{kind}": choice for kind, choice in vars(block).items()}
        return values


def squeezed_channels(channels: int) -> int:
    """Return channels between the two convolutions of a squeeze-and-excite that gates ``channels``: a quarter."""
    return round_channels(channels / 4)


@dataclass(frozen=True, kw_only=True)
class MobileSpace(Space):
    """Subnets of a stem, stages, a last 1x1 expansion, average pool, perhaps a mixing layer, and a classifier.

    Example:
        >>> from codesign.supernet.spaces.named import load_space
        >>> space = load_space("digits")
        >>> space.largest().depths
        (2, 3, 3)
        >>> space.decode(space.encode(space.smallest())) == space.smallest()
        True

    Attributes:
        stem: see there.
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
    stages: tuple[MobileStage, ...]
    final_width: PositiveInt
    final_activation: Activation = Activation.HSWISH
    mix_width: PositiveInt | None = None
    odd_maps: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choices("space.resolutions", self.resolutions, 1)
        for resolution in self.resolutions:
            if not self.odd_maps and resolution % 2**self.halvings:
                raise InvalidValueError(
                    "space.resolutions", resolution, f"a multiple of {2**self.halvings}, the product of the strides"
                )

    @property
    def stem_halvings(self) -> int:
        """Strides of 2 between the image and the first stage's map."""
        return int(self.stem.stride == 2)

    @cached_property
    def choices(self) -> dict[str, tuple[Choice, ...]]:
        """Choices of the resolution, then of each stage's depth, and kernel, expand and bits of its blocks."""
        choices: dict[str, tuple[Choice, ...]] = {"resolution": self.resolutions}
        for place in self.positions:
            stage = self.stages[place.stage]
            choices.setdefault(f"stage{place.stage + 1}.depth", stage.depths)
            for kind, values in zip(_BLOCK_KINDS, (stage.kernels, stage.expands, stage.weight_bits), strict=True):
                choices[f"{place.name}.{kind}"] = values
        return choices

    def only(self, subnet: Subnet) -> "MobileSpace":
        """Return the space that holds nothing but this subnet; every block is a stage of its own."""
        self.check(subnet)
        assert isinstance(subnet, MobileSubnet)
        stages = (
            replace(
                stage,
                stride=1 if number else stage.stride,
                depths=(1,),
                kernels=(block.kernel,),
                expands=(block.expand,),
                weight_bits=(block.weight_bits,),
                always_expanding=stage.expanding,
            )
            for stage, blocks in zip(self.stages, subnet.stages, strict=True)
            for number, block in enumerate(blocks)
        )
        return replace(self, name=f"{self.name}-only", resolutions=(subnet.resolution,), stages=tuple(stages))

    def build(self, values: Mapping[str, Choice]) -> MobileSubnet:
        """Return the subnet of such values; those of absent blocks are ignored."""
        stages = []
        for stage in self.stage_names:
            names = [f"{stage}.block{block + 1}" for block in range(int(values[f"{stage}.depth"]))]
            stages.append(
                tuple(BlockChoice(*(int(values[f"{name}.{kind}"]) for kind in _BLOCK_KINDS)) for name in names)
            )
        return MobileSubnet(int(values["resolution"]), tuple(stages))

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """Stem, blocks and head, in the order they run.

        Nodes are named ``stem``, ``stage1.block1.expand`` (``depthwise``, ``pool``, ``squeeze``, ``excite``, ``scale``,
        ``project``), ``final``, ``pool``, ``mix`` and ``classifier``.
        """
        blocks = []
        for place in self.positions:
            names = ("resolution", *(f"{place.name}.{kind}" for kind in _BLOCK_KINDS))
            blocks.append(Segment(names, partial(self._block_nodes, place), place.name))
        return Segment(("resolution",), self._stem_nodes), *blocks, Segment(("resolution",), self._head_nodes)

    def _stem_nodes(self, values: Values, ifmap: str) -> list[Node]:
        stem, chain = self.stem, Chain(ifmap, self.image_channels, int(values["resolution"]))
        chain.add("stem", stem.width, stem.kernel, stem.stride, activation=stem.activation)
        return chain.nodes

    def _block_nodes(self, place: Position, values: Values, ifmap: str) -> list[Node]:
        stage = self.stages[place.stage]
        widths = (self.stem.width, *(stage.width for stage in self.stages))
        in_channels = widths[place.stage + (place.block > 0)]
        kernel, expand, bits = (int(values[f"{place.name}.{kind}"]) for kind in _BLOCK_KINDS)
        chain = Chain(ifmap, in_channels, halved(int(values["resolution"]), place.halvings), f"{place.name}.")
        if stage.expanding:
            channels = round_channels(in_channels * expand)
            chain.add("expand", channels, bits=bits, activation=stage.activation)
        depthwise = Operation.DEPTHWISE
        chain.add("depthwise", None, kernel, place.stride, bits, depthwise, activation=stage.activation)
        if stage.squeeze_excite:
            gated = chain.ifmap, chain.channels, chain.size
            chain.add("pool", kernel=chain.size, operation=Operation.POOL)
            chain.add("squeeze", squeezed_channels(chain.channels), activation=Activation.RELU)
            chain.add("excite", gated[1], activation=Activation.HSIGMOID)
            gate = chain.ifmap
            chain.read(*gated)
            chain.add("scale", gate=gate, operation=Operation.SCALE)
        residual = ifmap if place.stride == 1 and in_channels == stage.width else None
        chain.add("project", stage.width, bits=bits, residual=residual)
        return chain.nodes

    def _head_nodes(self, values: Values, ifmap: str) -> list[Node]:
        chain = Chain(ifmap, self.stages[-1].width, halved(int(values["resolution"]), self.halvings))
        chain.add("final", self.final_width, activation=self.final_activation)
        chain.add("pool", kernel=chain.size, operation=Operation.POOL)
        if self.mix_width is not None:
            chain.add("mix", self.mix_width, activation=self.final_activation)
        chain.add("classifier", self.num_classes)
        return chain.nodes
