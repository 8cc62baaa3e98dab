import numpy as np
import pytest

from hw_templates.accelerator import PARAMETERS, AcceleratorColumns, is_legal
from hw_templates.accelerator_space import AcceleratorSpace
from hw_templates.board import board_names, load_board
from hw_templates.errors import InvalidValueError


@pytest.mark.parametrize("name", board_names())
def test_samples_are_legal_and_within_the_board(name: str) -> None:
    space = AcceleratorSpace(load_board(name))
    columns = space.sample(np.random.default_rng(1), 500)
    assert len(columns) == 500
    assert is_legal(columns).all()
    assert set(np.unique(columns.clock_mhz)) == set(space.board.clocks_mhz)
    assert columns.axi_bits.max() == space.board.axi_bits_max
    assert len({tuple(row) for row in space.encode(columns)}) > 450


def test_encode_and_decode_are_inverse() -> None:
    space = AcceleratorSpace(load_board("pynq-z2"))
    columns = space.sample(np.random.default_rng(2), 100)
    decoded = space.decode(space.encode(columns))
    for name in PARAMETERS:
        np.testing.assert_array_equal(getattr(decoded, name), getattr(columns, name))


def test_a_value_outside_the_choices_is_named() -> None:
    space = AcceleratorSpace(load_board("pynq-z2"))
    one = space.sample(np.random.default_rng(3), 1)
    foreign = AcceleratorColumns(*(np.array([99]) if n == "clock_mhz" else getattr(one, n) for n in PARAMETERS))
    with pytest.raises(InvalidValueError, match=r"clock_mhz: must be one of \(75, 100, 125, 150\), got 99"):
        space.encode(foreign)
