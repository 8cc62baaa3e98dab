"""``codesign build``: from the emitted project to a bitstream in the store, here or on another machine."""

from pathlib import Path

from bitstreams.building.script import build_bitstream, bundle
from bitstreams.store.results import import_results
from codesign.commands.bitstreams import describe, figure_lines, open_store
from codesign.commands.csim import csim
from codesign.progress import Progress
from codesign.run.choices import BuildTool
from codesign.run.folder import Run, claiming, read_json, write_json
from hw_templates.foundation.atomic_file import write_bytes_atomically
from hw_templates.foundation.errors import InvalidValueError, UnknownNameError
from hw_templates.project.record import PROJECT_FILE, ProjectRecord


def build(run: Run, tool: str, bundled: bool, cosim: bool, store: Path | None, progress: Progress) -> None:
    """Build the run's project, or bundle it for another machine.

    Raises:
        InvalidValueError: an unknown tool, or options that do not go together.
        StorageError: nothing is emitted yet, the project was changed, or the store cannot be written.
        ToolError: a tool is missing, too old or failed.
        VerificationError: the C simulation disagrees.
    """
    if tool not in tuple(BuildTool):
        raise UnknownNameError("tool", tool, BuildTool)
    for name, wanted in (("bundle", bundled), ("cosim", cosim)):
        if wanted and tool != "vitis":
            raise InvalidValueError(name, wanted, f"left out with --tool {tool}")
    if bundled and cosim:
        raise InvalidValueError("cosim", cosim, "given to build.sh where the bundle is built")
    if tool == "csim":
        csim(run, False, None, progress)
    elif bundled:
        _bundle(run, progress)
    else:
        _bitstream(run, cosim, store, progress)


@claiming
def _bundle(run: Run, progress: Progress) -> None:
    read_json(run.project / PROJECT_FILE, ProjectRecord)
    write_bytes_atomically(run.bundle, bundle(run.project))
    progress.say(f"build      {run.bundle}: unpack it where the tools are, run `sh build.sh` in its folder, and")
    progress.say("           `codesign import results.tar` puts what comes out into a store")


@claiming
def _bitstream(run: Run, cosim: bool, store: Path | None, progress: Progress) -> None:
    read_json(run.project / PROJECT_FILE, ProjectRecord)
    with progress.stage("build") as update:
        update(0.0, "looking for the tools")

        def on_step(step: str) -> None:
            # Two steps; how long each takes is known to nobody beforehand.
            update(0.0 if step.startswith("hls") else 0.5, step)
            progress.say(f"build      {step}")

        archive = build_bitstream(run.project, cosim, on_step)
        update(1.0, "importing")
        entry, _ = import_results(open_store(store), archive)
    made = entry.bitstream
    write_json(run.build, {"store": str(entry.folder.parent), **made.as_dict()})
    progress.say(f"build      {describe(entry)}")
    for line in figure_lines(made.figures):
        progress.say(f"           {line}")
    progress.say(f"           {entry.folder}")
