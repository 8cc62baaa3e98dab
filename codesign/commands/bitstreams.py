"""``codesign bitstreams``: what is in the store, whether it is sound, and what comes in."""

from pathlib import Path

from bitstreams.building.comparison import Figure
from bitstreams.building.reports import Timing, Utilisation
from bitstreams.store.bitstream import Entry
from bitstreams.store.results import import_files, import_results
from bitstreams.store.store import Store, default_folder
from codesign.progress import Progress
from hw_templates.board import board_names, load_board
from hw_templates.foundation.errors import InvalidValueError, VerificationError

SHOWN_DIGITS = 12


def open_store(folder: Path | None) -> Store:
    """The store in that folder, or the user's."""
    return Store(folder or default_folder())


def describe(entry: Entry) -> str:
    """A bitstream in one line."""
    made = entry.bitstream
    clock = "unknown clock" if made.clock_mhz is None else f"{made.clock_mhz:g} MHz"
    slack = "" if made.timing.wns_ns is None else f", slack {made.timing.wns_ns:g} ns"
    tools = ", ".join(f"{name} {version}" for name, version in made.tools.items())
    return f"{entry.digest[:SHOWN_DIGITS]}  {made.board}: {made.design}, {clock}{slack}; {tools or 'unknown tools'}"


def import_made(made: Path, board: str | None, hwh: Path | None, store: Path | None, progress: Progress) -> None:
    """Put a build's results, or a bitstream with its hand-off, into the store.

    Raises:
        InvalidValueError: a .bit without its board, or options that do not belong to a results.tar.
        StorageError: see :mod:`bitstreams.store.results`.
    """
    if made.suffix == ".bit":
        if board is None:
            raise InvalidValueError("board", board, f"one of {', '.join(board_names())} for a .bit")
        entry, new = import_files(open_store(store), made, hwh or made.with_suffix(".hwh"), load_board(board))
    else:
        for name, value in (("board", board), ("hwh", hwh)):
            if value is not None:
                raise InvalidValueError(name, str(value), "left out for a results.tar, which holds it")
        entry, new = import_results(open_store(store), made)
    progress.say(f"{'imported' if new else 'already there'}: {describe(entry)}")


def list_all(store: Path | None, progress: Progress) -> None:
    """One line a bitstream, oldest first."""
    opened = open_store(store)
    entries, unreadable = opened.entries(), opened.unreadable()
    if not entries and not unreadable:
        progress.say(f"{opened.folder}: no bitstreams yet; `codesign build` and `codesign import` put some there")
    for entry in entries:
        progress.say(f"{describe(entry)}; {entry.imported[:10]}")
    for name, problem in unreadable.items():
        progress.say(f"{name[:SHOWN_DIGITS]}  damaged: {problem}")


def show(digest: str, store: Path | None, progress: Progress) -> None:
    """Everything about one bitstream.

    Raises:
        StorageError: no bitstream has that digest, or several do.
    """
    entry = open_store(store).find(digest)
    made = entry.bitstream
    accelerator = made.accelerator
    timing, used, unknown = made.timing, made.utilisation, "made elsewhere, so that nothing more is known"
    lines = {
        "digest": entry.digest,
        "board": f"{made.board}, {made.part}",
        "design": f"{made.design}, {_number(made.clock_mhz)} MHz",
        "hardware": made.hardware_sha256 or unknown,
        "engine": accelerator and ", ".join(f"{name} {value}" for name, value in accelerator.as_dict().items()),
        "slack": timing != Timing() and f"setup {_number(timing.wns_ns)} ns, hold {_number(timing.whs_ns)} ns",
        "used": used != Utilisation() and ", ".join(f"{name} {_number(value)}" for name, value in vars(used).items()),
        "tools": ", ".join(f"{name} {version}" for name, version in made.tools.items()),
        "imported": entry.imported,
        "folder": str(entry.folder),
    }
    for name, text in lines.items():
        if text:
            progress.say(f"{name:<9} {text}")
    for line in figure_lines(made.figures):
        progress.say(line)
    for path, sha256 in entry.files.items():
        if "/" not in path:
            progress.say(f"{sha256[:SHOWN_DIGITS]}  {path}")


def figure_lines(figures: tuple[Figure, ...]) -> list[str]:
    """A table of predictions and outcomes; empty without figures."""
    if not figures:
        return []
    lines = [f"{'':<16}{'predicted':>12}{'synthesis':>12}{'built':>12}{'deviation':>12}"]
    for figure in figures:
        deviation = "" if figure.deviation is None else f"{figure.deviation:+.1%}"
        values = (figure.predicted, figure.synthesis, figure.implementation)
        lines.append(f"{figure.name:<16}" + "".join(f"{_number(value):>12}" for value in values) + f"{deviation:>12}")
    return lines


def verify(digests: list[str], store: Path | None, progress: Progress) -> None:
    """Check the named bitstreams, or all.

    Raises:
        StorageError: no bitstream has such a digest.
        VerificationError: one is damaged; everything is checked first.
    """
    opened = open_store(store)
    entries = [opened.find(digest) for digest in digests] if digests else list(opened.entries())
    damaged = {} if digests else {name: [problem] for name, problem in opened.unreadable().items()}
    checked = len(entries) + len(damaged)
    for entry in entries:
        problems = opened.verify(entry)
        if problems:
            damaged[entry.digest] = problems
        else:
            progress.say(f"{describe(entry)}; {len(entry.files)} files are sound")
    for name, problems in damaged.items():
        for problem in problems:
            progress.say(f"{name[:SHOWN_DIGITS]}  {problem}")
    if damaged:
        raise VerificationError(
            f"{opened.folder}: {len(damaged)} of {checked} bitstreams are damaged; import or build them again"
        )


def collect_garbage(older_than_days: float | None, store: Path | None, progress: Progress) -> None:
    """Remove what is of no use; says what.

    Raises:
        StorageError: something cannot be removed.
    """
    removed = open_store(store).collect_garbage(older_than_days)
    for line in removed:
        progress.say(f"removed {line}")
    if not removed:
        progress.say("nothing to remove")


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:,.3f}".rstrip("0").rstrip(".")
