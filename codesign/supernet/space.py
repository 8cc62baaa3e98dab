"""Elastic spaces: which sub-networks (subnets) a supernet holds, and how one of them is named."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cost_models.workload import Activation
from hw_templates.errors import InvalidValueError

Genes = NDArray[np.int64]

ELASTIC = ("resolution", "depth", "kernel", "expand")


def round_channels(channels: float, divisor: int = 8) -> int:
    """The multiple of ``divisor`` nearest to ``channels``, never less than 90 % of it nor less than ``divisor``.

    Channel rounding of MobileNetV3 (Howard et al. 2019, reference implementation).
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * channels else rounded + divisor


def _check_choices(field: str, choices: tuple[int, ...], least: int) -> None:
    if not choices or list(choices) != sorted(set(choices)) or choices[0] < least:
        raise InvalidValueError(field, choices, f"distinct and ascending from at least {least}")


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


@dataclass(frozen=True)
class Stage:
    """Inverted-residual blocks of one width (Sandler et al. 2018); the first of them has the stage's stride.

    Attributes:
        width: output channels of every block.
        stride: 1 or 2.
        depths: how many blocks a subnet may have.
        kernels: sizes of the depthwise kernel.
        expands: expanded channels per input channel.
        activation: after the expanding and the depthwise convolution.
        squeeze_excite: whether each block gates its expanded channels (Hu et al. 2018), between depthwise and
            projection as in MobileNetV3.
    """

    width: int
    stride: int
    depths: tuple[int, ...]
    kernels: tuple[int, ...]
    expands: tuple[int, ...]
    activation: Activation
    squeeze_excite: bool

    def __post_init__(self) -> None:
        if self.width < 1:
            raise InvalidValueError("stage.width", self.width, "at least 1")
        if self.stride not in (1, 2):
            raise InvalidValueError("stage.stride", self.stride, "1 or 2")
        _check_choices("stage.depths", self.depths, 1)
        _check_choices("stage.kernels", self.kernels, 3)
        _check_choices("stage.expands", self.expands, 1)
        if not set(self.kernels) <= {3, 5, 7}:
            raise InvalidValueError("stage.kernels", self.kernels, "chosen from 3, 5 and 7")


@dataclass(frozen=True, order=True)
class Block:
    """One inverted-residual block of a subnet."""

    kernel: int
    expand: int


@dataclass(frozen=True)
class Subnet:
    """One sub-network: the input's resolution, and for each stage its blocks."""

    resolution: int
    stages: tuple[tuple[Block, ...], ...]

    @property
    def depths(self) -> tuple[int, ...]:
        """Blocks of each stage."""
        return tuple(len(blocks) for blocks in self.stages)

    def as_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, fit for JSON."""
        stages = [[{"kernel": block.kernel, "expand": block.expand} for block in blocks] for blocks in self.stages]
        return {"resolution": self.resolution, "stages": stages}

    @staticmethod
    def from_dict(table: Mapping[str, Any]) -> "Subnet":
        """The inverse of :meth:`as_dict`.

        Raises:
            InvalidValueError: the table has not that form.
        """
        try:
            stages = tuple(
                tuple(Block(int(block["kernel"]), int(block["expand"])) for block in blocks)
                for blocks in table["stages"]
            )
            return Subnet(int(table["resolution"]), stages)
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidValueError("subnet", table, "a resolution and stages of kernel and expand") from error


@dataclass(frozen=True)
class Position:
    """A place where a subnet may have a block, and what does not depend on the subnet there.

    Attributes:
        stage, block: counted from 0.
        in_channels, out_channels, stride: of the whole block.
        reduction: resolution of the image over resolution of the block's input.
    """

    stage: int
    block: int
    in_channels: int
    out_channels: int
    stride: int
    reduction: int

    @property
    def name(self) -> str:
        """As in the names of nodes and genes, counted from 1."""
        return f"stage{self.stage + 1}.block{self.block + 1}"

    @property
    def residual(self) -> bool:
        """Whether the block's input is added to its output."""
        return self.stride == 1 and self.in_channels == self.out_channels

    def expanded_channels(self, expand: int) -> int:
        """Channels of the depthwise convolution."""
        return round_channels(self.in_channels * expand)


def squeezed_channels(channels: int) -> int:
    """Channels between the two convolutions of a squeeze-and-excite that gates ``channels``: a quarter."""
    return round_channels(channels / 4)


