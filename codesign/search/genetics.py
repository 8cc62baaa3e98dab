"""Genetic operators on rows of choice indices, vectorised over a batch."""

import numpy as np

from hw_templates.foundation.arrays import IntArray

_RATE_FACTORS = (1, 1, 2, 5)


def breed(parents: IntArray, sizes: IntArray, rng: np.random.Generator, rate: float) -> IntArray:
    """[n, genes] children of parents [2n, genes]: half of them crossed, all of them mutated."""
    first, second = np.split(parents, 2)
    # Uniform crossover (Syswerda 1989).
    crossed = np.where(rng.random(first.shape) < 0.5, first, second)
    return _mutate(np.where(rng.random((len(first), 1)) < 0.5, crossed, first), sizes, rng, rate)


def _mutate(rows: IntArray, sizes: IntArray, rng: np.random.Generator, rate: float) -> IntArray:
    """Each gene changed with chance ``rate``, or several times that in some rows.

    Heavy-tailed rates leave local optima that single steps cannot (Doerr et al. 2017). Half of the changes go to a
    neighbouring choice (choices are ordered), half to any.
    """
    rates = np.minimum(rate * rng.choice(_RATE_FACTORS, size=(len(rows), 1)), 1)
    neighbours = np.clip(rows + rng.choice([-1, 1], size=rows.shape), 0, sizes - 1)
    anywhere = rng.integers(sizes, size=rows.shape)
    changed = np.where(rng.random(rows.shape) < 0.5, neighbours, anywhere)
    return np.where(rng.random(rows.shape) < rates, changed, rows)


def unique_rows(rows: IntArray) -> IntArray:
    """Rows without repetitions, in order of first appearance."""
    return rows[first_of_equal_rows(rows)]


def first_of_equal_rows(rows: IntArray) -> IntArray:
    """Indices, ascending, of the rows that equal none before them.

    Rows are told apart by a 64-bit hash, many times faster than by their elements: that two of a million different
    rows are taken for one has a chance below 10^-7.
    """
    factors = np.random.default_rng(0).integers(2**63, size=rows.shape[1], dtype=np.uint64) | np.uint64(1)
    _, first = np.unique((rows.astype(np.uint64) + np.uint64(1)) @ factors, return_index=True)
    ascending: IntArray = np.sort(first)
    return ascending
