"""What an HLS tool will see of each pipelined loop: operators, products, recurrences, memory accesses and widths."""

from collections import Counter
from dataclasses import dataclass

from bitstreams.hls_checks.compiler import Compiled
from bitstreams.hls_checks.dependences import dependences_of
from bitstreams.hls_checks.ir import Function, Place
from bitstreams.hls_checks.loops import Loop, pipelined_loops
from bitstreams.hls_checks.memories import BankAccess, Memories
from bitstreams.hls_checks.names import callee_name
from bitstreams.hls_checks.operators import DIVISIONS, Operator, Operators
from bitstreams.hls_checks.recurrences import Carried, Link, Recurrence, Recurrences
from cost_models.hls_operators import Delays, costs_of, delays_of

PERIOD_SHARE = 0.73
"""Share of a period that operators may take: 27 % is the uncertainty that Vitis HLS leaves to placing and routing."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """The part and the clock that hardware is made for.

    Attributes:
        part: device, package and speed grade.
        clock_mhz: of the engine.
    """

    part: str
    clock_mhz: float

    @property
    def period_ns(self) -> float:
        """One period of the clock."""
        return 1000 / self.clock_mhz

    @property
    def usable_ns(self) -> float:
        """The time that operators may take in a period."""
        return PERIOD_SHARE * self.period_ns


@dataclass(frozen=True, kw_only=True)
class LoopView:
    """A pipelined loop as an HLS tool will see it.

    Attributes:
        name: function and label.
        function: which it is in, with the values of template parameters.
        place: where it begins.
        operators: how many there are of each in an iteration.
        products: multiplications by a variable, each with its line.
        divisions: divisions and remainders in its function, each with its line.
        recurrences: the longest one first.
        memories: accesses of an iteration to each bank.
        carried: integers that iterations hand on, the widest first.
        calls: of ports, by name: how many an iteration has.
        nested: calls of functions of the code that are no part of the loop, and loops inside it.
        lut: what its operators take, by the HLS tool's reports on others; no multipliers, no multiplexers of banks.
    """

    name: str
    function: str
    place: Place
    operators: tuple[tuple[Operator, int], ...]
    products: tuple[Link, ...]
    divisions: tuple[Link, ...]
    recurrences: tuple[Recurrence, ...]
    memories: tuple[BankAccess, ...]
    carried: tuple[Carried, ...]
    calls: tuple[tuple[str, int], ...]
    nested: tuple[str, ...]
    lut: int

    @property
    def longest_ns(self) -> float:
        """Delay of the longest recurrence."""
        return self.recurrences[0].delay_ns if self.recurrences else 0.0


def view_loops(compiled: Compiled, target: Target) -> list[LoopView]:
    """Return what an HLS tool will see of each pipelined loop.

    Raises:
        InvalidValueError: nothing is known of the part's series.
    """
    delays = delays_of(target.part)
    views = []
    for function in compiled.module.functions.values():
        loops = pipelined_loops(function, compiled.sources)
        if loops:
            operators = Operators(function, delays)
            memories = Memories(function, compiled.module.structs, compiled.sources)
            views += [_view(compiled, loop, operators, memories, target, delays) for _, loop in loops]
    return views


def unseen_pipelines(compiled: Compiled) -> list[Place]:
    """Return the pragmas for a pipelined loop that is not in the IR: of a template that nothing uses, or in no loop."""
    asked = {pragma.place for pragma in compiled.sources.pipelines()}
    found = {
        pragma.place
        for function in compiled.module.functions.values()
        for pragma, _ in pipelined_loops(function, compiled.sources)
    }
    return sorted(asked - found)


def _view(
    compiled: Compiled, loop: Loop, operators: Operators, memories: Memories, target: Target, delays: Delays
) -> LoopView:
    dependences = dependences_of(loop, operators, memories, target.usable_ns)
    recurrences = Recurrences(loop, dependences, compiled.sources)
    counts = Counter(part for each in loop.listed for part in operators.parts(each))
    calls = Counter(each.detail for each in loop.listed if each.opcode == "call" and not operators.is_known(each))
    nested = [f"a call of {callee_name(name)}" for name in calls if name in compiled.module.functions]
    nested += ["a loop that is not unrolled"] * len(loop.inner)
    lut = costs_of(delays.device).lut
    lines = loop.lines
    if lines is None:  # a loop that a pragma is in has lines
        raise AssertionError(loop.name)
    return LoopView(
        name=loop.name,
        function=loop.function.name,
        place=lines.first,
        operators=tuple(sorted(counts.items())),
        products=_products(loop, operators),
        divisions=_divisions(loop.function),
        recurrences=tuple(recurrences.all()),
        memories=tuple(memories.banks(loop)),
        carried=tuple(recurrences.carried()),
        calls=tuple((callee_name(name), count) for name, count in calls.items()),
        nested=tuple(nested),
        lut=round(
            sum(
                count * lut[kind].at(operator.bits)
                for operator, count in counts.items()
                if (kind := operators.kind(operator)) in lut
            )
        ),
    )


def _products(loop: Loop, operators: Operators) -> tuple[Link, ...]:
    found = []
    for made in loop.listed:
        if operators.is_product(made):
            bits = map(operators.bits_of, made.operands, made.types)
            found.append(Link(f"mul {'x'.join(map(str, bits))}", made.place))
    return tuple(found)


def _divisions(function: Function) -> tuple[Link, ...]:
    return tuple(
        Link(f"{each.opcode} {each.bits}", each.place) for each in function.instructions() if each.opcode in DIVISIONS
    )
