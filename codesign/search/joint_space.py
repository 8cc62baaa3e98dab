"""The joint space: every pair of a subnet and an accelerator, with the names and ranges Optuna sees."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from codesign.supernet.lowering.workloads import lower
from codesign.supernet.spaces.space import Space, Subnet
from cost_models.hls4ml.estimate import check_dataflow_fits, price_dataflow
from cost_models.resources import estimate_resources, excess
from hw_templates.board import Board
from hw_templates.conv_engine.accelerator import Accelerator, AcceleratorColumns, is_legal
from hw_templates.conv_engine.space import AcceleratorSpace
from hw_templates.foundation.arrays import BoolArray, IntArray
from hw_templates.foundation.errors import InvalidValueError, ResourceError, UnsupportedLayerError
from hw_templates.hls4ml.parameters import Dataflow, DataflowSpace

Choice = int | float | str


@dataclass(frozen=True)
class Pair:
    """A subnet and the accelerator it runs on."""

    subnet: Subnet
    accelerator: Accelerator


def distribution(choices: tuple[Choice, ...]) -> BaseDistribution:
    """An integer range where the choices are evenly spaced, so that samplers know their order; else categories."""
    numbers = [choice for choice in choices if isinstance(choice, int)]
    steps = {after - before for before, after in pairwise(numbers)}
    if len(numbers) == len(choices) and len(steps) == 1:
        return IntDistribution(numbers[0], numbers[-1], step=steps.pop())
    return CategoricalDistribution(choices)


class PairSpace(ABC):
    """Pairs of a subnet and an accelerator of some template, as rows of choice indices.

    A row holds the ``G`` genes of the subnet, then the parameters of the accelerator. Optuna parameters carry the names
    of the genes (``stage1.block2.kernel``) and of the accelerator's fields (``pe_rows``). Only the parameters of blocks
    that a subnet has appear in a trial (define-by-run).
    """

    space: Space

    @property
    @abstractmethod
    def template(self) -> tuple[tuple[str, tuple[Choice, ...]], ...]:
        """(name, choices) of every parameter of the accelerator, in order."""

    @property
    @abstractmethod
    def board(self) -> Board:
        """That the accelerators are for."""

    @abstractmethod
    def fits(self, rows: IntArray) -> BoolArray:
        """[n] which pairs of rows [n, G + P] are legal and within the board's resources."""

    @cached_property
    def parameters(self) -> tuple[tuple[str, tuple[Choice, ...]], ...]:
        """(name, choices) of every column of a row, in order."""
        return (*self.space.genes, *self.template)

    @cached_property
    def distributions(self) -> dict[str, BaseDistribution]:
        """Name of every parameter to its Optuna distribution."""
        return {name: distribution(choices) for name, choices in self.parameters}

    @property
    def gene_count(self) -> int:
        """Columns of a row that describe the subnet: G."""
        return len(self.space.genes)

    @cached_property
    def digest(self) -> str:
        """Names and choices of all parameters in 16 hexadecimal digits: another space has another digest."""
        return hashlib.sha256(json.dumps(self.parameters).encode()).hexdigest()[:16]

    def present(self, rows: IntArray) -> BoolArray:
        """[n, G + P] which parameters the pairs of ``rows`` have: not those of absent blocks."""
        mask = np.ones(rows.shape, dtype=bool)
        mask[:, : self.gene_count] = self.space.relevant(rows[:, : self.gene_count])
        return mask

    def params(self, rows: IntArray) -> list[dict[str, Choice]]:
        """Optuna parameters of each row."""
        return [
            {
                name: choices[index]
                for (name, choices), index, has in zip(self.parameters, row, mask, strict=True)
                if has
            }
            for row, mask in zip(rows.tolist(), self.present(rows).tolist(), strict=True)
        ]

    def encode_params(self, params: Mapping[str, Any]) -> IntArray:
        """[G + P] the row of Optuna parameters; parameters of absent blocks may be missing.

        Raises:
            InvalidValueError: a parameter is missing, unknown or outside its choices.
        """
        unknown = sorted(set(params) - set(self.distributions))
        if unknown:
            raise InvalidValueError(f"params.{unknown[0]}", params[unknown[0]], "a parameter of this joint space")
        row = np.zeros(len(self.parameters), dtype=np.int64)
        for column, (name, choices) in enumerate(self.parameters):
            if name in params:
                if params[name] not in choices:
                    raise InvalidValueError(f"params.{name}", params[name], f"one of {choices}")
                row[column] = choices.index(params[name])
        row[: self.gene_count] = self.space.canonical(row[None, : self.gene_count])[0]
        for (name, _), has in zip(self.parameters, self.present(row[None])[0], strict=True):
            if has and name not in params:
                raise InvalidValueError(f"params.{name}", None, "given")
        return row


