"""Checks of what an HLS tool will see of C++ sources, before any such tool runs.

Each holds a rule without which a loop does not reach one iteration a cycle at its clock: no division in a function with
a pipelined loop; the products that a loop must have and no others; recurrences of at most 73 % of a period; one read
and one write a memory and iteration; counters and addresses no wider than they must be; and loops that are flat.
"""

import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bitstreams.hls_checks.compiler import NotCheckedError, compile_sources, find_compiler
from bitstreams.hls_checks.ir import Place
from bitstreams.hls_checks.memories import BankAccess
from bitstreams.hls_checks.recurrences import Carried, Link, Recurrence
from bitstreams.hls_checks.views import PERIOD_SHARE, LoopView, Target, unseen_pipelines, view_loops
from cost_models.hls_operators import delays_of

CHECKS = {
    "division": "no division or remainder",
    "products": "as many multiplications by a variable as stated",
    "recurrence": f"recurrences of at most {PERIOD_SHARE:.0%} of a period",
    "ports": "one read and one write of a memory in an iteration",
    "widths": "counters no wider than stated",
    "flat": "one flat loop",
}
_TEMPLATE = re.compile(r"<.*>$")


@dataclass(frozen=True, kw_only=True)
class LoopLimits:
    """The limits of a pipelined loop.

    Attributes:
        products: multiplications by a variable in an iteration, exactly.
        counter_bits: of a value that adds to itself.
        wide: other widths, by the name of a variable: sums and counts that are reported.
    """

    products: int = 0
    counter_bits: int = 26
    wide: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Limits:
    """The limits of loops by name, else by the name of their function, else those of all others."""

    others: LoopLimits
    loops: Mapping[str, LoopLimits] = field(default_factory=dict)

    def of(self, view: LoopView) -> LoopLimits:
        """Return the limits of a loop; those of a template hold for all of its instances."""
        function = _TEMPLATE.sub("", view.function)
        label = view.name.removeprefix(view.function)
        for name in (view.name, f"{function}{label}", view.function, function):
            if name in self.loops:
                return self.loops[name]
        return self.others


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A rule that a loop breaks.

    Attributes:
        check: one of :data:`CHECKS`.
        loop: its function and label.
        place: the line of the operator at fault.
        message: one line that names loop, line and operator.
    """

    check: str
    loop: str
    place: Place | None
    message: str

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, kw_only=True)
class HlsView:
    """The pipelined loops of C++ sources as an HLS tool will see them, and the rules that they break.

    Attributes:
        target: part and clock.
        device: whose delays were taken: the part's, or the nearest in the table.
        loops: every pipelined loop.
        findings: nothing where all rules hold.
        unseen: pragmas for a pipelined loop that is not in the code compiled: of a template that is not used, or left
            out by these parameters. One that no parameters bring into view stands in no loop.
    """

    target: Target
    device: str
    loops: tuple[LoopView, ...]
    findings: tuple[Finding, ...]
    unseen: tuple[Place, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether there were loops, and all rules hold."""
        return bool(self.loops) and not self.findings


@dataclass(frozen=True)
class NotChecked:
    """The checks could not be made, for a reason that begins with "not checked"; it is no pass."""

    reason: str
    passed: bool = field(default=False, init=False)


def check_sources(
    sources: Sequence[Path], include: Sequence[Path], target: Target, limits: Limits
) -> HlsView | NotChecked:
    """Compile C++ files and check each pipelined loop in them.

    Args:
        sources: the files, which are linked.
        include: folders of their headers.
        target: part and clock.
        limits: what the loops may hold.

    Raises:
        InvalidValueError: nothing is known of the part's series.
    """
    delays = delays_of(target.part)
    try:
        compiler = find_compiler()
        with tempfile.TemporaryDirectory(prefix="hls_checks_") as folder:
            compiled = compile_sources(compiler, sources, include, Path(folder))
    except NotCheckedError as error:
        return NotChecked(str(error))
    views = view_loops(compiled, target)
    findings = [finding for view in views for finding in _findings(view, limits.of(view), target)]
    return HlsView(
        target=target,
        device=delays.device,
        loops=tuple(dict.fromkeys(views)),
        findings=tuple(dict.fromkeys(findings)),
        unseen=tuple(unseen_pipelines(compiled)),
    )


def _findings(view: LoopView, limits: LoopLimits, target: Target) -> Iterator[Finding]:
    for check, place, text in _broken(view, limits, target):
        message = f"{view.name} ({view.place}): {text}"
        yield Finding(check=check, loop=view.name, place=place, message=message)


def _broken(view: LoopView, limits: LoopLimits, target: Target) -> Iterator[tuple[str, Place | None, str]]:
    """Yield the check, the place and what is wrong of each rule that a loop breaks."""
    for division in view.divisions:
        yield "division", division.place, f"division {division} in a function with a pipelined loop"
    if len(view.products) != limits.products:
        products = Counter(view.products)
        shown = ", ".join(f"{count} x {each}" for each, count in products.most_common(6)) or "none"
        text = f"{len(view.products)} multiplications by a variable in place of {limits.products}: {shown}"
        yield "products", _rarest(products), text
    for recurrence in view.recurrences:
        if round(recurrence.delay_ns, 2) > round(target.usable_ns, 2):  # reports state delays in hundredths
            yield "recurrence", recurrence.place, _too_long(recurrence, target)
    for bank in view.memories:
        yield from (("ports", place, text) for place, text in _ports(bank))
    for name, count in view.calls:
        if count > 1:
            yield "ports", view.place, f"{count} calls of {name} in an iteration, a port takes one"
    for each in view.carried:
        most = _most_bits(each, limits)
        if each.counts and each.bits > most:
            text = f"{each.variable} ({each.place}) counts in {each.bits} bits, more than {most}: add {each.bits}"
            yield "widths", each.place, text
    for text in view.nested:
        yield "flat", view.place, f"holds {text}"


def _too_long(recurrence: Recurrence, target: Target) -> str:
    names, chain = ", ".join(recurrence.variables), " -> ".join(map(str, recurrence.chain))
    by = f" by iteration, over {recurrence.iterations}" if recurrence.iterations > 1 else ""
    times = f", {recurrence.times} times" if recurrence.times > 1 else ""
    share = f"{PERIOD_SHARE:.0%} of a period at {target.clock_mhz:g} MHz"
    limit = f"more than {target.usable_ns:.2f} ns ({share})"
    return f"the recurrence of {names} takes {recurrence.delay_ns:.2f} ns{by}{times}, {limit}: {chain}"


def _most_bits(carried: Carried, limits: LoopLimits) -> int:
    """Return the limit of a variable, by its name or by that of the object that it is a field of."""
    of = carried.variable.partition(".")[0]
    # A second variable of a name has a number in LLVM.
    names = (carried.variable, of, of.rstrip("0123456789"))
    return next((limits.wide[name] for name in names if name in limits.wide), limits.counter_bits)


def _ports(bank: BankAccess) -> Iterator[tuple[Place | None, str]]:
    for places, kind, verb in ((bank.reads, "load", "reads"), (bank.writes, "store", "writes")):
        if len(places) > 1:
            lines = ", ".join(str(place) for place in dict.fromkeys(places))
            where = f"{bank.memory}{bank.bank}"
            text = f"{len(places)} {verb} of {where} in an iteration, a memory takes one: {kind} ({lines})"
            yield places[-1], text


def _rarest(products: Counter[Link]) -> Place | None:
    return min(products, key=products.__getitem__).place if products else None
