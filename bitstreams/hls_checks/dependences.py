"""What each value of a loop depends on, in the same iteration and in the one before.

Values are carried from one iteration to the next by the phis of the loop's header, by static variables, and by elements
of arrays. What decides whether there is another iteration belongs to all that is carried, since no iteration begins
before it is known.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import networkx as nx

from bitstreams.hls_checks.ir import Instruction, Place
from bitstreams.hls_checks.loops import Loop
from bitstreams.hls_checks.memories import Memories, Reference
from bitstreams.hls_checks.names import callee_name, variable_name
from bitstreams.hls_checks.operators import Operator, Operators


@dataclass(frozen=True)
class Node:
    """The operation that makes a value: its delay, its operators as text, its line, and whether it adds."""

    delay_ns: float = 0.0
    text: str = ""
    place: Place | None = None
    adds: bool = False


@dataclass
class Dependences:
    """The graph of a loop: an edge has the distance in iterations, 0 or 1.

    Attributes:
        graph: values are called as in the IR, with ``%``; what has no value has a number.
        nodes: what makes each.
        names: of what is carried, in the source.
        bits: of what is carried.
    """

    graph: nx.DiGraph = field(default_factory=nx.DiGraph)
    nodes: dict[str, Node] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    bits: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, node: Node) -> None:
        """Add a node."""
        self.nodes[name] = node
        self.graph.add_node(name)

    def carry(self, name: str, node: Node, variable: str, bits: int) -> None:
        """Add a node of what is carried."""
        self.add(name, node)
        self.names[name] = variable
        self.bits[name] = bits

    def join(self, sources: Iterable[str], target: str, distance: int = 0) -> None:
        """Add edges."""
        self.graph.add_edges_from(((source, target) for source in sources), distance=distance)


@dataclass(frozen=True)
class _Access:
    """A load or store: its node, where it stands in an iteration, the instruction, and what it reaches."""

    node: str
    position: int
    made: Instruction
    reference: Reference


def dependences_of(loop: Loop, operators: Operators, memories: Memories, usable_ns: float) -> Dependences:
    """Return what the values of a loop depend on; ``usable_ns`` is what operators may take of a period."""
    return _Builder(loop, operators, memories, usable_ns).build()


class _Builder:
    def __init__(self, loop: Loop, operators: Operators, memories: Memories, usable_ns: float) -> None:
        self._loop = loop
        self._operators = operators
        self._memories = memories
        self._usable_ns = usable_ns
        self._found = Dependences()
        self._inside = {f"%{each.name}" for each in loop.listed if each.name}
        self._chosen, self._merged = _phi_values(loop)

    def build(self) -> Dependences:
        accesses = []
        for position, each in enumerate(self._loop.listed):
            node = f"%{each.name}" if each.name else f"#{position}"
            if each.opcode == "phi" and each.block == self._loop.header:
                self._found.carry(node, Node(place=each.place), variable_name(node), each.bits)
                pairs = zip(each.operands, each.sources, strict=True)
                back = [value for value, source in pairs if source in self._loop.blocks and value in self._inside]
                self._found.join(back, node, distance=1)
                continue
            if each.opcode == "phi" and each.block in self._loop.inner:
                self._found.carry(node, self._node(each), variable_name(node), each.bits)
            else:
                self._found.add(node, self._node(each))
            if each.opcode in ("load", "store"):
                accesses.append(_Access(node, position, each, self._memories.of(each)))
            self._join_operands(node, each)
        self._carry_memories(accesses)
        for condition in self._loop.exit_conditions & self._inside:
            for each in self._loop.phis():
                self._found.join([condition], f"%{each.name}", distance=1)
        return self._found

    def _join_operands(self, node: str, made: Instruction) -> None:
        deciding = [value for value in self._deciding(made) if value in self._inside]
        if deciding and made.name in self._merged:  # enables that are combined before the one selection
            delay = self._operators.delay_ns(Operator("and", 1))
            self._found.add(f"{node}?", Node(delay, "and 1", made.place or self._place_of(made.block)))
            self._found.join(deciding, f"{node}?")
            deciding = [f"{node}?"]
        used = list(made.operands)
        if made.opcode in ("load", "store") and self._memories.of(made).is_fixed:
            used.pop()  # the address is no signal
        again = self._from_behind(made)
        self._found.join([value for value in used if value in self._inside and value not in again], node)
        self._found.join(again, node, distance=1)
        self._found.join(deciding, node)

    def _from_behind(self, made: Instruction) -> list[str]:
        """Return the operands of a phi that come from the back edge of a loop inside this one."""
        if made.opcode != "phi" or made.block not in self._loop.inner:
            return []
        pairs = zip(made.operands, made.sources, strict=True)
        return [value for value, source in pairs if value in self._inside and self._loop.dominates(made.block, source)]

    def _carry_memories(self, accesses: list[_Access]) -> None:
        """Join what is stored with what is loaded from there, in the same iteration or in later ones."""
        stores: dict[str, list[_Access]] = defaultdict(list)
        for access in accesses:
            if access.made.opcode == "store":
                stores[access.reference.base].append(access)
        for load in accesses:
            if load.made.opcode != "load" or self._memories.is_independent(load.reference):
                continue
            overlapping = [each for each in stores[load.reference.base] if load.reference.overlaps(each.reference)]
            before = [each for each in overlapping if each.position < load.position and self._is_same(load, each)]
            self._found.join([each.node for each in before], load.node)
            if overlapping and not any(self._loop.dominates(each.made.block, load.made.block) for each in before):
                register = f"{load.node}~"  # what earlier iterations stored
                name = self._memories.name(load.reference)
                self._found.carry(register, Node(place=load.made.place), name, load.made.bits)
                self._found.join([each.node for each in overlapping], register, distance=1)
                self._found.join([register], load.node)

    def _is_same(self, load: _Access, store: _Access) -> bool:
        """Say whether both are of one register, so that what is stored is there at once."""
        fixed = load.reference.is_fixed and store.reference.is_fixed
        return fixed and self._memories.is_register(load.reference, self._loop)

    def _place_of(self, block: str) -> Place | None:
        return next((each.place for each in self._loop.function.blocks[block] if each.place), None)

    def _node(self, made: Instruction) -> Node:
        operators = self._operators
        if made.opcode == "phi":
            place = made.place or self._place_of(made.block)
            inputs = 1 if made.name in self._merged else len(self._chosen[made.name])
            bits = max(map(operators.bits_of, made.operands, made.types), default=made.bits)
            return Node(operators.mux_ns(inputs, bits), f"select {bits}" if inputs > 1 else "", place)
        if made.opcode in ("load", "store"):
            return self._access(made)
        if made.opcode == "call" and not operators.is_known(made):
            return Node(self._usable_ns, f"call of {callee_name(made.detail)}", made.place)
        parts = operators.parts(made)
        # What takes periods, such as a division, is longer than any budget.
        delay = min(sum((operators.delay_ns(part) for part in parts), 0.0), 100 * self._usable_ns)
        adds = any(part.kind in ("add", "sub", "mul") for part in parts)
        return Node(delay, ", ".join(map(str, parts)), made.place, adds)

    def _access(self, made: Instruction) -> Node:
        operators, reference = self._operators, self._memories.of(made)
        if not self._memories.is_register(reference, self._loop):
            if made.opcode == "store":
                return Node(place=made.place)
            # The address is in one state and the word in the next: its delay in both, or all that is usable of one.
            delay = max(self._usable_ns, 2 * operators.delay_ns(Operator("load", made.bits)))
            return Node(delay, f"read of {self._memories.name(reference)}", made.place)
        if made.opcode == "load" and not reference.is_fixed:
            inputs = reference.elements
            return Node(operators.mux_ns(inputs, made.bits), f"choice of {inputs} x {made.bits}", made.place)
        if made.opcode == "load" or self._loop.is_always(made.block):
            return Node(place=made.place)
        return Node(operators.mux_ns(2, made.bits), f"select {made.bits}", made.place)

    def _deciding(self, made: Instruction) -> list[str]:
        """Return the conditions that choose the value of a phi inside the loop, or whether something is stored."""
        loop = self._loop
        blocks = loop.function.blocks
        if made.opcode == "store" and not loop.is_always(made.block):
            above = []
            block = made.block
            while block != loop.header and block in loop.immediate:
                block = loop.immediate[block]
                above.append(block)
            return _conditions(blocks[block][-1] for block in above)
        if made.opcode != "phi":
            return []
        region = {loop.immediate.get(made.block, loop.header)}
        waiting = list(loop.predecessors[made.block])
        while waiting:
            block = waiting.pop()
            if block not in region:
                region.add(block)
                waiting += loop.predecessors[block]
        return _conditions(blocks[block][-1] for block in region)


def _conditions(ends: Iterable[Instruction]) -> list[str]:
    return [end.operands[0] for end in ends if end.opcode in ("br", "switch") and end.operands]


def _phi_values(loop: Loop) -> tuple[dict[str, tuple[str, ...]], frozenset[str]]:
    """Return what each phi inside the loop chooses from, and which phis are a part of another one.

    Where conditions nest and each keeps the same value, one selection does, whose enables are combined before it: LLVM
    makes that of nested selections.
    """
    uses = Counter(operand for each in loop.listed for operand in each.operands)
    phis = [each for each in loop.listed if each.opcode == "phi" and each.block != loop.header]
    names = {f"%{phi.name}" for phi in phis}
    values: dict[str, tuple[str, ...]] = {}
    merged = set()
    for phi in phis:  # in the order of an iteration, so inner ones come first
        own = {value for value in phi.operands if value not in names or uses[value] > 1}
        chosen: dict[str, None] = {}
        for value in phi.operands:
            its = values.get(value[1:], ())
            if value not in own and own & set(its):
                chosen |= dict.fromkeys(its)
                merged.add(value[1:])
            else:
                chosen[value] = None
        values[phi.name] = tuple(chosen)
    return values, frozenset(merged)
