"""``--json``: one document on standard output, under keys that scripts may rely on."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from codesign.cli.main import app
from codesign.run.folder import Run

BOARD = (
    "name title part family dsp bram_18k uram lut ff clocks_mhz axi_bits_max idle_power_w ddr ps source pynq_name "
    "power_sensor"
)
KEYS: dict[tuple[str, ...], str] = {
    ("boards",): BOARD,
    ("boards", "show", "pynq-z2"): BOARD,
}
"""Command to the keys of its document, or of each entry of a document that is a list."""


WINNER = "study rule space subnet board accelerator accuracy accuracy_source predicted resources"
OF_A_RUN: dict[tuple[str, ...], dict[str, str]] = {
    ("train", "RUN", "--preset", "digits-small"): {"": "space subnets steps largest_accuracy smallest_accuracy"},
    ("predictor", "RUN", "--samples", "25"): {
        "": "samples lowest_accuracy highest_accuracy splits kendall_tau spearman rmse"
    },
    ("search", "RUN", "--pairs", "5000"): {
        "": "template board progress front hypervolumes losses skipped",
        "progress": "rounds pairs candidates accelerators",
        "hypervolumes": "random sequential joint",
    },
    ("winner", "RUN"): {
        "": "template winner resolution depths macs accelerator latency_interval_ms available skipped file",
        "winner": WINNER,
        "available": "dsp bram_18k uram lut ff",
    },
    ("emit", "RUN"): {"": "winner project folder", "project": "precision float32 quantised digest notes"},
    ("csim", "RUN", "--images", "2"): {
        "": "template record",
        "record": "program_sha256 images implementation sanitized same_class largest_difference tolerance layers "
        "cycles cycles_per_second",
    },
    ("report", "RUN"): {"": "page facts"},
}
"""Command on a run to the keys of its document and of objects in it, by the name of the object."""


def document(*arguments: str | Path) -> Any:
    """Run a command with ``--json`` and decode all that it writes to standard output."""
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("command", KEYS, ids=" ".join)
def test_the_keys_of_a_document_are_those_that_scripts_know(command: tuple[str, ...]) -> None:
    found = document(*command)
    for entry in found if isinstance(found, list) else [found]:
        assert list(entry) == KEYS[command].split()


def test_the_keys_of_documents_about_a_run_are_those_that_scripts_know(finished_run: Run, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished_run.folder, run)
    for command, keys in OF_A_RUN.items():
        found = document(*(run if argument == "RUN" else argument for argument in command))
        for name, expected in keys.items():
            assert list(found[name] if name else found) == expected.split(), (command, name)


def test_an_error_is_one_line_and_no_document() -> None:
    done = CliRunner().invoke(app, ["boards", "show", "pynq-z9", "--json"])
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("codesign: BOARD: must be one of kv260")
