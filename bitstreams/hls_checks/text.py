"""The table "what an HLS tool will see", as Markdown."""

from collections import Counter, defaultdict

from bitstreams.hls_checks.checks import CHECKS, HlsView, NotChecked
from bitstreams.hls_checks.views import LoopView
from cost_models.hls_operators import source

HEADINGS = (
    "loop",
    "longest recurrence",
    "ns",
    "products",
    "memories: banks, reads + writes",
    "widest counter",
    "operators",
)


def table(view: HlsView | NotChecked) -> str:
    """Return the table of every pipelined loop and what was found, as Markdown."""
    if isinstance(view, NotChecked):
        return f"{view.reason}\n"
    origin, target = source(), view.target
    lines = [
        f"For {target.part} at {target.clock_mhz:g} MHz; a recurrence may take {target.usable_ns:.2f} ns.",
        f"Delays are HLS tools' own estimates for {view.device} in public reports ({origin.rows:,} rows of "
        f"{origin.repositories} repositories); no HLS tool has run.",
        "",
        f"| {' | '.join(HEADINGS)} |",
        f"|{'---|' * len(HEADINGS)}",
        *(f"| {' | '.join(row)} |" for row in loop_rows(view)),
        "",
    ]
    broken = defaultdict(list)
    for finding in view.findings:
        broken[finding.check].append(finding.message)
    for check, rule in CHECKS.items():
        lines.append(f"- {rule}: {'holds' if check not in broken else f'{len(broken[check])} found'}")
        lines += [f"    - {message}" for message in broken[check]]
    if view.unseen:
        lines.append(f"- not in what was compiled: the pipelined loops at {', '.join(map(str, view.unseen))}")
    return "\n".join(lines) + "\n"


def loop_rows(view: HlsView) -> list[tuple[str, ...]]:
    """Return a row for each pipelined loop, its cells in the order of :data:`HEADINGS`."""
    return [_cells(loop) for loop in view.loops]


def _cells(loop: LoopView) -> tuple[str, ...]:
    longest = loop.recurrences[0] if loop.recurrences else None
    chain = (
        ""
        if longest is None
        else f"{', '.join(longest.variables)}: {' -> '.join(each.operator for each in longest.chain)}"
    )
    counter = next((each for each in loop.carried if each.counts), None)
    return (
        f"{loop.name} ({loop.place})",
        chain,
        f"{loop.longest_ns:.2f}",
        str(len(loop.products)),
        "; ".join(_memories(loop)),
        f"{counter.variable} {counter.bits}" if counter else "",
        f"{', '.join(f'{count} {kind}' for kind, count in _kinds(loop))} (about {loop.lut:,} LUT)",
    )


def _memories(loop: LoopView) -> list[str]:
    banks: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for bank in loop.memories:
        banks[bank.memory].append((len(bank.reads), len(bank.writes)))
    return [
        f"{name} {len(its)}, {max(reads for reads, _ in its)} + {max(writes for _, writes in its)}"
        for name, its in banks.items()
    ]


def _kinds(loop: LoopView) -> list[tuple[str, int]]:
    counts: Counter[str] = Counter()
    for operator, count in loop.operators:
        counts[operator.kind] += count
    return counts.most_common()
