"""The table against prices made here."""

import json

import numpy as np
import pytest

from codesign.run import Run
from codesign.supernet.lowering import lower
from codesign.supernet.spaces import DIGITS_STREAM
from codesign.verbs.templates import templates_section
from cost_models.coefficients import load_coefficients
from cost_models.dataflow_estimate import price_dataflow
from cost_models.estimate import price
from hw_templates.accelerator_space import AcceleratorSpace
from hw_templates.board import load_board
from hw_templates.dataflow import Dataflow, IoType
from hw_templates.errors import StorageError

BOARD = load_board("pynq-z2")
DESIGN = Dataflow(6, IoType.STREAM, 2048, 100)


@pytest.fixture
def engine():
    return AcceleratorSpace(BOARD).sample(np.random.default_rng(0), 1)[0]


@pytest.fixture
def emitted_run(tmp_path):
    folder = tmp_path / "dataflow"
    folder.mkdir()
    record = {
        "board": "pynq-z2",
        "subnet": DIGITS_STREAM.smallest().as_dict(),
        "accelerator": DESIGN.as_dict(),
        "test_accuracy": {"fixed_point": 0.9},
    }
    (folder / "project.json").write_text(json.dumps(record))
    return Run(tmp_path)


def test_both_templates_are_priced_for_the_same_subnet(emitted_run, engine):
    section = templates_section(emitted_run, DIGITS_STREAM, engine, BOARD, load_coefficients())
    workload = lower(DIGITS_STREAM, DIGITS_STREAM.smallest())
    rows = {name: cells for name, *cells in section.table.rows}
    stream = price_dataflow(workload, DESIGN, BOARD)
    other = price(workload, engine, BOARD, load_coefficients())
    assert rows["latency, predicted"] == [f"{other.latency_ms:.4f} ms", f"{stream.latency_ms:.4f} ms"]
    assert rows["DSP slices, predicted"][1] == str(stream.resources.dsp)
    assert "90.00%" in section.text


def test_nothing_is_shown_where_nothing_was_emitted_or_for_another_board(emitted_run, engine, tmp_path):
    coefficients = load_coefficients()
    assert templates_section(Run(tmp_path / "none"), DIGITS_STREAM, engine, BOARD, coefficients) is None
    assert templates_section(emitted_run, DIGITS_STREAM, engine, load_board("zcu104"), coefficients) is None


def test_a_damaged_record_is_named(emitted_run, engine):
    (emitted_run.folder / "dataflow" / "project.json").write_text('{"board": "pynq-z2"}')
    with pytest.raises(StorageError, match=r"project\.json: is corrupt"):
        templates_section(emitted_run, DIGITS_STREAM, engine, BOARD, load_coefficients())
