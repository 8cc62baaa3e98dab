"""The record of a bitstream: read back as it was written, and refused in one line where it was spoilt."""

import json
from dataclasses import replace

import pytest
from support.mutations import drive, mutated_json

from bitstreams.building.reports import Timing, Utilisation
from bitstreams.store.bitstream import Bitstream, Quantity, StoredBitstream
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.foundation.json_records import parse_json, record_text

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
    ),
    tools={"vivado": "2023.2"},
    timing=Timing(0.1, 0.0, None, 0.0),
    utilisation=Utilisation(lut=1000),
    figures=(Quantity(name="lut", predicted=900.0, synthesis=None, implementation=1000.0),),
)
FILES = {"reports/timing.rpt": "0" * 64}
IMPORTED = "2026-01-31T12:00:00+00:00"


def stored(bitstream: Bitstream = MADE) -> StoredBitstream:
    return StoredBitstream(**vars(bitstream), files=FILES, imported=IMPORTED)


def text(bitstream: Bitstream = MADE) -> str:
    return record_text(stored(bitstream))


def parse(content: str | bytes) -> StoredBitstream:
    return parse_json(content, StoredBitstream, "build")


def test_a_record_is_read_back_as_it_was_written() -> None:
    assert parse(text()) == stored()
    values = json.loads(text())
    assert values["digest"] == MADE.digest
    assert values["figures"][0]["deviation"] == pytest.approx(1 / 9)
    elsewhere = replace(MADE, accelerator=None, hardware_sha256=None, figures=())
    assert parse(text(elsewhere)) == stored(elsewhere)


def test_what_follows_from_other_fields_is_computed_and_not_believed() -> None:
    values = json.loads(text())
    values["digest"], values["figures"][0]["deviation"] = "0" * 64, 9.0
    assert parse(json.dumps(values)) == stored()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"format": 2', '"format": 1', "build.format: must be 2, which this version reads, got 1"),
        ('"pe_rows"', '"sparse": 1, "pe_rows"', r"build\.accelerator\.sparse"),
        ('"wns_ns": 0.1', '"wns_ns": "0.1"', r"build\.timing\.wns_ns: must be"),
        ('"lut": 1000', '"lut": -1', r"utilisation\.lut: must be a number, zero or more, got -1"),
        ('"lut": 1000', '"lut": 1e999', "sound JSON"),
        ('"clock_mhz": 142.857', '"clock_mhz": 0', r"build\.clock_mhz: must be a positive number, got 0"),
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
        parse(text().replace(old, new))


def test_any_spoilt_record_is_read_or_refused_in_one_line() -> None:
    inputs = mutated_json(json.loads(text()), 3_000)
    accepted, refused = drive(parse, inputs)
    assert accepted > 50
    assert refused > 1_500


def test_the_digest_is_of_what_determines_the_hardware_only() -> None:
    assert replace(MADE, clock_mhz=None, timing=Timing()).digest == MADE.digest
    assert replace(MADE, determined_by={"vivado": "2023.2", "hardware_sha256": "ab"}).digest == MADE.digest
    assert replace(MADE, determined_by={"hardware_sha256": "ab", "vivado": "2024.1"}).digest != MADE.digest


@pytest.mark.parametrize("clock_mhz", [0.0, -100.0, float("inf"), float("nan")])
def test_a_clock_that_cannot_be_is_refused(clock_mhz: float) -> None:
    with pytest.raises(InvalidValueError, match=r"bitstream\.clock_mhz"):
        replace(MADE, clock_mhz=clock_mhz)


@pytest.mark.parametrize(
    ("figure", "deviation"),
    [
        (Quantity(name="lut", predicted=100.0, synthesis=None, implementation=None), None),
        (Quantity(name="lut", predicted=100.0, synthesis=150.0, implementation=None), 0.5),
        (Quantity(name="lut", predicted=100.0, synthesis=150.0, implementation=80.0), -0.2),
        (Quantity(name="uram", predicted=0.0, synthesis=0.0, implementation=0.0), 0.0),
        (Quantity(name="uram", predicted=0.0, synthesis=None, implementation=2.0), None),
    ],
)
def test_the_deviation_is_that_of_what_came_last(figure: Quantity, deviation: float | None) -> None:
    assert figure.deviation == (None if deviation is None else pytest.approx(deviation))
