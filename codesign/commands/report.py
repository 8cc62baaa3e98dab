"""``codesign report``: one page with the pictures of a run."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

import numpy as np

from codesign.commands.check import checks_section
from codesign.progress import Progress
from codesign.report.figures import front_figure, predictor_figure, resources_figure, training_figure
from codesign.report.page import Section, render_page, write_page
from codesign.report.tables import comparison_section
from codesign.run.choices import DEFAULT_TEMPLATE, FORMER_RESULTS
from codesign.run.folder import Run, claiming, read_json
from codesign.run.records import ComparedRecord, CsimRecord, FrontsRecord, PredictorRecord
from codesign.run.requests import SearchRequest
from codesign.run.searched import Searched, emitted_pair, emitted_record, load_searched, load_weights
from codesign.templates.registry import load_template, template_names
from codesign.templates.template import EmittedPair, ReportPart, Template
from hw_templates.foundation.errors import StorageError


@dataclass(frozen=True)
class ReportResult:
    """A report that was drawn: its page, and the figures at its head by their names."""

    page: Path
    facts: dict[str, str]


@claiming
def report(run: Run, progress: Progress, *, template: str | Template | None = None) -> ReportResult:
    """Draw the run.

    Args:
        run: the run.
        progress: shows progress.
        template: kind of hardware to report on; None for the default one where it was searched, else another that was.

    Raises:
        StorageError: an earlier command has not run since what it depends on, or something cannot be read or written.
    """
    if template is None:
        found = [name for name in template_names() if run.of_template(name).find(SearchRequest)]
        found += [name for former, name in FORMER_RESULTS.items() if (run.folder / former).is_dir()]
        template = next(iter(found), DEFAULT_TEMPLATE)
    template = load_template(template)
    with progress.stage("report") as update:
        searched = load_searched(run, template=template)
        trained, results, source = load_weights(run, searched), searched.results, searched.accuracies.source
        record, verification = emitted_record(searched), read_json(results.verification, CsimRecord)
        if verification.program_sha256 != record.digest:
            raise StorageError(
                f"{results.verification}: of an earlier project; run `codesign csim {results.argument}` first"
            )
        fronts, compared = read_json(results.fronts, FrontsRecord), read_json(results.measured_front, ComparedRecord)
        for path, study, command in (
            (results.fronts, fronts.study, "search"),
            (results.measured_front, compared.study, "emit"),
        ):
            if study != searched.study:
                raise StorageError(
                    f"{path}: of another search than {searched.study}; "
                    f"run `codesign {command} {results.argument}` first"
                )
        # Of the run's own predictor; accuracies may come from elsewhere.
        quality = read_json(run.predictor_quality, PredictorRecord) if source == "predictor" else None
        emitted, winner = emitted_pair(searched, record), record.winner
        estimate, part = searched.problem.estimate(emitted.pair), searched.template.report(emitted)

        interval, images = searched.problem.latency_interval(estimate.latency_ms), verification.images
        sure = "" if interval is None else f", {interval[0]:.4f} to {interval[1]:.4f} in 9 of 10"
        facts = {
            f"test accuracy, {record.precision}": f"{record.quantised:.2%}",
            "test accuracy, float32": f"{record.float32:.2%}",
            f"latency, predicted{sure}": f"{estimate.latency_ms:.4f} ms",
            "energy, predicted": f"{estimate.energy_mj:.4f} mJ",
        }
        if verification.tolerance:
            facts[f"of {images} test images in the C simulation have the same class"] = f"{verification.same_class:.1%}"
        else:
            facts["test images bit-exact in csim"] = f"{images}"

        phases = trained.checkpoint.schedule.phases
        starts = accumulate((int(phase.length) for phase in phases[:-1]), initial=1)
        pictures = {
            "front.png": front_figure(
                fronts.fronts,
                compared.front,
                (winner.accuracy, estimate.latency_ms, estimate.energy_mj),
                winner.rule,
            ),
            **part.pictures,
            "resources.png": resources_figure(estimate.resources, searched.board),
            "training.png": training_figure(
                trained.checkpoint.losses, [(phase.name, start) for phase, start in zip(phases, starts, strict=True)]
            ),
        }
        if quality:
            left_out, kendall_tau = quality.left_out, float(np.mean(quality.kendall_tau))
            pictures["predictor.png"] = predictor_figure(left_out.measured, left_out.predicted, kendall_tau)

        kind = "" if template.name == DEFAULT_TEMPLATE else f", template {template.name}"
        subtitle = f"{trained.space.name} on {searched.board.title}{kind}; winner: {winner.rule}"
        sections = (
            *_sections(fronts, source, part, quality),
            *checks_section(results),
            *_comparisons(run, searched, emitted),
        )
        page = render_page(f"codesign: {run.folder.resolve().name}", subtitle, facts, sections)
        return ReportResult(write_page(results.report, page, pictures, update), facts)


def _sections(
    fronts: FrontsRecord, source: str, part: ReportPart, quality: PredictorRecord | None
) -> Iterator[Section]:
    volumes = ", ".join(f"{name} {volume:.4f}" for name, volume in fronts.hypervolumes.items())
    yield Section(
        "Pareto front",
        "Pairs that no other pair of the same search beats in accuracy, latency and energy at once; lines join the "
        f"best accuracy at each cost. All methods priced equally many pairs with "
        f"{'measured' if source == 'measured' else 'predicted'} accuracies; the winner "
        "is chosen among the joint search's pairs once these are measured. Hypervolume below the worst value "
        f"that any front has: {volumes}.",
        "front.png",
    )
    yield from part.sections
    yield Section(
        "Training",
        "Loss of progressive shrinking: the full net first, then ever smaller subnets taught by it. The loss of "
        "the later phases includes the distillation, so it starts anew there.",
        "training.png",
    )
    if quality:
        text = f"Fitted on measured subnets, compared on those left out ({quality.samples} in all)."
        yield Section("Accuracy predictor", text, "predictor.png")


def _comparisons(run: Run, searched: Searched, emitted: EmittedPair) -> Iterator[Section]:
    """Yield a section for each other template that was emitted for the same board: its subnet, on both."""
    own = searched.template
    for name in template_names() if own.name == DEFAULT_TEMPLATE else ():
        if name == own.name or not run.of_template(name).emitted.exists():
            continue
        other = load_searched(run, template=name)
        if other.board == searched.board:
            theirs = emitted_pair(other, emitted_record(other))
            same_subnet = replace(emitted, pair=replace(emitted.pair, subnet=theirs.pair.subnet))
            sides = {own.name: own.datasheet(same_subnet), name: other.template.datasheet(theirs)}
            yield comparison_section(theirs, sides)
