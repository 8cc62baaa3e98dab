"""``codesign csim``: the emitted project, simulated, against the integer reference."""

from dataclasses import dataclass

from codesign.progress import Progress
from codesign.run.choices import DEFAULT_TEMPLATE
from codesign.run.folder import Run, claiming
from codesign.run.records import CsimRecord
from codesign.templates.registry import load_template
from codesign.templates.template import Simulation, Template, refuse
from hw_templates.foundation.json_records import write_record

_WHOLE = Simulation()


@dataclass(frozen=True)
class CsimResult:
    """How an emitted project compares with the integer reference; ``template`` is the name of its kind of hardware."""

    template: str
    record: CsimRecord


@claiming
def csim(
    run: Run,
    progress: Progress,
    simulation: Simulation = _WHOLE,
    *,
    template: str | Template = DEFAULT_TEMPLATE,
) -> CsimResult:
    """Compile or simulate the project and run its test images through it.

    Raises:
        InvalidValueError: an option that the template does not take.
        StorageError: nothing is emitted yet, its record is corrupt, or a file was changed since.
        ToolError: a tool is missing, or the code does not compile.
        VerificationError: a logit or a count differs.
    """
    template = load_template(template)
    refuse(template, simulation)
    with progress.stage("csim") as update:
        record = template.simulate(run, simulation, update)
    write_record(run.of_template(template.name).verification, record)
    return CsimResult(template.name, record)
