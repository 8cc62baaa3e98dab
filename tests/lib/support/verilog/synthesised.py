"""Verilog mapped to cells by yosys, for tests."""

import shutil

import pytest

from bitstreams.building.synthesis import yosys_version


def need_yosys() -> None:
    """Skip the test where yosys is missing."""
    if shutil.which("yosys") is None:
        pytest.skip("yosys is not on the PATH (Debian: apt-get install yosys)")


def need_yosys_version(version: str) -> None:
    """Skip the test where the yosys at hand is not the one that the expected counts were made with."""
    need_yosys()
    if yosys_version() != version:
        pytest.skip(f"the counts are of {version}, another yosys maps otherwise: this is {yosys_version()}")
