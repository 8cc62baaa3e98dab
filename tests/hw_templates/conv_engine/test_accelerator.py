from dataclasses import replace

import numpy as np
import pytest

from hw_templates.board import load_board
from hw_templates.conv_engine.accelerator import (
    PARAMETERS,
    Accelerator,
    AcceleratorColumns,
    is_legal,
)
from hw_templates.conv_engine.space import AcceleratorSpace
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.foundation.json_records import check_record

GOOD = Accelerator(
    pe_rows=16,
    pe_cols=8,
    pe_pixels=2,
    pack=2,
    ifmap_kib=16,
    weight_kib=16,
    ofmap_kib=16,
    axi_bits=64,
    clock_mhz=100,
)


def test_shapes_worked_out_by_hand() -> None:
    # 16 KiB over 2 pixels x 8 channels: 1,024 words; over 16 x 8 weights: 128; over 16 x 2 sums of 4 bytes: 128.
    assert (GOOD.ifmap_banks, GOOD.ifmap_depth) == (2, 1024)
    assert (GOOD.weight_banks, GOOD.weight_depth) == (16, 128)
    assert GOOD.ofmap_depth == 128
    # The diagonal of 12 rows and 8 columns has 4 channels.
    assert replace(GOOD, pe_rows=12, axi_bits=32).lanes == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pack": 3}, r"accelerator\.pack: must be one of \(1, 2\), got 3"),
        ({"axi_bits": 48}, r"accelerator\.axi_bits: must be one of \(32, 64, 128\), got 48"),
        ({"pe_rows": 12}, r"accelerator\.pe_rows: must be a multiple of the bytes of an AXI word, got 12"),
        ({"pe_cols": 4}, r"accelerator\.pe_cols: must be a multiple"),
        ({"weight_port_words": 3}, r"accelerator\.weight_port_words: must be one of \(1, 2\), got 3"),
        (
            {"pe_cols": 16, "axi_bits": 128, "weight_port_words": 2},
            r"weight_port_words: must be 1 where axi_bits",
        ),
        (
            {"pe_rows": 8, "weight_port_words": 2},
            r"accelerator\.pe_rows: must be a multiple of the bytes of the wei",
        ),
        ({"map_kib": -1}, r"accelerator\.map_kib: must be a whole number from 0 to 1048576, got -1"),
        ({"pe_rows": 2048, "ofmap_kib": 512, "map_kib": 1}, r"accelerator\.map_kib: must be 0, or enough for one word"),
        ({"pe_pixels": 0}, r"accelerator\.pe_pixels: must be a whole number from 1 to 1048576, got 0"),
        ({"ifmap_kib": 2**20 + 1}, r"accelerator\.ifmap_kib: must be a whole number from 1 to 1048576, got 1048577"),
        ({"axi_bits": 4}, r"accelerator\.axi_bits: must be one of \(32, 64, 128\), got 4"),
        ({"clock_mhz": 99.5}, r"accelerator\.clock_mhz: must be a whole number"),
        ({"pe_rows": 64, "pe_pixels": 16, "ofmap_kib": 2}, r"accelerator\.ofmap_kib: must be enough"),
        ({"pe_rows": 64, "pe_cols": 64, "weight_kib": 2}, r"accelerator\.weight_kib: must be enough"),
    ],
)
def test_illegal_parameters_are_named(change: dict[str, int], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        replace(GOOD, **change)


def test_columns_and_single_values_share_rules_and_shapes() -> None:
    rng = np.random.default_rng(0)
    mixed = {
        "pe_rows": (4, 8, 12, 16), "pe_cols": (4, 8, 16), "pe_pixels": (1, 3),
        "ifmap_kib": (1, 2), "weight_kib": (1, 2), "ofmap_kib": (1, 2), "axi_bits": (32, 64, 128), "clock_mhz": (100,),
        "map_kib": (0, 2), "ofmap_buffers": (2, 3),
    }  # fmt: skip
    choices = {**AcceleratorSpace(load_board("zcu104")).choices, **mixed}
    rows = [{name: int(rng.choice(values)) for name, values in choices.items()} for _ in range(300)]
    columns = AcceleratorColumns(**{name: np.array([row[name] for row in rows]) for name in PARAMETERS})
    legal = is_legal(columns)
    for row, expected in zip(rows, legal, strict=True):
        try:
            Accelerator(**row)
        except InvalidValueError:
            assert not expected
        else:
            assert expected
    assert 0 < legal.sum() < len(rows)
    kept = columns.take(legal)
    for index, accelerator in enumerate(kept):
        assert kept.ifmap_depth[index] == accelerator.ifmap_depth
        assert kept.lanes[index] == accelerator.lanes
    assert AcceleratorColumns.of(list(kept))[0] == kept[0]


def test_dictionaries_round_trip_and_reject_other_fields() -> None:
    assert check_record(GOOD.as_dict(), Accelerator, "accelerator") == GOOD
    assert tuple(GOOD.as_dict()) == PARAMETERS
    with pytest.raises(InvalidValueError, match=r"accelerator\.voltage"):
        check_record({**GOOD.as_dict(), "voltage": 1}, Accelerator, "accelerator")
    with pytest.raises(InvalidValueError, match=r"accelerator\.pack"):
        check_record(
            {name: value for name, value in GOOD.as_dict().items() if name != "pack"}, Accelerator, "accelerator"
        )


@pytest.mark.parametrize("values", [[], [1] * 14, None, "x", 3, {"pe_rows": 8}, {1: 2}])
def test_what_is_no_accelerator_is_refused(values: object) -> None:
    with pytest.raises(InvalidValueError, match=r"^accelerator"):
        check_record(values, Accelerator, "accelerator")
