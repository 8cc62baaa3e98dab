"""Elastic spaces: which sub-networks (subnets) a supernet holds, and how each is a row of choice indices.

Everything elastic in a space has a name and choices: ``resolution``, ``stage2.depth``, ``stage2.block1.kernel``. A
*gene* is one with more than one choice; a *genotype* is a row of choice indices, one a gene. What a network of a family
looks like is for :mod:`codesign.supernet.spaces.mobile` and :mod:`codesign.supernet.spaces.resnet` to say.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from codesign.supernet.spaces.segments import Segment
from hw_templates.foundation.arrays import BoolArray, IntArray
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.foundation.json_records import PositiveInt, check_fields, check_record

Genes = IntArray
Choice = int | float
Stride = Annotated[int, msgspec.Meta(ge=1, le=2, description="1 or 2")]

ELASTIC = ("resolution", "depth", "width", "kernel", "expand", "weight_bits")
"""Kinds of genes: the last part of a gene's name."""

_ALL: Mapping[str, int] = {}


def kind_of(gene: str) -> str:
    """Return the kind of a gene of that name, one of :data:`ELASTIC`."""
    return gene.rpartition(".")[2].removeprefix("mid_")


def round_channels(channels: float, divisor: int = 8) -> int:
    """Return the multiple of ``divisor`` nearest to ``channels``, never less than 90 % of it nor less than ``divisor``.

    Channel rounding of MobileNetV3 (Howard et al. 2019, reference implementation).
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * channels else rounded + divisor


def check_choices(field: str, choices: tuple[Choice, ...], least: float) -> None:
    """Say whether ``choices`` are what a gene may have.

    Raises:
        InvalidValueError: none, not ascending, or below ``least``.
    """
    if not choices or list(choices) != sorted(set(choices)) or choices[0] < least:
        raise InvalidValueError(field, choices, f"distinct and ascending from at least {least}")


@dataclass(frozen=True)
class Subnet(ABC):
    """One sub-network; equal where all its choices are.

    Attributes:
        resolution: side of the square images that it takes.
    """

    resolution: int

    @property
    @abstractmethod
    def depths(self) -> tuple[int, ...]:
        """Blocks of each stage."""

    @abstractmethod
    def values(self) -> dict[str, Choice]:
        """Return everything elastic by its name; nothing of absent blocks."""

    def as_dict(self) -> dict[str, object]:
        """Return plain lists and numbers, fit for JSON; :meth:`Space.parse_subnet` is the inverse."""
        return dict(msgspec.json.decode(msgspec.json.encode(self)))


@dataclass(frozen=True)
class Stage:
    """Blocks of one width; the first of them has the stage's stride.

    Attributes:
        width: output channels of every block; in a ResNet, before the width's factor.
        stride: 1 or 2.
        depths: how many blocks a subnet may have.

    Raises:
        InvalidValueError: a field breaks a rule.
    """

    width: PositiveInt
    stride: Stride
    depths: tuple[int, ...]

    def __post_init__(self) -> None:
        check_fields(self, "stage")
        check_choices("stage.depths", self.depths, 1)


@dataclass(frozen=True)
class Position:
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


@dataclass(frozen=True, kw_only=True)
class Space(ABC):
    """Every subnet of one supernet.

    Attributes:
        name: as on the command line.
        image_channels, num_classes: of the data it is for.
        resolutions: sides of the square images that its subnets take.
        stages: see there.
        batch_norm_epsilon: added to variances by all batch norms.

    Raises:
        InvalidValueError: a field breaks a rule.
    """

    subnet_kind: ClassVar[type[Subnet]]

    name: str
    image_channels: PositiveInt
    num_classes: PositiveInt
    resolutions: tuple[int, ...]
    stages: tuple[Stage, ...]
    batch_norm_epsilon: float = 1e-5

    def __post_init__(self) -> None:
        check_fields(self, "space")
        if not self.stages:
            raise InvalidValueError("space.stages", (), "at least one stage")

    @property
    @abstractmethod
    def stem_halvings(self) -> int:
        """Strides of 2 between the image and the first stage's map."""

    @property
    @abstractmethod
    def segments(self) -> tuple[Segment, ...]:
        """Stem, blocks and head, in the order they run."""

    @property
    @abstractmethod
    def choices(self) -> Mapping[str, tuple[Choice, ...]]:
        """Name of everything elastic, fixed things included, to its choices; a block's follow its stage's depth."""

    @abstractmethod
    def build(self, values: Mapping[str, Choice]) -> Subnet:
        """Return the subnet of such values; those of absent blocks are ignored."""

    def parse_subnet(self, table: Mapping[str, Any]) -> Subnet:
        """Return the subnet that :meth:`Subnet.as_dict` made a table of; it need not be of this space.

        Raises:
            InvalidValueError: the table has not that form.
        """
        return check_record(table, self.subnet_kind, "subnet")

    @abstractmethod
    def only(self, subnet: Subnet) -> "Space":
        """Return the space that holds nothing but this subnet, to be trained alone.

        Raises:
            InvalidValueError: the subnet is not of this space.
        """

    @cached_property
    def genes(self) -> tuple[tuple[str, tuple[Choice, ...]], ...]:
        """(name, choices) of what really varies, in the order of a genotype's columns."""
        return tuple((name, choices) for name, choices in self.choices.items() if len(choices) > 1)

    @cached_property
    def gene_sizes(self) -> Genes:
        """[G] how many choices each gene has; a space of one subnet has no genes."""
        return np.array([len(choices) for _, choices in self.genes], dtype=np.int64)

    @cached_property
    def columns(self) -> dict[str, int]:
        """Name of a gene to its column in a genotype."""
        return {name: column for column, (name, _) in enumerate(self.genes)}

    @cached_property
    def positions(self) -> tuple[Position, ...]:
        """All places of blocks, in the order they run."""
        positions, halvings = [], self.stem_halvings
        for index, stage in enumerate(self.stages):
            for block in range(stage.depths[-1]):
                stride = 1 if block else stage.stride
                positions.append(Position(index, block, stride, halvings))
                halvings += stride == 2
        return tuple(positions)

    @property
    def halvings(self) -> int:
        """Strides of 2 between the image and the last stage's map."""
        return self.stem_halvings + sum(stage.stride == 2 for stage in self.stages)

    @cached_property
    def block_names(self) -> tuple[str, ...]:
        """Places of blocks in the order they run, named ``stage1.block1``, both counted from 1."""
        return tuple(position.name for position in self.positions)

    @property
    def stage_names(self) -> tuple[str, ...]:
        """The stages that blocks are in, in the order they run."""
        return tuple(f"stage{index + 1}" for index in range(len(self.stages)))

    def values_of(self, rows: Genes, name: str) -> NDArray[Any]:
        """Return [n] values that genotypes [n, G] give to what has that name, elastic or fixed."""
        choices = np.asarray(self.choices[name])
        if name not in self.columns:
            return np.repeat(choices, len(rows))
        values: NDArray[Any] = choices[rows[:, self.columns[name]]]
        return values

    def present(self, rows: Genes) -> dict[str, BoolArray]:
        """Return [n] whether the subnets of genotypes [n, G] have a block in each place, by the place's name."""
        depths = [self.values_of(rows, f"{stage}.depth") for stage in self.stage_names]
        return {place.name: depths[place.stage] > place.block for place in self.positions}

    def one_hot(self, rows: Genes, choices: Mapping[str, tuple[Choice, ...]]) -> BoolArray:
        """Return [n, codes] whether genotypes [n, G] have each of these choices by name; absent blocks have none."""
        present, parts = self.present(rows), [np.empty((0, len(rows)), dtype=bool)]
        for name, known in choices.items():
            chosen = self.values_of(rows, name) == np.array(known)[:, None]
            parts.append(chosen & present.get(name.rpartition(".")[0], np.True_))
        codes: BoolArray = np.concatenate(parts)
        return codes.T

    def relevant(self, rows: Genes) -> BoolArray:
        """Return [n, G]: which genes say something about the subnet of their row: not those of absent blocks."""
        present, mask = self.present(rows), np.ones(rows.shape, dtype=bool)
        for column, (name, _) in enumerate(self.genes):
            mask[:, column] = present.get(name.rpartition(".")[0], True)
        return mask

    def canonical(self, rows: Genes) -> Genes:
        """Return genotypes [n, G] with the genes of absent blocks set to 0, so that equal subnets have equal rows."""
        return np.where(self.relevant(rows), rows, 0)

    def encode(self, subnet: Subnet) -> Genes:
        """Return [G] choice indices of a subnet; those of absent blocks are 0.

        Raises:
            InvalidValueError: the subnet is not of this space.
        """
        self.check(subnet)
        values = subnet.values()
        indices = [choices.index(values[name]) if name in values else 0 for name, choices in self.genes]
        return np.array(indices, dtype=np.int64)

    def decode(self, row: Genes) -> Subnet:
        """Return the subnet of one genotype [G].

        Raises:
            InvalidValueError: the row is not a genotype of this space.
        """
        self.check_genes(np.atleast_2d(row))
        fixed = {name: choices[0] for name, choices in self.choices.items()}
        return self.build(
            fixed | {name: choices[index] for (name, choices), index in zip(self.genes, row, strict=True)}
        )

    def check_genes(self, rows: Genes) -> None:
        """Say whether ``rows`` are genotypes [n, G] of this space.

        Raises:
            InvalidValueError: their shape is another, or an index is outside its gene's choices.
        """
        if rows.ndim != 2 or rows.shape[1] != len(self.genes):
            raise InvalidValueError("genes", rows.shape, f"of shape (n, {len(self.genes)}) for space {self.name}")
        wrong = (rows < 0) | (rows >= self.gene_sizes)
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            name, choices = self.genes[column]
            raise InvalidValueError(f"genes.{name}", int(rows[row, column]), f"an index into {choices}")

    def check(self, subnet: Subnet) -> None:
        """Say whether ``subnet`` is of this space.

        Raises:
            InvalidValueError: it is not; names the first field at fault.
        """
        values = subnet.values()
        if len(subnet.depths) != len(self.stages):
            raise InvalidValueError("subnet.stages", len(subnet.depths), f"{len(self.stages)} stages")
        for name, choices in self.choices.items():
            if name in values and values[name] not in choices:
                raise InvalidValueError(f"subnet.{name}", values[name], f"one of {choices}")
        every = {name for name in self.choices if name.rpartition(".")[0] not in self.block_names}
        if not every <= values.keys() <= self.choices.keys():
            raise InvalidValueError("subnet", subnet, f"of the family of space {self.name}")

    def size(self) -> int:
        """Return how many different subnets there are."""
        of_block = dict.fromkeys(self.block_names, 1)
        of_depth = {f"{stage}.depth" for stage in self.stage_names}
        total = 1
        for name, choices in self.choices.items():
            block = name.rpartition(".")[0]
            if block in of_block:
                of_block[block] *= len(choices)
            elif name not in of_depth:
                total *= len(choices)
        for index, stage in enumerate(self.stages):
            blocks = [of_block[place.name] for place in self.positions if place.stage == index]
            total *= sum(math.prod(blocks[:depth]) for depth in stage.depths)
        return total

    def lowest_genes(self, elastic: Collection[str] = ELASTIC, open_choices: Mapping[str, int] = _ALL) -> Genes:
        """Return [G] the smallest open choice of every gene of the ``elastic`` kinds, the largest of the others.

        Args:
            elastic: kinds of genes.
            open_choices: kind to how many choices, from the largest down, are open; all where it is not named.
        """
        open_counts = [
            min(open_choices.get(kind_of(name), len(choices)), len(choices)) if kind_of(name) in elastic else 1
            for name, choices in self.genes
        ]
        return self.gene_sizes - np.array(open_counts, dtype=np.int64)

    def sample_genes(
        self,
        rng: np.random.Generator,
        count: int,
        elastic: Collection[str] = ELASTIC,
        open_choices: Mapping[str, int] = _ALL,
    ) -> Genes:
        """Return [count, G] genotypes, every gene of the ``elastic`` kinds drawn uniformly, the others the largest.

        ``open_choices`` are as in :meth:`lowest_genes`.
        """
        rows = rng.integers(self.lowest_genes(open_choices=open_choices), self.gene_sizes, (count, len(self.genes)))
        return self.canonical(np.maximum(rows, self.lowest_genes(elastic, open_choices)))

    def sample(self, rng: np.random.Generator) -> Subnet:
        """Return one subnet, every choice in it drawn uniformly."""
        return self.decode(self.sample_genes(rng, 1)[0])

    def largest(self) -> Subnet:
        """Return the full net at the highest resolution."""
        return self.decode(self.gene_sizes - 1)

    def smallest(self) -> Subnet:
        """Return the least of every choice, at the lowest resolution."""
        return self.decode(np.zeros(len(self.genes), dtype=np.int64))
