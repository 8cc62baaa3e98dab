"""``codesign emit``: from the front to a winning pair, and its project."""

from dataclasses import asdict, dataclass
from pathlib import Path

from codesign.commands.winner import WinnerResult, choose, winner_result
from codesign.progress import Progress
from codesign.run.choices import DEFAULT_TEMPLATE
from codesign.run.folder import Run, claiming
from codesign.run.records import ComparedRecord, EmittedRecord, as_rows
from codesign.run.requests import EmitRequest
from codesign.run.searched import load_searched, load_weights
from codesign.search.winner import rule_of
from codesign.templates.registry import load_template
from codesign.templates.template import ChosenPair, EmittedProject, Template
from hw_templates.foundation.json_records import write_record


@dataclass(frozen=True)
class EmitResult:
    """A project that was emitted.

    Attributes:
        winner: the pair.
        project: how the project does.
        folder: where the project lies.
    """

    winner: WinnerResult
    project: EmittedProject
    folder: Path


@claiming
def emit(run: Run, rule: EmitRequest, progress: Progress, *, template: str | Template = DEFAULT_TEMPLATE) -> EmitResult:
    """Choose the winner with measured accuracies, quantise it and write its project.

    Raises:
        InvalidValueError: two options name different rules, or one is out of range.
        InfeasibleError: no pair meets the limit; says the nearest.
        StorageError: an earlier command has not run, or something cannot be read or written.
        ToolError: a tool of the template is missing or fails.
    """
    chosen_by, template = rule_of(**asdict(rule)), load_template(template)
    template.require_tools()
    searched = load_searched(run, template=template)
    trained, results = load_weights(run, searched), searched.results
    choice = choose(run, searched, trained, chosen_by, progress, measuring=True)
    with progress.stage("emit") as update:
        # A simulation of an earlier project stays; its digest tells it apart.
        results.emitted.unlink(missing_ok=True)
        chosen = ChosenPair(
            winner=choice.winner,
            problem=choice.problem,
            trained=trained,
            study=searched.study,
            folder=results.project,
        )
        project = template.emit(chosen, update)
    result = winner_result(searched, choice)
    record = EmittedRecord(
        template=template.name,
        winner=result.winner,
        precision=project.precision,
        float32=project.float32,
        quantised=project.quantised,
        digest=project.digest,
    )
    write_record(results.measured_front, ComparedRecord(searched.study, as_rows(choice.compared.front.values)))
    write_record(results.emitted, record)
    results.configure(rule, replace=True)
    return EmitResult(result, project, results.project)