@dataclass(frozen=True)
class JointSpace(PairSpace):
    """Pairs of a subnet of ``space`` and an engine of ``accelerators``, which has 12 parameters."""

    space: Space
    accelerators: AcceleratorSpace

    @property
    def template(self) -> tuple[tuple[str, tuple[Choice, ...]], ...]:
        """See :class:`PairSpace`."""
        return self.accelerators.genes

    @property
    def board(self) -> Board:
        """See :class:`PairSpace`."""
        return self.accelerators.board

    def encode(self, pair: Pair) -> IntArray:
        """[G + P] the row of a pair.

        Raises:
            InvalidValueError: subnet or accelerator is not of this space.
        """
        accelerator = self.accelerators.encode(AcceleratorColumns.of([pair.accelerator]))[0]
        return np.concatenate([self.space.encode(pair.subnet), accelerator])

    def decode(self, row: IntArray) -> Pair:
        """The pair of one row.

        Raises:
            InvalidValueError: the accelerator is not legal.
        """
        return Pair(self.space.decode(row[: self.gene_count]), self.columns(row[None])[0])

    def fits(self, rows: IntArray) -> BoolArray:
        """See :class:`PairSpace`."""
        fits = is_legal(self.columns(rows))
        needs = estimate_resources(self.columns(rows[fits]), self.board)
        fits[fits] = np.all([over <= 0 for over in excess(needs, self.board).values()], axis=0)
        return fits

    def columns(self, rows: IntArray) -> AcceleratorColumns:
        """The accelerators of pairs [n, G + P], legal or not."""
        return self.accelerators.decode(rows[:, self.gene_count :])


@dataclass(frozen=True)
class DataflowPair:
    """A subnet and the dataflow accelerator that holds it."""

    subnet: Subnet
    accelerator: Dataflow


@dataclass(frozen=True)
class DataflowJoint(PairSpace):
    """Pairs of a subnet of ``space`` and a dataflow accelerator of ``accelerators``."""

    space: Space
    accelerators: DataflowSpace

    @property
    def template(self) -> tuple[tuple[str, tuple[Choice, ...]], ...]:
        """See :class:`PairSpace`."""
        return self.accelerators.genes

    @property
    def board(self) -> Board:
        """See :class:`PairSpace`."""
        return self.accelerators.board

    def fits(self, rows: IntArray) -> BoolArray:
        """See :class:`PairSpace`; hls4ml must be able to convert the subnet."""
        return np.array([self._fits(self.decode(row)) for row in rows], dtype=bool)

    def _fits(self, pair: DataflowPair) -> bool:
        try:
            estimate = price_dataflow(lower(self.space, pair.subnet), pair.accelerator, self.board)
            check_dataflow_fits(estimate, self.board)
        except (UnsupportedLayerError, ResourceError):
            return False
        return True

    def decode(self, row: IntArray) -> DataflowPair:
        """The pair of one row."""
        return DataflowPair(self.space.decode(row[: self.gene_count]), self.accelerators.decode(row[self.gene_count :]))
