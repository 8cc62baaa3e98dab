"""Every point of a part of an accelerator space, one by one."""

import itertools
from collections.abc import Iterator

import numpy as np

from cost_models.resources import estimate_resources, excess
from hw_templates.board import Board
from hw_templates.conv_engine.accelerator import PARAMETERS, AcceleratorColumns, is_legal
from hw_templates.conv_engine.space import AcceleratorSpace


def fitting_points(board: Board, fixed: dict[str, int]) -> Iterator[AcceleratorColumns]:
    """The points with these parameters that are legal and fit the board, for one PE array after the other."""
    choices = AcceleratorSpace(board).choices
    grid = [[fixed[name]] if name in fixed else values for name, values in choices.items()]
    # Arrays of one shape and size at a time stay in the processor's cache.
    for array in itertools.product(*grid[:3]):
        values = np.meshgrid(*([size] for size in array), *grid[3:], indexing="ij")
        columns = AcceleratorColumns(**dict(zip(PARAMETERS, map(np.ravel, values), strict=True)))
        legal = columns.take(is_legal(columns))
        beyond = excess(estimate_resources(legal, board), board)
        yield legal.take(np.all([over <= 0 for over in beyond.values()], axis=0))
