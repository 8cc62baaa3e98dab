"""``codesign report``: one page with the pictures of a run."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from codesign.progress import Progress
from codesign.report.figures import front_figure, predictor_figure, resources_figure, training_figure
from codesign.report.page import Section, render_page, write_page
from codesign.report.tables import comparison_section
from codesign.run.choices import DEFAULT_TEMPLATE
from codesign.run.folder import Run, claiming, read_json
from codesign.run.records import ComparedRecord, CsimRecord, FrontsRecord, PredictorRecord
from codesign.run.requests import SearchRequest
from codesign.run.searched import emitted_pair, emitted_record, load_searched, load_weights
from codesign.templates.registry import load_template, template_names
from codesign.templates.template import Template
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
        searched = (name for name in template_names() if run.of_template(name).find(SearchRequest) is not None)
        template = next(searched, DEFAULT_TEMPLATE)
    with progress.stage("report") as update:
        results = _Results(run, load_template(template))
        name, facts = results.searched.template.name, results.facts()
        subtitle = f"{results.trained.space.name} on {results.searched.board.title}"
        subtitle += "" if name == DEFAULT_TEMPLATE else f", template {name}"
        subtitle += f"; winner: {results.record.winner.rule}"
        page = render_page(f"codesign: {run.folder.resolve().name}", subtitle, facts, results.sections())
        return ReportResult(write_page(results.searched.results.report, page, results.pictures(), update), facts)


class _Results:
    """Everything the page is made of.

    Raises:
        StorageError: as :func:`report`.
    """

    def __init__(self, run: Run, template: Template) -> None:
        self.run = run
        self.searched = load_searched(run, template=template)
        self.trained = load_weights(run, self.searched)
        results = self.searched.results
        self.record, self.verification = emitted_record(self.searched), read_json(results.verification, CsimRecord)
        if self.verification.program_sha256 != self.record.digest:
            raise StorageError(
                f"{results.verification}: of an earlier project; run `codesign csim {results.argument}` first"
            )
        self.fronts = read_json(results.fronts, FrontsRecord)
        self.compared = read_json(results.measured_front, ComparedRecord)
        for path, found, command in (
            (results.fronts, self.fronts.study, "search"),
            (results.measured_front, self.compared.study, "emit"),
        ):
            if found != self.searched.study:
                raise StorageError(
                    f"{path}: of another search than {self.searched.study}; "
                    f"run `codesign {command} {results.argument}` first"
                )
        self.emitted = emitted_pair(self.searched, self.record)
        self.source = self.searched.accuracies.source
        # Of the run's own predictor; accuracies may come from elsewhere.
        self.quality = read_json(run.predictor_quality, PredictorRecord) if self.source == "predictor" else None
        self.estimate = self.searched.problem.estimate(self.emitted.pair)
        self.part = template.report(self.emitted)

    def facts(self) -> dict[str, str]:
        """Return the figures at the head of the page, by their names."""
        record, estimate, verification = self.record, self.estimate, self.verification
        interval = self.searched.problem.latency_interval(estimate.latency_ms)
        sure = "" if interval is None else f", {interval[0]:.4f} to {interval[1]:.4f} in 9 of 10"
        images = verification.images
        return {
            f"test accuracy, {record.precision}": f"{record.quantised:.2%}",
            "test accuracy, float32": f"{record.float32:.2%}",
            f"latency, predicted{sure}": f"{estimate.latency_ms:.4f} ms",
            "energy, predicted": f"{estimate.energy_mj:.4f} mJ",
        } | (
            {f"of {images} test images in the C simulation have the same class": f"{verification.same_class:.1%}"}
            if verification.tolerance
            else {"test images bit-exact in csim": f"{images}"}
        )

    def pictures(self) -> dict[str, Figure]:
        """Return the pictures by their file names."""
        estimate, winner = self.estimate, self.record.winner
        checkpoint, quality = self.trained.checkpoint, self.quality
        phases = checkpoint.schedule.phases
        starts = accumulate((int(phase.length) for phase in phases[:-1]), initial=1)
        pictures = {
            "front.png": front_figure(
                self.fronts.fronts,
                self.compared.front,
                (winner.accuracy, estimate.latency_ms, estimate.energy_mj),
                winner.rule,
            ),
            **self.part.pictures,
            "resources.png": resources_figure(estimate.resources, self.searched.board),
            "training.png": training_figure(
                checkpoint.losses, [(phase.name, start) for phase, start in zip(phases, starts, strict=True)]
            ),
        }
        if quality is not None:
            left_out, kendall_tau = quality.left_out, float(np.mean(quality.kendall_tau))
            pictures["predictor.png"] = predictor_figure(left_out.measured, left_out.predicted, kendall_tau)
        return pictures

    def sections(self) -> Iterator[Section]:
        """Yield the sections of the page."""
        volumes = ", ".join(f"{name} {volume:.4f}" for name, volume in self.fronts.hypervolumes.items())
        yield Section(
            "Pareto front",
            "Pairs that no other pair of the same search beats in accuracy, latency and energy at once; lines join the "
            f"best accuracy at each cost. All methods priced equally many pairs with "
            f"{'measured' if self.source == 'measured' else 'predicted'} accuracies; the winner "
            "is chosen among the joint search's pairs once these are measured. Hypervolume below the worst value "
            f"that any front has: {volumes}.",
            "front.png",
        )
        yield from self.part.sections
        yield Section(
            "Training",
            "Loss of progressive shrinking: the full net first, then ever smaller subnets taught by it. The loss of "
            "the later phases includes the distillation, so it starts anew there.",
            "training.png",
        )
        if self.quality is not None:
            text = f"Fitted on measured subnets, compared on those left out ({self.quality.samples} in all)."
            yield Section("Accuracy predictor", text, "predictor.png")
        # Each other template that was emitted for the same board: its subnet, on both.
        own, emitted = self.searched.template, self.emitted
        for name in template_names() if own.name == DEFAULT_TEMPLATE else ():
            if name == own.name or not self.run.of_template(name).emitted.exists():
                continue
            searched = load_searched(self.run, template=name)
            if searched.board == self.searched.board:
                theirs = emitted_pair(searched, emitted_record(searched))
                same_subnet = replace(emitted, pair=replace(emitted.pair, subnet=theirs.pair.subnet))
                sides = {own.name: own.datasheet(same_subnet), name: searched.template.datasheet(theirs)}
                yield comparison_section(theirs, sides)
