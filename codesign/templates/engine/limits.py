"""Which choices of a joint space are open, where somebody has fixed or narrowed some of its parameters."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution

from codesign.search.joint_space import Choice, JointSpace
from hw_templates.foundation.arrays import BoolArray, IntArray
from hw_templates.foundation.errors import InvalidValueError


def allows(distribution: BaseDistribution, value: Any) -> bool:
    """Whether ``value`` is one that ``distribution`` may give."""
    try:
        return distribution._contains(distribution.to_internal_repr(value))
    except ValueError:
        return False


@dataclass(frozen=True)
class NarrowedColumn:
    """A column of which not every choice is open.

    Attributes:
        column: counted among the genes, or among the parameters of the accelerator.
        name: of the parameter.
        choices: every value that it has.
        open: indices of those that are open, ascending; one or more.
    """

    column: int
    name: str
    choices: tuple[Choice, ...]
    open: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} {' or '.join(str(self.choices[index]) for index in self.open)}"


@dataclass(frozen=True)
class Limits:
    """The part of a joint space in which some parameters have only some of their choices.

    Attributes:
        genes: columns of genotypes [n, G] that are narrowed.
        template: columns of accelerators [n, P] that are narrowed.
    """

    genes: tuple[NarrowedColumn, ...] = ()
    template: tuple[NarrowedColumn, ...] = ()

    @classmethod
    def of(
        cls, joint: JointSpace[Any], search_space: Mapping[str, BaseDistribution], fixed: Mapping[str, Any]
    ) -> "Limits":
        """Those of ``fixed`` values, and else of the distributions of ``search_space``; both may leave names out.

        Raises:
            InvalidValueError: a fixed value is none of the parameter's choices.
        """
        narrowed: tuple[list[NarrowedColumn], list[NarrowedColumn]] = [], []
        for column, (name, choices) in enumerate(joint.parameters):
            indices = tuple(range(len(choices)))
            if name in fixed:
                if fixed[name] not in choices:
                    raise InvalidValueError(f"params.{name}", fixed[name], f"one of {choices}")
                indices = (choices.index(fixed[name]),)
            elif name in search_space:
                indices = tuple(index for index in indices if allows(search_space[name], choices[index])) or indices
            if len(indices) < len(choices):
                in_template = column >= joint.gene_count
                place = column - joint.gene_count if in_template else column
                narrowed[in_template].append(NarrowedColumn(place, name, choices, indices))
        return cls(tuple(narrowed[0]), tuple(narrowed[1]))

    def __str__(self) -> str:
        return ", ".join(map(str, (*self.genes, *self.template)))

    def move_genes(self, rows: IntArray, rng: np.random.Generator) -> IntArray:
        """Genotypes [n, G] with each choice that is not open replaced by a random one that is; not canonical."""
        return _moved(rows, self.genes, rng)

    def move_accelerators(self, rows: IntArray, rng: np.random.Generator) -> IntArray:
        """Accelerators [n, P] with each choice that is not open replaced by a random one that is, legal or not."""
        return _moved(rows, self.template, rng)

    def hold(self, joint: JointSpace[Any], rows: IntArray) -> BoolArray:
        """[n] which pairs of ``rows`` [n, G + P] have only open choices; those of absent blocks do not count."""
        present, inside = joint.present(rows), np.ones(len(rows), dtype=bool)
        for first, columns in ((0, self.genes), (joint.gene_count, self.template)):
            for each in columns:
                column = first + each.column
                inside &= np.isin(rows[:, column], each.open) | ~present[:, column]
        return inside


EVERYTHING = Limits()


def _moved(rows: IntArray, columns: Iterable[NarrowedColumn], rng: np.random.Generator) -> IntArray:
    moved = rows.copy()
    for each in columns:
        closed = ~np.isin(moved[:, each.column], each.open)
        moved[closed, each.column] = rng.choice(each.open, size=int(closed.sum()))
    return moved