@dataclass(frozen=True)
class Space:
    """Every subnet of one supernet: stem, stages, a last 1x1 expansion, average pool, classifier.

    Example:
        >>> from codesign.supernet.space import DIGITS
        >>> DIGITS.largest().depths
        (2, 3, 3)
        >>> DIGITS.decode(DIGITS.encode(DIGITS.smallest())) == DIGITS.smallest()
        True

    Raises:
        InvalidValueError: a field breaks a rule; a resolution that the strides do not divide is one such.
    """

    name: str
    image_channels: int
    num_classes: int
    resolutions: tuple[int, ...]
    stem: Stem
    stages: tuple[Stage, ...]
    final_width: int
    final_activation: Activation = Activation.HSWISH

    def __post_init__(self) -> None:
        for field in ("image_channels", "num_classes", "final_width"):
            if getattr(self, field) < 1:
                raise InvalidValueError(f"space.{field}", getattr(self, field), "at least 1")
        if not self.stages:
            raise InvalidValueError("space.stages", (), "at least one stage")
        _check_choices("space.resolutions", self.resolutions, 1)
        for resolution in self.resolutions:
            if resolution % self.reduction:
                raise InvalidValueError(
                    "space.resolutions", resolution, f"a multiple of {self.reduction}, the product of the strides"
                )

    @property
    def reduction(self) -> int:
        """Resolution of the image over resolution of the last stage's map."""
        return self.stem.stride * math.prod(stage.stride for stage in self.stages)

    @cached_property
    def positions(self) -> tuple[Position, ...]:
        """All places of blocks, in the order they run."""
        positions = []
        channels, reduction = self.stem.width, self.stem.stride
        for index, stage in enumerate(self.stages):
            for block in range(stage.depths[-1]):
                stride = stage.stride if block == 0 else 1
                positions.append(Position(index, block, channels, stage.width, stride, reduction))
                channels, reduction = stage.width, reduction * stride
        return tuple(positions)

    @cached_property
    def genes(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """(name, choices) of everything elastic, in the order of a genotype's columns.

        First the resolution; then for each stage its depth, and kernel and expand of each of its positions.
        """
        genes: list[tuple[str, tuple[int, ...]]] = [("resolution", self.resolutions)]
        for index, stage in enumerate(self.stages):
            genes.append((f"stage{index + 1}.depth", stage.depths))
            for block in range(stage.depths[-1]):
                name = f"stage{index + 1}.block{block + 1}"
                genes += [(f"{name}.kernel", stage.kernels), (f"{name}.expand", stage.expands)]
        return tuple(genes)

    @cached_property
    def columns(self) -> dict[str, int]:
        """Name of a gene to its column in a genotype."""
        return {name: column for column, (name, _) in enumerate(self.genes)}

    def present(self, rows: Genes) -> NDArray[np.bool_]:
        """[n, positions]: which positions hold a block in the subnets of genotypes [n, G]."""
        depths = {
            index: np.asarray(stage.depths)[rows[:, self.columns[f"stage{index + 1}.depth"]]]
            for index, stage in enumerate(self.stages)
        }
        return np.stack([depths[position.stage] > position.block for position in self.positions], axis=1)

    def canonical(self, rows: Genes) -> Genes:
        """Genotypes [n, G] with the genes of absent blocks set to 0, so that equal subnets have equal rows."""
        rows = rows.copy()
        present = self.present(rows)
        for index, position in enumerate(self.positions):
            for gene in ("kernel", "expand"):
                rows[:, self.columns[f"{position.name}.{gene}"]] *= present[:, index]
        return rows

    def encode(self, subnet: Subnet) -> Genes:
        """[G] choice indices of a subnet; those of absent blocks are 0.

        Raises:
            InvalidValueError: the subnet is not of this space.
        """
        self.check(subnet)
        values = {"resolution": subnet.resolution}
        for index, blocks in enumerate(subnet.stages):
            values[f"stage{index + 1}.depth"] = len(blocks)
            for number, block in enumerate(blocks):
                values[f"stage{index + 1}.block{number + 1}.kernel"] = block.kernel
                values[f"stage{index + 1}.block{number + 1}.expand"] = block.expand
        indices = [choices.index(values[name]) if name in values else 0 for name, choices in self.genes]
        return np.array(indices, dtype=np.int64)

    def check_genes(self, rows: Genes) -> None:
        """Say whether ``rows`` are genotypes [n, G] of this space.

        Raises:
            InvalidValueError: their shape is another, or an index is outside its gene's choices.
        """
        if rows.ndim != 2 or rows.shape[1] != len(self.genes):
            raise InvalidValueError("genes", rows.shape, f"of shape (n, {len(self.genes)}) for space {self.name}")
        limits = np.array([len(choices) for _, choices in self.genes])
        wrong = (rows < 0) | (rows >= limits)
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            name, choices = self.genes[column]
            raise InvalidValueError(f"genes.{name}", int(rows[row, column]), f"an index into {choices}")

    def decode(self, row: Genes) -> Subnet:
        """The subnet of one genotype [G].

        Raises:
            InvalidValueError: the row is not a genotype of this space.
        """
        self.check_genes(np.atleast_2d(row))
        values = {name: choices[index] for (name, choices), index in zip(self.genes, row, strict=True)}
        stages = []
        for index in range(len(self.stages)):
            names = [f"stage{index + 1}.block{n + 1}" for n in range(values[f"stage{index + 1}.depth"])]
            stages.append(tuple(Block(values[f"{name}.kernel"], values[f"{name}.expand"]) for name in names))
        return Subnet(values["resolution"], tuple(stages))

    def check(self, subnet: Subnet) -> None:
        """Say whether ``subnet`` is of this space.

        Raises:
            InvalidValueError: it is not; names the first field at fault.
        """
        if subnet.resolution not in self.resolutions:
            raise InvalidValueError("subnet.resolution", subnet.resolution, f"one of {self.resolutions}")
        if len(subnet.stages) != len(self.stages):
            raise InvalidValueError("subnet.stages", len(subnet.stages), f"{len(self.stages)} stages")
        for index, (stage, blocks) in enumerate(zip(self.stages, subnet.stages, strict=True)):
            field = f"subnet.stage{index + 1}"
            if len(blocks) not in stage.depths:
                raise InvalidValueError(f"{field}.depth", len(blocks), f"one of {stage.depths}")
            for number, block in enumerate(blocks):
                for gene, choices in (("kernel", stage.kernels), ("expand", stage.expands)):
                    if getattr(block, gene) not in choices:
                        name = f"{field}.block{number + 1}.{gene}"
                        raise InvalidValueError(name, getattr(block, gene), f"one of {choices}")

    def size(self) -> int:
        """How many different subnets there are."""
        size = len(self.resolutions)
        for stage in self.stages:
            blocks = len(stage.kernels) * len(stage.expands)
            size *= sum(int(blocks**depth) for depth in stage.depths)
        return size

    def sample_genes(self, rng: np.random.Generator, count: int, elastic: Collection[str] = ELASTIC) -> Genes:
        """[count, G] genotypes, every gene of the ``elastic`` kinds drawn uniformly, the others at their largest."""
        largest = np.array([len(choices) - 1 for _, choices in self.genes])
        rows = rng.integers(largest + 1, size=(count, len(largest)))
        fixed = [name.rpartition(".")[2] not in elastic for name, _ in self.genes]
        return self.canonical(np.where(fixed, largest, rows))

    def sample(self, rng: np.random.Generator) -> Subnet:
        """One subnet, every choice in it drawn uniformly."""
        return self.decode(self.sample_genes(rng, 1)[0])

    def largest(self) -> Subnet:
        """The full net at the highest resolution."""
        return self.decode(np.array([len(choices) - 1 for _, choices in self.genes]))

    def smallest(self) -> Subnet:
        """The least of every choice, at the lowest resolution."""
        return self.decode(np.zeros(len(self.genes), dtype=np.int64))


DIGITS = Space(
    name="digits",
    image_channels=1,
    num_classes=10,
    resolutions=(8, 12, 16),
    stem=Stem(width=8),
    stages=(
        Stage(8, 1, (1, 2), (3, 5, 7), (1, 2, 4), Activation.RELU, squeeze_excite=False),
        Stage(16, 2, (1, 2, 3), (3, 5, 7), (1, 2, 4), Activation.HSWISH, squeeze_excite=True),
        # At 4x4 pixels a kernel of 7 has nothing more to see.
        Stage(32, 2, (1, 2, 3), (3, 5), (1, 2, 4), Activation.HSWISH, squeeze_excite=True),
    ),
    final_width=128,
)

_SPACES = {space.name: space for space in (DIGITS,)}


def space_names() -> tuple[str, ...]:
    """Names of the known spaces, sorted."""
    return tuple(sorted(_SPACES))


def load_space(name: str) -> Space:
    """The space of that name.

    Raises:
        InvalidValueError: no such space.
    """
    if name not in _SPACES:
        raise InvalidValueError("space", name, f"one of {', '.join(space_names())}")
    return _SPACES[name]
