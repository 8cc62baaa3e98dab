import json
from dataclasses import asdict

import numpy as np
import pytest

from hw_templates.board import load_board
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.foundation.json_records import check_record, parse_json
from hw_templates.hls4ml.parameters import Hls4mlAccelerator, Hls4mlSpace, IoType

DESIGN = Hls4mlAccelerator(8, IoType.STREAM, 4096, 100)


def test_a_design_survives_json():
    text = json.dumps(asdict(DESIGN))
    assert parse_json(text, Hls4mlAccelerator, "accelerator") == DESIGN
    assert '"io_stream"' in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"precision_bits": 3}, r"accelerator\.precision_bits: must be in 4\.\.8, got 3"),
        ({"precision_bits": 16}, r"accelerator\.precision_bits: must be in 4\.\.8, got 16"),
        ({"interval_cycles": 0}, r"accelerator\.interval_cycles: must be in 16\.\.1048576, got 0"),
        ({"interval_cycles": 2**21}, r"accelerator\.interval_cycles: must be in 16\.\.1048576, got 2097152"),
        ({"io_type": "io_serial"}, r"accelerator\.io_type: must be one of io_stream, io_parallel, got 'io_serial'"),
        ({"clock_mhz": 0}, r"accelerator\.clock_mhz: must be a positive whole number, got 0"),
        ({"lanes": 2}, r"accelerator\.lanes: must be given, got None|must be a known field"),
    ],
)
def test_parameters_out_of_range_are_named(change, message):
    with pytest.raises(InvalidValueError, match=message):
        check_record({**asdict(DESIGN), **change}, Hls4mlAccelerator, "accelerator")


def test_every_row_of_the_space_is_a_design_at_a_clock_of_the_board():
    board = load_board("pynq-z2")
    space = Hls4mlSpace(board)
    sizes = [len(choices) for _, choices in space.genes]
    designs = set(space.decode(np.random.default_rng(0).integers(sizes, size=(200, len(sizes)))))
    assert {design.clock_mhz for design in designs} == set(board.clocks_mhz)
    assert {design.io_type for design in designs} == set(IoType)
    assert [name for name, _ in space.genes] == list(asdict(DESIGN))
