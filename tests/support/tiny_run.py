"""How little a run of all the verbs may do for tests to read it."""

from codesign.verbs.demo import SMALL, Scale

TINY = Scale(SMALL.preset, samples=25, pairs=5_000)
