"""How little a run of all the commands may do for tests to read it."""

from unittest.mock import patch

from codesign.commands.demo import SMALL, Scale, demo
from codesign.progress import Silent
from codesign.run.folder import Run

TINY = Scale(SMALL.preset, samples=25, pairs=5_000)


def make_tiny_run(run: Run) -> None:
    """Make the run, or what of it is missing; its project is not checked, which takes minutes."""
    with patch("codesign.commands.demo.check"):
        for _ in demo(run, Silent(), scale=TINY):
            pass
