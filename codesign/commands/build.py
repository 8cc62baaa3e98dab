"""``codesign build``: from the emitted project to a bitstream in the store, here or on another machine."""

from dataclasses import dataclass
from pathlib import Path

from bitstreams.building.script import build_bitstream, bundle
from bitstreams.store.bitstream import Entry
from bitstreams.store.results import import_results
from bitstreams.store.store import Store
from codesign.progress import Progress
from codesign.run.choices import BuildTool
from codesign.run.folder import Run, claiming, read_json
from codesign.run.records import BuildRecord
from hw_templates.foundation.atomic_file import write_bytes_atomically
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.foundation.json_records import write_record
from hw_templates.project.record import PROJECT_FILE, ProjectRecord


@dataclass(frozen=True)
class Built:
    """A bitstream that was built.

    Attributes:
        steps: tool and version of each step of the build.
        entry: the bitstream in the store.
    """

    steps: tuple[str, ...]
    entry: Entry


def check_build_options(tool: str, bundled: bool, cosim: bool) -> None:
    """Refuse options of a build that do not go together.

    Raises:
        InvalidValueError: an option is not for this tool, or not for a bundle.
    """
    for name, wanted in (("bundle", bundled), ("cosim", cosim)):
        if wanted and tool != BuildTool.VITIS:
            raise InvalidValueError(name, wanted, f"left out with --tool {tool}")
    if bundled and cosim:
        raise InvalidValueError("cosim", cosim, "given to build.sh where the bundle is built")


@claiming
def build_bundle(run: Run) -> Path:
    """Write the run's project as a tar that builds on another machine; return the tar's path.

    Raises:
        StorageError: nothing is emitted yet, or the project was changed.
    """
    read_json(run.project / PROJECT_FILE, ProjectRecord)
    write_bytes_atomically(run.bundle, bundle(run.project))
    return run.bundle


@claiming
def build(run: Run, cosim: bool, store: Path | None, progress: Progress) -> Built:
    """Build the run's project with the vendor's tools, and put the bitstream into a store.

    Args:
        run: run with an emitted project.
        cosim: whether to simulate the RTL on one image as well.
        store: folder of bitstreams; None for the user's.
        progress: shows the steps.

    Raises:
        StorageError: nothing is emitted yet, the project was changed, or the store cannot be written.
        ToolError: a tool is missing, too old or failed.
    """
    read_json(run.project / PROJECT_FILE, ProjectRecord)
    steps: list[str] = []
    with progress.stage("build") as update:
        update(0.0, "looking for the tools")

        def on_step(step: str) -> None:
            # Two steps; how long each takes is not known beforehand.
            update(0.0 if step.startswith("hls") else 0.5, step)
            steps.append(step)

        archive = build_bitstream(run.project, cosim, on_step)
        update(1.0, "importing")
        entry, _ = import_results(Store(store), archive)
    made = {name: value for name, value in vars(entry.bitstream).items() if name not in ("imported", "files")}
    write_record(run.build, BuildRecord(**made, store=str(entry.folder.parent)))
    return Built(tuple(steps), entry)
