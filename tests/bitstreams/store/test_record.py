"""``build.json``: read back as it was written, and refused in one line where it was spoilt."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.mutations import drive, mutated_json

from bitstreams.building.comparison import Figure
from bitstreams.building.reports import Timing, Utilisation
from bitstreams.store.bitstream import Bitstream, Entry
from bitstreams.store.record import parse_entry, record_text
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.errors import InvalidValueError

MADE = Bitstream(
    determined_by={"hardware_sha256": "ab", "vivado": "2023.2"},
    board="pynq-z2",
    part="xc7z020clg400-1",
    design="engine_ab",
    clock_mhz=142.857,
    hardware_sha256="ab",
    accelerator=Accelerator(
        pe_rows=8,
        pe_cols=8,
        pe_pixels=2,
        pack=1,
        ifmap_kib=8,
        weight_kib=8,
        ofmap_kib=8,
        axi_bits=64,
        clock_mhz=100,
        depthwise_lanes=8,
    ),
    tools={"vivado": "2023.2"},
    timing=Timing(0.1, 0.0, None, 0.0),
    utilisation=Utilisation(lut=1000),
    figures=(Figure("lut", 900.0, None, 1000.0),),
)
FILES = {"reports/timing.rpt": "0" * 64}
FOLDER = Path("store/entry")
IMPORTED = "2026-01-31T12:00:00+00:00"


def text(bitstream: Bitstream = MADE) -> str:
    return record_text(bitstream, FILES, IMPORTED)


def test_a_record_is_read_back_as_it_was_written() -> None:
    assert parse_entry(text().encode(), FOLDER) == Entry(FOLDER, MADE, FILES, IMPORTED)
    values = json.loads(text())
    assert values["digest"] == MADE.digest
    assert values["figures"][0]["deviation"] == pytest.approx(1 / 9)
    elsewhere = replace(MADE, accelerator=None, hardware_sha256=None, figures=())
    assert parse_entry(text(elsewhere).encode(), FOLDER).bitstream == elsewhere


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"format": 1', '"format": 9', "build.format: must be 1, which this version reads, got 9"),
        ('"pe_rows"', '"sparse": 1, "pe_rows"', r"build\.accelerator\.sparse"),
        ('"wns_ns": 0.1', '"wns_ns": "0.1"', r"build\.timing\.wns_ns: must be"),
        ('"lut": 1000', '"lut": -1', r"utilisation\.lut: must be a finite number"),
        ('"lut": 1000', '"lut": 1e999', "sound JSON"),
        ('"clock_mhz": 142.857', '"clock_mhz": 0', r"bitstream\.clock_mhz"),
        ("reports/timing.rpt", "../timing.rpt", r"build\.files"),
        ("reports/timing.rpt", "reports/./timing.rpt", r"build\.files"),
        ("0" * 64, "0" * 63, r"build\.files"),
        (IMPORTED, "2026-01-31T12:00:00", r"build\.imported: must be a time with its zone"),
        (IMPORTED, "yesterday", "build"),
    ],
)
def test_a_spoilt_field_is_named(old: str, new: str, message: str) -> None:
    assert old in text()
    with pytest.raises(InvalidValueError, match=message):
        parse_entry(text().replace(old, new).encode(), FOLDER)


def test_any_spoilt_record_is_read_or_refused_in_one_line() -> None:
    inputs = mutated_json(json.loads(text()), 3_000)
    accepted, refused = drive(lambda content: parse_entry(content, FOLDER), inputs)
    assert accepted > 50
    assert refused > 1_500
