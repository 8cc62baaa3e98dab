"""``codesign check``: what can be checked of an emitted project without a board or a vendor's tools."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from codesign.progress import Progress, Update
from codesign.report.page import Section, Table
from codesign.run.choices import DEFAULT_TEMPLATE
from codesign.run.folder import Run, claiming, read_json
from codesign.run.records import CheckedRecord, ChecksRecord, Outcome
from codesign.templates.registry import load_template
from codesign.templates.template import Check, Finding, Template
from hw_templates.foundation.errors import MissingToolError, ToolError, VerificationError
from hw_templates.foundation.json_records import write_record
from hw_templates.project.record import PROJECT_FILE


@dataclass(frozen=True)
class CheckResult:
    """The checks of a project with their outcomes, and the file that keeps them."""

    checks: tuple[CheckedRecord, ...]
    file: Path

    def require(self) -> None:
        """Raise :class:`VerificationError` where a check failed; the message has the first one."""
        failed = [check for check in self.checks if check.outcome == Outcome.FAILED]
        if failed:
            raise VerificationError(
                f"{self.file}: {len(failed)} of {len(self.checks)} checks failed: {failed[0].name}: {failed[0].text}"
            )


@claiming
def check(run: Run, progress: Progress, *, template: str | Template = DEFAULT_TEMPLATE) -> CheckResult:
    """Check the project that was emitted last; what passed before is not checked again.

    Each check is recorded as it ends, so an interruption loses no more than the one that runs. A check that fails is
    part of the result; a missing tool is, too, and never passes.

    Raises:
        StorageError: nothing is emitted yet, the project is not as it was emitted, or something cannot be written.
    """
    template = load_template(template)
    results = run.of_template(template.name)
    with progress.stage("check") as update:
        update(0.0, "reading the project")
        checks = template.checks(run)
        sha256 = _project_sha256(results)
        passed = {each.name: each for each in _checked(results, sha256) if each.outcome == Outcome.PASSED}
        done: list[CheckedRecord] = []
        for index, each in enumerate(checks):
            done.append(passed.get(each.name) or carry_out(each, _part_of(update, index, len(checks), each.name)))
            write_record(results.checks, ChecksRecord(sha256, tuple(done)))
    return CheckResult(tuple(done), results.checks)


def checks_section(results: Run) -> Iterator[Section]:
    """Yield the sections of a report on what was checked of the project, if anything was."""
    if not (results.project / PROJECT_FILE).exists():
        return
    checked = _checked(results, _project_sha256(results))
    if checked:
        yield Section(
            "What was checked, and how",
            "What `codesign check` found of the emitted project, without a board or a vendor's tools.",
            table=Table(
                ("check", "outcome", "found", "how"),
                tuple((each.name, each.outcome.value, each.text, each.how) for each in checked),
                prose=True,
            ),
        )
    for each in checked:
        if each.table:
            yield Section(
                each.name[:1].upper() + each.name[1:],
                f"{each.how}.",
                table=Table(each.table[0], each.table[1:], prose=True),
            )


def _project_sha256(results: Run) -> str:
    """Return the digest of the project's record, which holds those of its sources and programs."""
    return hashlib.sha256((results.project / PROJECT_FILE).read_bytes()).hexdigest()


def _checked(results: Run, sha256: str) -> Sequence[CheckedRecord]:
    """Return what was checked of the project with a digest; nothing of an earlier one."""
    if not results.checks.exists():
        return ()
    record = read_json(results.checks, ChecksRecord)
    return record.checks if record.project_sha256 == sha256 else ()


def carry_out(check: Check, update: Update) -> CheckedRecord:
    """Do a check, and return how it ended: what a missing tool leaves undone has neither passed nor failed."""
    update(0.0, "")
    try:
        found = check.find(update)
        outcome = Outcome.PASSED if found.passed else Outcome.FAILED
    except MissingToolError as error:
        outcome, found = Outcome.NOT_CHECKED, Finding(False, str(error))
    except (ToolError, VerificationError) as error:
        outcome, found = Outcome.FAILED, Finding(False, str(error))
    return CheckedRecord(
        name=check.name,
        how=check.how,
        outcome=outcome,
        text=found.text,
        figures=dict(found.figures),
        table=found.table,
    )


def _part_of(update: Update, index: int, count: int, name: str) -> Update:
    """Return the progress of one check as that of them all."""
    return lambda share, text: update((index + share) / count, ", ".join(part for part in (name, text) if part))
