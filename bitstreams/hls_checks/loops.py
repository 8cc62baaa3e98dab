"""The loops of a function's blocks: natural loops, by dominators, and which of them HLS pipelines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import networkx as nx

from bitstreams.hls_checks.choices import innermost, loops_of
from bitstreams.hls_checks.ir import Function, Instruction, LoopLines
from bitstreams.hls_checks.pragmas import Pragma, Sources


@dataclass(frozen=True, kw_only=True, eq=False)
class Loop:
    """A natural loop.

    Attributes:
        function: which it is of.
        header: the block that every iteration begins with.
        blocks: all of its blocks.
        latches: the blocks that a next iteration follows.
        lines: where it stands in the source.
        label: of the loop in the source; empty where it has none.
        inner: headers of loops inside it.
        immediate: the block next above each in the dominator tree of the function.
    """

    function: Function
    header: str
    blocks: frozenset[str]
    latches: frozenset[str]
    lines: LoopLines | None
    label: str = ""
    inner: frozenset[str] = frozenset()
    immediate: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name for messages: function and label."""
        return f"{self.function.name}:{self.label}" if self.label else self.function.name

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Its blocks, each behind those that may come before it in an iteration; blocks of inner loops in any order."""
        blocks = self.function.blocks
        graph = nx.DiGraph()
        graph.add_nodes_from(name for name in blocks if name in self.blocks)
        graph.add_edges_from((name, each) for name in graph for each in successors(blocks[name]) if each in self.blocks)
        graph.remove_edges_from([(latch, header) for latch, header in graph.edges if self.dominates(header, latch)])
        return tuple(nx.topological_sort(graph))

    @cached_property
    def predecessors(self) -> dict[str, list[str]]:
        """The blocks before each of its blocks, within an iteration of it and of the loops inside it."""
        blocks = self.function.blocks
        before: dict[str, list[str]] = {name: [] for name in self.order}
        for name in self.order:
            for each in successors(blocks[name]):
                if each in before and not self.dominates(each, name):
                    before[each].append(name)
        return before

    @cached_property
    def listed(self) -> tuple[Instruction, ...]:
        """Its instructions, block by block in their order."""
        return tuple(each for name in self.order for each in self.function.blocks[name])

    def dominates(self, above: str, block: str) -> bool:
        """Say whether all that reach a block have passed another one."""
        while block != above and block in self.immediate:
            block = self.immediate[block]
        return block == above

    def is_always(self, block: str) -> bool:
        """Say whether every iteration passes a block."""
        return all(self.dominates(block, latch) for latch in self.latches)

    def phis(self) -> list[Instruction]:
        """Return the values that it carries from one iteration to the next."""
        return [each for each in self.function.blocks[self.header] if each.opcode == "phi"]

    @cached_property
    def exit_conditions(self) -> frozenset[str]:
        """The values that decide whether there is another iteration."""
        return frozenset(
            each.operands[0]
            for each in self.listed
            if each.opcode in ("br", "switch") and each.operands and not set(each.sources) <= self.blocks
        )


def successors(block: Sequence[Instruction]) -> tuple[str, ...]:
    """Return the blocks that may follow one."""
    return block[-1].sources if block and block[-1].opcode in ("br", "switch") else ()


def loops_in(function: Function, sources: Sources) -> list[Loop]:
    """Return the natural loops of a function."""
    if not function.blocks:
        return []
    entry = next(iter(function.blocks))
    graph = nx.DiGraph()
    graph.add_nodes_from(function.blocks)
    graph.add_edges_from((name, each) for name, block in function.blocks.items() for each in successors(block))
    graph.remove_nodes_from(set(function.blocks) - {entry} - nx.descendants(graph, entry))
    immediate = {name: each for name, each in nx.immediate_dominators(graph, entry).items() if each not in (None, name)}

    def dominates(above: str, block: str) -> bool:
        while block != above and block in immediate:
            block = immediate[block]
        return block == above

    latches: dict[str, set[str]] = {}
    for source, target in graph.edges:
        if dominates(target, source):
            latches.setdefault(target, set()).add(source)
    bodies = {header: _body(graph, header, ends) for header, ends in latches.items()}
    found = []
    for header, blocks in bodies.items():
        lines = next((function.loops[end] for end in sorted(latches[header]) if end in function.loops), None)
        found.append(
            Loop(
                function=function,
                header=header,
                blocks=frozenset(blocks),
                latches=frozenset(latches[header]),
                lines=lines,
                label=sources.label(lines.first) if lines else "",
                inner=frozenset(other for other, its in bodies.items() if other != header and its < blocks),
                immediate=immediate,
            )
        )
    return found


def _body(graph: nx.DiGraph, header: str, latches: set[str]) -> set[str]:
    body, waiting = {header}, list(latches)
    while waiting:
        block = waiting.pop()
        if block not in body:
            body.add(block)
            waiting += graph.predecessors(block)
    return body


def pipelined_loops(function: Function, sources: Sources) -> list[tuple[Pragma, Loop]]:
    """Return the loops of a function that a pragma pipelines: each the innermost one around its line."""
    found = []
    loops = loops_in(function, sources)
    for pragma in sources.pipelines():
        lines = innermost(loops_of(function), pragma.place)
        found += [(pragma, loop) for loop in loops if lines and loop.lines == lines]
    return found
