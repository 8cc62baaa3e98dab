from dataclasses import replace

import numpy as np
import pytest

from hw_templates.board import board_names, load_board
from hw_templates.conv_engine.accelerator import PARAMETERS, is_legal
from hw_templates.conv_engine.space import AcceleratorSpace
from hw_templates.foundation.errors import InvalidValueError


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
    foreign = replace(one, clock_mhz=np.array([99]))
    with pytest.raises(InvalidValueError, match=r"clock_mhz: must be one of \(75, 100, 125, 150\), got 99"):
        space.encode(foreign)


def test_a_narrowed_space_holds_only_the_choices_given() -> None:
    space = AcceleratorSpace(load_board("pynq-z2")).narrow(clock_mhz=(100, 150)).narrow(pack=(2,))
    columns = space.sample(np.random.default_rng(4), 200)
    assert set(columns.clock_mhz) == {100, 150}
    assert set(columns.pack) == {2}
    np.testing.assert_array_equal(space.decode(space.encode(columns)).clock_mhz, columns.clock_mhz)


@pytest.mark.parametrize(
    ("name", "choices", "message"),
    [
        ("voltage", (1,), "accelerator_space: must be one of pe_rows, .*, got 'voltage'"),
        ("clock_mhz", (100, 500), r"accelerator_space.clock_mhz: must be some of \(75, 100, 125, 150\)"),
        ("clock_mhz", (150, 100), "ascending"),
        ("clock_mhz", (), "some of"),
    ],
)
def test_choices_that_are_not_of_the_space_are_refused(name: str, choices: tuple[int, ...], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        AcceleratorSpace(load_board("pynq-z2")).narrow(**{name: choices})
