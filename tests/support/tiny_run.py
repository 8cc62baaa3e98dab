"""How little a run of all the commands may do for tests to read it."""

from codesign.commands.demo import SMALL, Scale

TINY = Scale(SMALL.preset, samples=25, pairs=5_000)
