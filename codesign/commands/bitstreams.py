"""``codesign build``, ``import``, ``bitstreams`` and ``twin``: bitstreams that are built, brought or kept; twins."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from bitstreams.board.timing import Timing
from bitstreams.building.script import TimingError, build_bitstream, bundle
from bitstreams.store.bitstream import Bitstream, Entry
from bitstreams.store.results import import_files, import_results
from bitstreams.store.store import Store
from bitstreams.twin.board import TwinBoard
from bitstreams.twin.server import TwinServer
from codesign.progress import Progress
from codesign.run.choices import BuildTool
from codesign.run.folder import Run, claiming
from codesign.run.implementation import read_project
from cost_models.coefficients import load_coefficients
from hw_templates.board import board_names, load_board
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.atomic_file import write_bytes_atomically
from hw_templates.foundation.errors import InvalidValueError, StorageError, UnknownNameError, VerificationError
from hw_templates.foundation.json_records import write_record
from hw_templates.project.record import ProjectRecord


@dataclass(frozen=True, kw_only=True)
class BuildRecord(Bitstream):
    """``build.json``: the bitstream that was built of the run's project, and the folder of the store that has it."""

    store: str


@dataclass(frozen=True)
class Built:
    """A bitstream that was built.

    Attributes:
        steps: tool and version of each step of the build.
        entry: the bitstream in the store.
    """

    steps: tuple[str, ...]
    entry: Entry


def check_build_options(tool: str, bundled: bool, cosim: bool, clock_mhz: int | None) -> None:
    """Refuse options of a build that do not go together.

    Raises:
        InvalidValueError: an option is not for this tool, or not for a bundle.
    """
    for name, wanted in (("bundle", bundled), ("cosim", cosim), ("clock_mhz", clock_mhz)):
        if wanted and tool != BuildTool.VITIS:
            raise InvalidValueError(name, wanted, f"left out with --tool {tool}")
    if bundled and cosim:
        raise InvalidValueError("cosim", cosim, "given to build.sh where the bundle is built")


@claiming
def build_bundle(
    run: Run, progress: Progress, *, implementation: str | None = None, clock_mhz: int | None = None
) -> Path:
    """Write the run's project as a tar that builds on another machine; return the tar's path.

    Args:
        run: run with an emitted project.
        progress: shows that the project is emitted again.
        implementation: name of the engine's, which must be the project's; None for that one.
        clock_mhz: clock of the board to emit the project for; None for the one that it has.

    Raises:
        InvalidValueError: the project is of another implementation, or the board has no such clock.
        StorageError: nothing is emitted yet, or the project was changed.
    """
    _project_at(run, progress, implementation, clock_mhz)
    write_bytes_atomically(run.bundle, bundle(run.project))
    return run.bundle


@claiming
def build(
    run: Run,
    cosim: bool,
    store: Path | None,
    progress: Progress,
    *,
    implementation: str | None = None,
    clock_mhz: int | None = None,
) -> Built:
    """Build the run's project with the vendor's tools, and put the bitstream into a store.

    Args:
        run: run with an emitted project.
        cosim: whether to simulate the RTL on one image as well.
        store: folder of bitstreams; None for the user's.
        progress: shows the steps.
        implementation: name of the engine's, which must be the project's; None for that one.
        clock_mhz: clock of the board to emit the project for first; None for the one that it has.

    Raises:
        InvalidValueError: the project is of another implementation, which cannot be co-simulated, or the board has no
            such clock.
        StorageError: nothing is emitted yet, the project was changed, its results are of another one, or the store
            cannot be written.
        ToolError: a tool is missing, too old or failed.
        TimingError: the design is too slow for its clock; says the command that builds it for the next slower one.
    """
    record = _project_at(run, progress, implementation, clock_mhz)
    if cosim and record.implementation != Implementation.HLS:
        raise InvalidValueError(
            "cosim", cosim, f"left out, as {run.project} is of Verilog; `codesign csim` simulates it"
        )
    steps: list[str] = []
    with progress.stage("build") as update:
        update(0.0, "looking for the tools")

        def on_step(step: str) -> None:
            # Two steps; how long each takes is not known beforehand.
            update(0.0 if step.startswith("hls") else 0.5, step)
            steps.append(step)

        try:
            archive = build_bitstream(run.project, cosim, on_step)
        except TimingError as error:
            raise TimingError(f"{error}; {_slower(run, record, cosim, store)}") from error
        update(1.0, "importing")
        entry, _ = import_results(Store(store), archive)
        built = entry.bitstream
        if built.hardware_sha256 != record.hardware_sha256:
            raise StorageError(
                f"{archive}: is of engine {built.hardware_sha256:.12} ({built.implementation}), the project of "
                f"{record.hardware_sha256:.12} ({record.implementation}); delete it and build again"
            )
    made = {name: value for name, value in vars(entry.bitstream).items() if name not in ("imported", "files")}
    write_record(run.build, BuildRecord(**made, store=str(entry.folder.parent)))
    return Built(tuple(steps), entry)


