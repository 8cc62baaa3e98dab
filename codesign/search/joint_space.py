"""The joint space: every pair of a subnet and an accelerator, with the names and ranges Optuna sees."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from codesign.supernet.spaces.space import Space, Subnet
from cost_models.resources import RESOURCES
from hw_templates.board import Board
from hw_templates.foundation.arrays import BoolArray, IntArray
from hw_templates.foundation.errors import InvalidValueError

Choice = int | float | str
Parameters = tuple[tuple[str, tuple[Choice, ...]], ...]
"""(name, choices) of each parameter, in order."""


class DesignSpace(Protocol):
    """The accelerators of a template for a board, as choices for each of their parameters."""

    @property
    def board(self) -> Board:
        """The board that the accelerators are for."""

    @property
    def genes(self) -> Parameters:
        """The parameters; each is also a field of the accelerators."""

    def decode(self, rows: IntArray, /) -> Any:
        """Return the accelerators of choice indices [n, P] as a sequence."""


D = TypeVar("D", bound=DesignSpace)


@dataclass(frozen=True)
class Pair:
    """A subnet and the accelerator it runs on, which is of the template's own type."""

    subnet: Subnet
    accelerator: Any


def distribution(choices: tuple[Choice, ...]) -> BaseDistribution:
    """Return an integer range where choices are evenly spaced, as samplers then know their order; else categories."""
    numbers = [choice for choice in choices if isinstance(choice, int)]
    steps = {after - before for before, after in pairwise(numbers)}
    if len(numbers) == len(choices) and len(steps) == 1:
        return IntDistribution(numbers[0], numbers[-1], step=steps.pop())
    return CategoricalDistribution(choices)


def choice_index(name: str, value: object, choices: tuple[Choice, ...]) -> int:
    """Return which of the ``choices`` of a parameter ``value`` is.

    Raises:
        InvalidValueError: it is none of them.
    """
    if value not in choices:
        raise InvalidValueError(name, value, f"one of {choices}")
    return choices.index(value)


@dataclass(frozen=True)
class JointSpace(Generic[D]):
    """Pairs of a subnet of ``space`` and an accelerator of ``accelerators``, as rows of choice indices.

    A row holds the ``G`` genes of the subnet, then the ``P`` parameters of the accelerator. Optuna parameters carry the
    names of the genes (``stage1.block2.kernel``) and of the accelerator's fields (``pe_rows``). Only the parameters of
    blocks that a subnet has appear in a trial (define-by-run).
    """

    space: Space
    accelerators: D

    @property
    def board(self) -> Board:
        """The board that the accelerators are for."""
        return self.accelerators.board

    @cached_property
    def available(self) -> IntArray:
        """[5] the board's resources, in the order of ``RESOURCES``."""
        return np.array([getattr(self.board, name) for name in RESOURCES], dtype=np.int64)

    @cached_property
    def parameters(self) -> Parameters:
        """The parameters of a row, one a column."""
        return (*self.space.genes, *self.accelerators.genes)

    @cached_property
    def distributions(self) -> dict[str, BaseDistribution]:
        """Name of every parameter to its Optuna distribution."""
        return {name: distribution(choices) for name, choices in self.parameters}

    @cached_property
    def sizes(self) -> IntArray:
        """[G + P] how many choices each parameter has."""
        return np.array([len(choices) for _, choices in self.parameters], dtype=np.int64)

    @property
    def gene_count(self) -> int:
        """Columns of a row that describe the subnet: G."""
        return len(self.space.genes)

    @cached_property
    def digest(self) -> str:
        """Names and choices of all parameters in 16 hexadecimal digits: another space has another digest."""
        return hashlib.sha256(json.dumps(self.parameters).encode()).hexdigest()[:16]

    def encode(self, pair: Pair) -> IntArray:
        """Return the row [G + P] of a pair.

        Raises:
            InvalidValueError: subnet or accelerator is not of this space.
        """
        indices = [
            choice_index(f"accelerator.{name}", getattr(pair.accelerator, name), choices)
            for name, choices in self.accelerators.genes
        ]
        return np.concatenate([self.space.encode(pair.subnet), np.array(indices, dtype=np.int64)])

    def decode(self, row: IntArray) -> Pair:
        """Return the pair of one row.

        Raises:
            InvalidValueError: the accelerator is not legal.
        """
        return Pair(self.space.decode(row[: self.gene_count]), self.designs(row[None])[0])

    def designs(self, rows: IntArray) -> Any:
        """Return the accelerators of rows [n, G + P] as a sequence."""
        return self.accelerators.decode(rows[:, self.gene_count :])

    def present(self, rows: IntArray) -> BoolArray:
        """Return [n, G + P] which parameters the pairs of ``rows`` have: not those of absent blocks."""
        mask = np.ones(rows.shape, dtype=bool)
        mask[:, : self.gene_count] = self.space.relevant(rows[:, : self.gene_count])
        return mask

    def params(self, rows: IntArray) -> list[dict[str, Choice]]:
        """Return the Optuna parameters of each row."""
        return [
            {name: choices[row[column]] for column, (name, choices) in enumerate(self.parameters) if has[column]}
            for row, has in zip(rows, self.present(rows), strict=True)
        ]

    def encode_params(self, params: Mapping[str, Any]) -> IntArray:
        """Return the row [G + P] of Optuna parameters; those of absent blocks may be missing.

        Raises:
            InvalidValueError: a parameter is missing, unknown or outside its choices.
        """
        unknown = sorted(set(params) - set(self.distributions))
        if unknown:
            raise InvalidValueError(f"params.{unknown[0]}", params[unknown[0]], "a parameter of this joint space")
        row = np.zeros(len(self.parameters), dtype=np.int64)
        for column, (name, choices) in enumerate(self.parameters):
            if name in params:
                row[column] = choice_index(f"params.{name}", params[name], choices)
        row[: self.gene_count] = self.space.canonical(row[None, : self.gene_count])[0]
        for (name, _), has in zip(self.parameters, self.present(row[None])[0], strict=True):
            if has and name not in params:
                raise InvalidValueError(f"params.{name}", None, "given")
        return row

    def suggest(self, trial: optuna.Trial) -> IntArray:
        """Return the row [G + P] of the pair that ``trial`` suggests, one parameter after the other.

        Raises:
            InvalidValueError: a value was fixed that is none of the parameter's choices.
        """
        row = np.zeros(len(self.parameters), dtype=np.int64)
        for column, (name, choices) in enumerate(self.parameters):
            # A stage's depth comes before its blocks, so whether this one is there is known by now.
            if not self.present(row[None])[0, column]:
                continue
            among = self.distributions[name]
            value = (
                trial.suggest_int(name, among.low, among.high, step=among.step)
                if isinstance(among, IntDistribution)
                else trial.suggest_categorical(name, choices)
            )
            # Optuna gives trials what was fixed or enqueued for them, whatever it is.
            row[column] = choice_index(f"params.{name}", value, choices)
        return row
