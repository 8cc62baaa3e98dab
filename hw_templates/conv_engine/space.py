"""Every accelerator that a search may choose from on one board."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from hw_templates.board import Board
from hw_templates.conv_engine.accelerator import ROWS, AcceleratorColumns, is_legal
from hw_templates.foundation.arrays import IntArray
from hw_templates.foundation.errors import InvalidValueError


@dataclass(frozen=True)
class AcceleratorSpace:
    """The choices for each parameter on ``board``; clock and port width end where the board's do.

    ``narrowed`` holds (parameter, choices) where fewer are wanted; :meth:`narrow` makes it.

    A point of the space is legal when :func:`hw_templates.conv_engine.accelerator.is_legal` says so. The cost model
    decides whether it fits the board's resources.
    """

    board: Board
    narrowed: tuple[tuple[str, tuple[int, ...]], ...] = ()

    @cached_property
    def choices(self) -> dict[str, tuple[int, ...]]:
        """Parameter to its choices, in the order of the parameters."""
        return {name: row.choices_on(self.board) for name, row in ROWS.items()} | dict(self.narrowed)

    def narrow(self, **choices: tuple[int, ...]) -> "AcceleratorSpace":
        """The part of this space in which the named parameters have only these choices.

        >>> from hw_templates.board import load_board
        >>> AcceleratorSpace(load_board("pynq-z2")).narrow(pack=(2,)).choices["pack"]
        (2,)

        Raises:
            InvalidValueError: no such parameter, or choices that are not some of its own in ascending order.
        """
        for name, values in choices.items():
            if name not in self.choices:
                raise InvalidValueError("accelerator_space", name, f"one of {', '.join(self.choices)}")
            wanted = tuple(choice for choice in self.choices[name] if choice in values)
            if not values or values != wanted:
                raise InvalidValueError(f"accelerator_space.{name}", values, f"some of {self.choices[name]}, ascending")
        return replace(self, narrowed=tuple({**dict(self.narrowed), **choices}.items()))

    @property
    def genes(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """(parameter, choices) in order, as :meth:`encode` and :meth:`decode` index them."""
        return tuple(self.choices.items())

    def decode(self, rows: IntArray) -> AcceleratorColumns:
        """Accelerators of choice indices [n, P]; not checked for legality."""
        genes = zip(self.choices.items(), rows.T, strict=True)
        return AcceleratorColumns(**{name: np.array(values)[indices] for (name, values), indices in genes})

    def encode(self, columns: AcceleratorColumns) -> IntArray:
        """[n, P] choice indices of accelerators of this space.

        Raises:
            InvalidValueError: a value is not among the choices.
        """
        indices = []
        for name, choices in self.choices.items():
            values = getattr(columns, name)
            position = np.searchsorted(choices, values).clip(max=len(choices) - 1)
            known = np.asarray(choices)[position] == values
            if not known.all():
                raise InvalidValueError(f"accelerator.{name}", int(values[~known][0]), f"one of {choices}")
            indices.append(position)
        return np.stack(indices, axis=1)

    def sample(self, rng: np.random.Generator, count: int) -> AcceleratorColumns:
        """``count`` legal points, drawn uniformly with replacement."""
        sizes = [len(choices) for choices in self.choices.values()]
        legal = np.empty((0, len(sizes)), dtype=np.int64)
        while len(legal) < count:
            rows = rng.integers(sizes, size=(2 * count, len(sizes)))
            legal = np.concatenate([legal, rows[is_legal(self.decode(rows))]])
        return self.decode(legal[:count])
