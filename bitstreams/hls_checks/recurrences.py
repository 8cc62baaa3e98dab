"""The recurrences of a loop: chains of operators that one iteration must end before the next one can go on.

A cycle through n values that are carried spans n iterations; at an interval of one clock a tool must bring its
operators into n periods, so what counts is its delay by iteration.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import networkx as nx

from bitstreams.hls_checks.dependences import Dependences
from bitstreams.hls_checks.ir import Place
from bitstreams.hls_checks.loops import Loop
from bitstreams.hls_checks.pragmas import Sources

_TOLERANCE = 1e-6
_ASSIGNMENT = re.compile(r"([A-Za-z_][\w.\[\]]*)\s*(?:[-+|&^]|<<|>>)?=(?!=)")


@dataclass(frozen=True)
class Link:
    """An operator of a chain, as text, and its line."""

    operator: str
    place: Place | None

    def __str__(self) -> str:
        return f"{self.operator} ({self.place})" if self.place else self.operator


@dataclass(frozen=True, kw_only=True)
class Recurrence:
    """A cycle of operators.

    Attributes:
        variables: the values that carry it from iteration to iteration.
        place: the line of its slowest operator.
        delay_ns: of the cycle, by iteration.
        iterations: that it spans.
        chain: its operators in order.
        times: how many recurrences of the loop are like this one, such as one a PE.
    """

    variables: tuple[str, ...]
    place: Place | None
    delay_ns: float
    iterations: int
    chain: tuple[Link, ...]
    times: int = 1


@dataclass(frozen=True, kw_only=True)
class Carried:
    """A value that an iteration hands to the next one.

    Attributes:
        variable: its name in the source, as far as that is known.
        place: where it changes.
        bits: of its type.
        counts: whether it adds to itself, as counters and addresses do.
    """

    variable: str
    place: Place | None
    bits: int
    counts: bool


class Recurrences:
    """The recurrences and carried values of a loop."""

    def __init__(self, loop: Loop, dependences: Dependences, sources: Sources) -> None:
        self._loop = loop
        self._found = dependences
        self._sources = sources

    def all(self) -> list[Recurrence]:
        """Return the worst recurrence of each set of values that depend on each other, the longest one first."""
        alike: dict[Recurrence, int] = defaultdict(int)
        for values in self._circles:
            recurrence = self._worst(values)
            if recurrence is not None:
                alike[recurrence] += 1
        found = [replace(recurrence, times=times) for recurrence, times in alike.items()]
        return sorted(found, key=lambda each: (-each.delay_ns, each.variables, str(each.place)))

    def carried(self) -> list[Carried]:
        """Return the integers that iterations hand on, the widest ones first, each kind of them once."""
        nodes, bits = self._found.nodes, self._found.bits
        counting = {node for values in self._circles if any(nodes[value].adds for value in values) for node in values}
        found = {
            Carried(
                variable=self._variable(node),
                place=self._changed_at(node),
                bits=bits[node],
                counts=node in counting,
            )
            for node in self._found.names
            if bits[node]
        }
        return sorted(found, key=lambda each: (-each.bits, each.variable, str(each.place)))

    @cached_property
    def _circles(self) -> list[set[str]]:
        graph = self._found.graph
        return [
            values
            for values in nx.strongly_connected_components(graph)
            if len(values) > 1 or any(graph.has_edge(value, value) for value in values)
        ]

    def _changed_at(self, node: str) -> Place | None:
        sources = [source for source, _, distance in self._found.graph.in_edges(node, data="distance") if distance]
        exits = self._loop.exit_conditions
        values = sorted(source for source in sources if source not in exits) or sorted(sources)
        return next((place for source in values if (place := self._found.nodes[source].place)), None)

    def _variable(self, node: str) -> str:
        """Return a name; that of a part of an object, which LLVM does not keep, after what is assigned to it."""
        name, place = self._found.names[node], self._changed_at(node)
        begin = self._loop.lines.first if self._loop.lines else None
        if ".sroa." not in node or place is None or place == begin:
            return name
        lines = self._sources.lines.get(place.file, ())
        match = _ASSIGNMENT.search(lines[place.line - 1]) if place.line <= len(lines) else None
        return f"{name}.{match[1]}" if match and match[1] != name else name

    def _worst(self, values: set[str]) -> Recurrence | None:
        """Return the cycle with the greatest delay by iteration among values that depend on each other."""
        paths = self._paths(values)
        cycle = worst_cycle({edge: delay for edge, (delay, _) in paths.items()})
        if not cycle:
            return None
        names = [name for edge in edges_of(cycle) for name in paths[edge][1]]
        nodes = [node for node in map(self._found.nodes.__getitem__, names) if node.text]
        slowest = max((node for node in nodes if node.place), key=lambda node: node.delay_ns, default=None)
        return Recurrence(
            variables=tuple(dict.fromkeys(map(self._variable, cycle))),
            place=slowest.place if slowest else self._found.nodes[cycle[0]].place,
            delay_ns=round(mean_delay(cycle, {edge: delay for edge, (delay, _) in paths.items()}), 6),
            iterations=len(cycle),
            chain=tuple(Link(node.text, node.place) for node in nodes),
        )

    def _paths(self, values: set[str]) -> dict[tuple[str, str], tuple[float, list[str]]]:
        """Return the longest path from each value that is carried to each that it is handed on to: delay and nodes."""
        edges = list(self._found.graph.subgraph(values).edges(data="distance"))
        steps = nx.DiGraph()
        steps.add_nodes_from(values)
        steps.add_edges_from((one, two) for one, two, distance in edges if not distance)
        order = list(nx.topological_sort(steps))
        handed = [(one, two) for one, two, distance in edges if distance]
        paths: dict[tuple[str, str], tuple[float, list[str]]] = {}
        for carrier in sorted({two for _, two in handed}):
            delays, before = self._longest(steps, order, carrier)
            for one, two in handed:
                if one in delays and delays[one] > paths.get((carrier, two), (-1.0, []))[0]:
                    paths[carrier, two] = delays[one], _chain(before, one)
        return paths

    def _longest(self, steps: nx.DiGraph, order: list[str], carrier: str) -> tuple[dict[str, float], dict[str, str]]:
        delays = {carrier: self._found.nodes[carrier].delay_ns}
        before: dict[str, str] = {}
        for node in order:
            sources = [each for each in steps.predecessors(node) if each in delays]
            if node != carrier and sources:
                before[node] = max(sources, key=delays.__getitem__)
                delays[node] = delays[before[node]] + self._found.nodes[node].delay_ns
        return delays, before


def _chain(before: Mapping[str, str], end: str) -> list[str]:
    chain = [end]
    while chain[-1] in before:
        chain.append(before[chain[-1]])
    return chain[::-1]


def worst_cycle(delays: Mapping[tuple[str, str], float]) -> list[str]:
    """Return the nodes of the cycle whose mean of delays is greatest, nothing where there is no cycle.

    A cycle whose delays less the mean so far add up to more than 0 is a worse one; when there is none, the last was the
    worst.

    >>> sorted(worst_cycle({("a", "b"): 5.0, ("b", "a"): 1.0, ("b", "b"): 2.0}))
    ['a', 'b']
    """
    worst: list[str] = []
    mean = -1.0
    for (one, two), delay in delays.items():
        if one == two and delay > mean:
            worst, mean = [one], delay
    while better := _positive_cycle({edge: delay - mean - _TOLERANCE for edge, delay in delays.items()}):
        worst, mean = better, mean_delay(better, delays)
    return worst


def edges_of(cycle: list[str]) -> list[tuple[str, str]]:
    """Return the edges of a cycle."""
    return list(zip(cycle, [*cycle[1:], *cycle[:1]], strict=True))


def mean_delay(cycle: list[str], delays: Mapping[tuple[str, str], float]) -> float:
    """Return the mean of the delays of a cycle's edges."""
    return sum(delays[edge] for edge in edges_of(cycle)) / len(cycle)


def _positive_cycle(gains: Mapping[tuple[str, str], float]) -> list[str]:
    """Return a cycle whose gains add up to more than 0, by the longest paths of Bellman and Ford."""
    if not gains:
        return []
    best = dict.fromkeys((node for edge in gains for node in edge), 0.0)
    before: dict[str, str] = {}
    node = ""
    for _ in range(len(best)):
        node = ""
        for (one, two), gain in gains.items():
            if best[one] + gain > best[two] + _TOLERANCE**2:
                best[two] = best[one] + gain
                before[two] = one
                node = two
        if not node:
            return []
    for _ in range(len(best)):  # into the cycle
        node = before[node]
    cycle = [node]
    while before[cycle[-1]] != node:
        cycle.append(before[cycle[-1]])
    return cycle[::-1]