def _project_at(run: Run, progress: Progress, implementation: str | None, clock_mhz: int | None) -> ProjectRecord:
    """Return the record of the run's project, emitted again where it is for another clock."""
    record = read_project(run.project, implementation)
    if clock_mhz in (None, record.accelerator.clock_mhz):
        return record
    # Emitting takes torch, which building does without.
    from codesign.commands.pairs import emit_at_clock

    emit_at_clock(run, clock_mhz, progress)
    return read_project(run.project)


def _slower(run: Run, record: ProjectRecord, cosim: bool, store: Path | None) -> str:
    """Return what to do about a design that is too slow for its clock."""
    board, clock_mhz = load_board(record.board), record.accelerator.clock_mhz
    slower_mhz = board.slower_clock(clock_mhz)
    if slower_mhz is None:
        return f"{board.name} has no clock below {clock_mhz} MHz, so emit a pair with a smaller engine"
    command = ["codesign", "build", str(run.folder), "--clock-mhz", str(slower_mhz)]
    command += ["--cosim"] * cosim + ([] if store is None else ["--store", str(store)])
    return f"run `{shlex.join(command)}` for the next slower clock of {board.name}"


@dataclass(frozen=True)
class Imported:
    """An imported bitstream, and whether the store did not have it before."""

    entry: Entry
    new: bool


@dataclass(frozen=True)
class StoreContent:
    """The content of a store.

    Attributes:
        folder: folder of the store.
        entries: sound bitstreams, oldest first; after a verification those whose files are sound, too.
        damaged: what is wrong with each other one, by its digest.
    """

    folder: Path
    entries: tuple[Entry, ...]
    damaged: dict[str, tuple[str, ...]]

    def require_sound(self) -> None:
        """Refuse damaged bitstreams.

        Raises:
            VerificationError: a bitstream is damaged.
        """
        if self.damaged:
            count = f"{len(self.damaged)} of {len(self.entries) + len(self.damaged)}"
            raise VerificationError(f"{self.folder}: {count} bitstreams are damaged; import or build them again")


def import_made(made: Path, board: str | None, hwh: Path | None, store: Path | None) -> Imported:
    """Put a build's results, or a bitstream with its hand-off, into the store.

    Raises:
        InvalidValueError: a .bit without its board, or options that do not belong to a results.tar.
        StorageError: as in :mod:`bitstreams.store.results`.
    """
    if made.suffix == ".bit":
        if board is None:
            raise InvalidValueError("board", board, f"one of {', '.join(board_names())} for a .bit")
        return Imported(*import_files(Store(store), made, hwh or made.with_suffix(".hwh"), load_board(board)))
    for name, value in (("board", board), ("hwh", hwh)):
        if value is not None:
            raise InvalidValueError(name, str(value), "left out for a results.tar, which holds it")
    return Imported(*import_results(Store(store), made))


def list_all(store: Path | None) -> StoreContent:
    """Return the content of the store as its records have it."""
    opened = Store(store)
    return StoreContent(opened.folder, *opened.content())


def verify(digests: list[str], store: Path | None) -> StoreContent:
    """Check every file of the bitstreams with these digests, or of all bitstreams without any.

    Raises:
        StorageError: no bitstream has such a digest.
    """
    opened = Store(store)
    entries, damaged = opened.content()
    if digests:
        entries, damaged = tuple(map(opened.find, digests)), {}
    problems = {entry.digest: tuple(opened.verify(entry)) for entry in entries}
    damaged |= {digest: found for digest, found in problems.items() if found}
    return StoreContent(opened.folder, tuple(entry for entry in entries if not problems[entry.digest]), damaged)


def start_twin(
    project: Path,
    port: int,
    coefficients: str,
    progress: Progress,
    *,
    implementation: str | None = None,
    timing: str | None = None,
) -> TwinServer:
    """Serve a twin on loopback until it is closed.

    Args:
        project: folder of an emitted project.
        port: TCP port; 0 takes a free one.
        coefficients: timing that stands for the true one; of an engine in Verilog, that of the memory behind it.
        progress: shows progress.
        implementation: name of the engine's, which must be the project's; None for that one.
        timing: what cycles come from, ``model`` or ``rtl``; None for what the project's implementation has.

    Raises:
        StorageError: the project is not whole.
        InvalidValueError: no such coefficients or timing, the project is of another implementation, or its
            implementation has not that timing.
        ToolError: g++ or Verilator is missing or refused the code.
        BoardError: the port is taken, or pynq is not installed.
    """
    if timing is not None and timing not in set(Timing):
        raise UnknownNameError("timing", timing, Timing)
    record = read_project(project, implementation)
    values = load_coefficients(coefficients, record.implementation)
    with progress.stage("twin") as update:
        update(0.0, "compiling the engine")
        return TwinServer(TwinBoard(project, values, None if timing is None else Timing(timing)), port)
