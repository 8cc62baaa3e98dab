"""``--json``: one document on standard output, under keys that scripts may rely on."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from codesign.cli.main import app

BOARD = (
    "name title part family dsp bram_18k uram lut ff clocks_mhz axi_bits_max idle_power_w ddr ps source pynq_name "
    "power_sensor"
)
KEYS: dict[tuple[str, ...], str] = {
    ("boards",): BOARD,
    ("boards", "show", "pynq-z2"): BOARD,
}
"""Command to the keys of its document, or of each entry of a document that is a list."""


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


def test_an_error_is_one_line_and_no_document() -> None:
    done = CliRunner().invoke(app, ["boards", "show", "pynq-z9", "--json"])
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("codesign: BOARD: must be one of kv260")
