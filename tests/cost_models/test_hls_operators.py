"""Delays and costs of HLS operators: beside published figures, for every board, and as one would expect of hardware."""

import pytest

from cost_models.hls_operators import (
    OPERATORS,
    costs_of,
    delays_of,
    device_of,
    devices,
    source,
)
from hw_templates.board import board_names, load_board
from hw_templates.foundation.errors import InvalidValueError


@pytest.mark.parametrize(
    ("part", "base", "per_bit"),
    [
        ("xc7z020clg400-1", 1.50, 0.031),
        ("xqzu5ev-ffrb900-1-i", 0.82, 0.011),
        ("xczu9eg-ffvb1156-2-e", 0.70, 0.0095),
        ("xck26-sfvc784-2LV-c", 0.74, 0.0063),
    ],
)
def test_adders_are_near_the_lines_that_the_gatherers_of_the_reports_state(
    part: str, base: float, per_bit: float
) -> None:
    delays = delays_of(part)
    assert delays.is_of_part
    for bits in (4, 12, 20, 32):
        assert delays.delay_ns("add", bits) == pytest.approx(base + per_bit * bits, abs=0.05)


def test_comparisons_and_selections_are_what_reports_state_at_a_width() -> None:
    # Vitis HLS 2022.1.2 and Vivado HLS 2019.2 on xc7z020-1 alike.
    delays = delays_of("xc7z020clg400-1")
    assert [delays.delay_ns("icmp", bits) for bits in (8, 12, 16, 32)] == [1.55, 1.99, 2.42, 2.47]
    assert [delays.delay_ns("select", bits) for bits in (8, 12, 16, 32)] == [1.24, 0.69, 0.80, 0.69]
    assert delays.delay_ns("logic", 1) == pytest.approx(0.97, abs=0.01)


@pytest.mark.parametrize("name", board_names())
def test_every_board_has_delays_of_all_operators(name: str) -> None:
    delays = delays_of(load_board(name).part)
    for operator in OPERATORS:
        for bits in (1, 12, 32, 64):
            assert 0.1 < delays.delay_ns(operator, bits) < 15, operator
    assert delays.delay_ns("add", 32) > delays.delay_ns("add", 4)
    assert delays.delay_ns("select", 12) < delays.delay_ns("add", 12) < delays.delay_ns("mul", 18)
    assert delays.mux_ns(1, 12) == 0
    assert delays.mux_ns(5, 12) == pytest.approx(3 * delays.delay_ns("select", 12))


def test_a_board_without_reports_takes_the_nearest_device() -> None:
    nearest = {name: delays_of(load_board(name).part) for name in ("pynq-z2", "ultra96-v2", "zcu104", "kv260")}
    assert {name: (delays.device, delays.is_of_part) for name, delays in nearest.items()} == {
        "pynq-z2": ("xc7z020-1", True),
        "ultra96-v2": ("xqzu5ev-1", False),
        "zcu104": ("xczu7ev-2", True),
        "kv260": ("xck26-2LV", True),
    }
    # Reports on these have no line on comparisons.
    assert nearest["zcu104"].lent["icmp"] == nearest["kv260"].lent["icmp"] == "xczu9eg-2"
    assert nearest["pynq-z2"].lent == {}


def test_a_faster_grade_is_faster_and_the_newer_family_too() -> None:
    for operator in ("add", "sub", "icmp", "select"):
        slow, fast, newer = (
            delays_of(part).delay_ns(operator, 12)
            for part in ("xc7z020clg400-1", "xc7z020clg400-2", "xczu9eg-ffvb1156-2-e")
        )
        assert newer < fast < slow


@pytest.mark.parametrize("part", ["", "xc7z020", "pynq-z2", "xcvc1902-vsva2197-2MP-e", "xcku115-flvb2104-2-i"])
def test_a_part_without_figures_is_refused(part: str) -> None:
    with pytest.raises(InvalidValueError, match=r"^part: must be "):
        delays_of(part)


def test_parts_are_read() -> None:
    assert device_of("xczu7ev-ffvc1156-2-e") == ("xczu7ev", "2")
    assert device_of("xc7z007sclg225-1") == ("xc7z007s", "1")


def test_figures_say_where_they_come_from() -> None:
    assert source().rows == 7311
    assert "nothing was measured" in source().what
    assert len(source().tools) == 16
    assert "xc7z020-1" in devices()


def test_costs_are_those_of_carry_chains_and_slices() -> None:
    for device in ("xc7z020-1", "xczu9eg-2"):
        costs = costs_of(device)
        assert costs.lut["add"].at(32) == pytest.approx(36, rel=0.15)
        assert costs.lut["icmp"].at(32) < costs.lut["add"].at(32)
        dsp = {each.most_bits: each.dsp for each in costs.multipliers}
        assert (dsp[8], dsp[18]) == (0, 1)
        assert dsp[32] >= 2
        # A divider takes its dividend's bits and three more.
        divider = costs.latency_cycles["divider"]
        assert divider.least_bits + 3 <= divider.at(divider.least_bits) <= divider.most_bits + 3
