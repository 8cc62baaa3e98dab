"""Text about bitstreams and the store that keeps them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bitstreams.building.reports import Timing, Utilisation
from bitstreams.store.bitstream import Entry, Quantity
from codesign.commands.bitstreams import Built, Imported, StoreContent
from hw_templates.board import board_name

_DIGITS = 12


def bundle_lines(bundle: Path) -> Iterator[str]:
    """Yield what to do with a bundle."""
    yield f"build      {bundle}: unpack it where the tools are, run `sh build.sh` in its folder, and"
    yield "           `codesign import results.tar` puts what comes out into a store"


def build_lines(built: Built) -> Iterator[str]:
    """Yield the steps of a build and the comparison of its outcome with the prediction."""
    for step in (*built.steps, _in_one_line(built.entry)):
        yield f"build      {step}"
    for line in (*_quantity_table(built.entry.bitstream.figures), built.entry.folder):
        yield f"           {line}"


def import_lines(imported: Imported) -> Iterator[str]:
    """Yield what was imported."""
    yield f"{'imported' if imported.new else 'already there'}: {_in_one_line(imported.entry)}"


def content_lines(content: StoreContent) -> Iterator[str]:
    """Yield one line a bitstream, oldest first."""
    if not content.entries and not content.damaged:
        yield f"{content.folder}: no bitstreams yet; `codesign build` and `codesign import` put some there"
    for entry in content.entries:
        yield f"{_in_one_line(entry)}; {entry.bitstream.imported[:10]}"
    for digest, (problem,) in content.damaged.items():
        yield f"{digest[:_DIGITS]}  damaged: {problem}"


def verify_lines(content: StoreContent) -> Iterator[str]:
    """Yield one line for each sound bitstream and for each problem of the others."""
    for entry in content.entries:
        yield f"{_in_one_line(entry)}; {len(entry.bitstream.files)} files are sound"
    for digest, problems in content.damaged.items():
        for problem in problems:
            yield f"{digest[:_DIGITS]}  {problem}"


def garbage_lines(removed: Sequence[str]) -> Iterator[str]:
    """Yield what was removed."""
    for line in removed:
        yield f"removed {line}"
    if not removed:
        yield "nothing to remove"


def entry_lines(entry: Entry) -> Iterator[str]:
    """Yield everything about one bitstream."""
    made = entry.bitstream
    timing, used, unknown = made.timing, made.utilisation, "made elsewhere, so that nothing more is known"
    lines = {
        "digest": entry.digest,
        "board": f"{board_name(made.board)}, {made.part}",
        "design": f"{made.design}, {_number(made.clock_mhz)} MHz",
        "hardware": made.hardware_sha256 or unknown,
        "engine": made.accelerator and f"{made.implementation}, {_listed(vars(made.accelerator))}",
        "slack": timing != Timing() and f"setup {_number(timing.wns_ns)} ns, hold {_number(timing.whs_ns)} ns",
        "used": used != Utilisation() and _listed({name: _number(value) for name, value in vars(used).items()}),
        "tools": _listed(made.tools),
        "imported": made.imported,
        "folder": str(entry.folder),
    }
    yield from (f"{name:<9} {text}" for name, text in lines.items() if text)
    yield from _quantity_table(made.figures)
    yield from (f"{sha256[:_DIGITS]}  {path}" for path, sha256 in made.files.items() if "/" not in path)


def _in_one_line(entry: Entry) -> str:
    made = entry.bitstream
    clock = "unknown clock" if made.clock_mhz is None else f"{made.clock_mhz:g} MHz"
    slack = "" if made.timing.wns_ns is None else f", slack {made.timing.wns_ns:g} ns"
    tools = _listed(made.tools) or "unknown tools"
    return f"{entry.digest[:_DIGITS]}  {board_name(made.board)}: {made.design}, {clock}{slack}; {tools}"


def _listed(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _quantity_table(quantities: tuple[Quantity, ...]) -> Iterator[str]:
    """Yield a table of predictions and outcomes; nothing without any."""
    if quantities:
        yield f"{'':<16}{'predicted':>12}{'synthesis':>12}{'built':>12}{'deviation':>12}"
    for one in quantities:
        deviation = "" if one.deviation is None else f"{one.deviation:+.1%}"
        values = (_number(value) for value in (one.predicted, one.synthesis, one.implementation))
        yield f"{one.name:<16}" + "".join(f"{value:>12}" for value in (*values, deviation))


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:,.3f}".rstrip("0").rstrip(".")
