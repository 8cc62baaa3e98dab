"""``codesign csim``: the emitted engine, compiled, against the integer reference and the cost model."""

from bitstreams.building.toolchain import run_csim
from codesign.emit.project import check_program_files
from codesign.progress import Progress
from codesign.run.folder import Run, claiming, read_json
from codesign.run.records import CsimRecord
from hw_templates.foundation.json_records import write_record
from hw_templates.project.record import PROJECT_FILE, ProjectRecord


@claiming
def csim(run: Run, sanitize: bool, images: int | None, progress: Progress) -> None:
    """Compile the project and run its test images through it.

    Raises:
        StorageError: nothing is emitted yet, its record is corrupt, or a file was changed since.
        ToolError: make or g++ is missing, or the code does not compile.
        VerificationError: a logit or a trip count differs.
    """
    program = read_json(run.project / PROJECT_FILE, ProjectRecord).program_sha256
    check_program_files(run.project, program)
    with progress.stage("csim") as update:
        update(0.0, "compiling and running")
        result = run_csim(run.project, sanitize, images)
    cycles = sum(layer.compute_trips for layer in result.layers)
    write_record(run.verification, CsimRecord(program, sanitize, result.images, result.layers))
    progress.say(
        f"csim       {result.images} test images: logits equal the integer reference bit for bit"
        + (", sanitizers silent" if sanitize else "")
    )
    progress.say(
        f"           {len(result.layers)} layers: {cycles:,} trips of the compute loop, as the cost model states"
    )
