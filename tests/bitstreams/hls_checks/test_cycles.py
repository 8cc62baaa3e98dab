"""The worst cycle of random graphs, beside all of their cycles."""

import random

import networkx as nx
import pytest

from bitstreams.hls_checks.recurrences import mean_delay, worst_cycle


@pytest.mark.parametrize("seed", range(60))
def test_no_cycle_has_a_greater_mean(seed: int) -> None:
    chooser = random.Random(seed)
    nodes = [f"n{number}" for number in range(chooser.randint(1, 7))]
    edges = [(one, two) for one in nodes for two in nodes if chooser.random() < 0.5]
    delays = {edge: chooser.choice([0.0, 0.7, 1.9, chooser.random() * 5]) for edge in edges}
    cycles = list(nx.simple_cycles(nx.DiGraph(edges)))
    found = worst_cycle(delays)
    if not cycles:
        assert found == []
    else:
        assert mean_delay(found, delays) == pytest.approx(max(mean_delay(cycle, delays) for cycle in cycles), abs=1e-5)
