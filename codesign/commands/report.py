"""``codesign report``: one page with the pictures of a run."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from codesign.progress import Progress
from codesign.report.figures import Point, front_figure, predictor_figure, resources_figure, training_figure
from codesign.report.page import Fact, Section, render_page
from codesign.report.tables import comparison_section
from codesign.run.choices import DEFAULT_TEMPLATE
from codesign.run.folder import Run, claiming, read_json
from codesign.run.records import ComparedRecord, CsimRecord, EmittedRecord, FrontsRecord, PredictorRecord
from codesign.run.requests import SearchRequest, Trained
from codesign.run.searched import Searched, emitted_pair, emitted_record, load_searched, load_weights
from codesign.search.pareto import front_array
from codesign.search.problem import PairEstimate
from codesign.templates.registry import load_template, template_names
from codesign.templates.template import EmittedPair, ReportPart, Template
from cost_models.resources import RESOURCES
from hw_templates.foundation.arrays import FloatArray
from hw_templates.foundation.atomic_file import write_bytes_atomically, write_text_atomically
from hw_templates.foundation.errors import StorageError

DOTS_PER_INCH = 130


@dataclass(frozen=True)
class ReportResult:
    """A report that was drawn: its page, and the figures at its head by their names."""

    page: Path
    facts: dict[str, str]


@dataclass(frozen=True)
class Quality:
    """How well the predictor does on subnets that it was not fitted on."""

    samples: int
    kendall_tau: float
    measured: FloatArray
    predicted: FloatArray


@dataclass(frozen=True, kw_only=True)
class Results:
    """Everything the page is made of.

    Fronts are [n, 3] as in :mod:`codesign.search.pareto`; the quality is that of the run's predictor, None where the
    search took accuracies from elsewhere.
    """

    searched: Searched
    trained: Trained
    fronts: FrontsRecord
    measured_front: FloatArray
    quality: Quality | None
    record: EmittedRecord
    verification: CsimRecord
    emitted: EmittedPair
    estimate: PairEstimate
    part: ReportPart


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
    template = load_template(template or _searched_template(run))
    with progress.stage("report") as update:
        results = _read(run, template)
        folder, pictures, facts = results.searched.results.report, _pictures(results), _facts(results)
        for index, (name, figure) in enumerate(pictures.items()):
            update(index / len(pictures), name)
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
            write_bytes_atomically(folder / name, buffer.getvalue())
        subtitle = f"{results.trained.space.name} on {results.searched.board.title}"
        subtitle += "" if template.name == DEFAULT_TEMPLATE else f", template {template.name}"
        subtitle += f"; winner: {results.record.winner.rule}"
        sections = [*_sections(results), *_comparisons(run, results)]
        page = render_page(f"codesign: {run.folder.resolve().name}", subtitle, facts, sections)
        write_text_atomically(folder / "index.html", page)
    return ReportResult(folder / "index.html", {fact.name: fact.value for fact in facts})


def _searched_template(run: Run) -> str:
    searched = (name for name in template_names() if run.of_template(name).find(SearchRequest) is not None)
    return next(searched, DEFAULT_TEMPLATE)


def _read(run: Run, template: Template) -> Results:
    searched = load_searched(run, template=template)
    trained, results = load_weights(run, searched), searched.results
    record, verification = emitted_record(searched), read_json(results.verification, CsimRecord)
    if verification.program_sha256 != record.digest:
        raise StorageError(
            f"{results.verification}: of an earlier project; run `codesign csim {results.argument}` first"
        )
    fronts, compared = read_json(results.fronts, FrontsRecord), read_json(results.measured_front, ComparedRecord)
    for path, found, command in (
        (results.fronts, fronts.study, "search"),
        (results.measured_front, compared.study, "emit"),
    ):
        if found != searched.study:
            raise StorageError(
                f"{path}: of another search than {searched.study}; run `codesign {command} {results.argument}` first"
            )
    emitted = emitted_pair(searched, record)
    return Results(
        searched=searched,
        trained=trained,
        fronts=fronts,
        measured_front=front_array(compared.front),
        quality=_read_quality(run) if searched.accuracies.source == "predictor" else None,
        record=record,
        verification=verification,
        emitted=emitted,
        estimate=searched.problem.estimate(emitted.pair),
        part=template.report(emitted),
    )


def _read_quality(run: Run) -> Quality:
    record = read_json(run.predictor_quality, PredictorRecord)
    measured, predicted = np.array(record.left_out.measured), np.array(record.left_out.predicted)
    return Quality(record.samples, float(np.mean(record.kendall_tau)), measured, predicted)


def _pictures(results: Results) -> dict[str, Figure]:
    """File name to picture."""
    board, estimate, checkpoint = results.searched.board, results.estimate, results.trained.checkpoint
    winner, quality, phases = results.record.winner, results.quality, checkpoint.schedule.phases
    starts = accumulate((int(phase.length) for phase in phases[:-1]), initial=1)
    pictures = {
        "front.png": front_figure(
            {name: front_array(rows) for name, rows in results.fronts.fronts.items()},
            results.measured_front,
            Point(winner.accuracy, estimate.latency_ms, estimate.energy_mj),
            winner.rule,
        ),
        **results.part.pictures,
        "resources.png": resources_figure(
            {name: getattr(estimate.resources, name) for name in RESOURCES},
            {name: getattr(board, name) for name in RESOURCES},
            board.title,
        ),
        "training.png": training_figure(
            checkpoint.losses, [(phase.name, start) for phase, start in zip(phases, starts, strict=True)]
        ),
    }
    if quality is not None:
        pictures["predictor.png"] = predictor_figure(quality.measured, quality.predicted, quality.kendall_tau)
    return pictures


def _facts(results: Results) -> list[Fact]:
    record, estimate, verification = results.record, results.estimate, results.verification
    interval = results.searched.problem.latency_interval(estimate.latency_ms)
    sure = "" if interval is None else f", {interval[0]:.4f} to {interval[1]:.4f} in 9 of 10"
    exact = Fact("test images bit-exact in csim", f"{verification.images}")
    alike = Fact(
        f"of {verification.images} test images in the C simulation have the same class",
        f"{verification.same_class:.1%}",
    )
    return [
        Fact(f"test accuracy, {record.precision}", f"{record.quantised:.2%}"),
        Fact("test accuracy, float32", f"{record.float32:.2%}"),
        Fact(f"latency, predicted{sure}", f"{estimate.latency_ms:.4f} ms"),
        Fact("energy, predicted", f"{estimate.energy_mj:.4f} mJ"),
        alike if verification.tolerance else exact,
    ]


def _sections(results: Results) -> Iterator[Section]:
    volumes, source = results.fronts.hypervolumes, results.searched.accuracies.source
    yield Section(
        "Pareto front",
        "Pairs that no other pair of the same search beats in accuracy, latency and energy at once; lines join the "
        f"best accuracy at each cost. All methods priced equally many pairs with "
        f"{'measured' if source == 'measured' else 'predicted'} accuracies; the winner "
        "is chosen among the joint search's pairs once these are measured. Hypervolume below the worst value "
        "that any front has: " + ", ".join(f"{name} {volume:.4f}" for name, volume in volumes.items()) + ".",
        "front.png",
    )
    yield from results.part.sections
    yield Section(
        "Training",
        "Loss of progressive shrinking: the full net first, then ever smaller subnets taught by it. The loss of "
        "the later phases includes the distillation, so it starts anew there.",
        "training.png",
    )
    if results.quality is not None:
        text = f"Fitted on measured subnets, compared on those left out ({results.quality.samples} in all)."
        yield Section("Accuracy predictor", text, "predictor.png")


def _comparisons(run: Run, results: Results) -> Iterator[Section]:
    """Yield a section for each other template that was emitted for the same board: its subnet, on both."""
    own, emitted = results.searched.template, results.emitted
    for name in template_names() if own.name == DEFAULT_TEMPLATE else ():
        if name == own.name or not run.of_template(name).emitted.exists():
            continue
        searched = load_searched(run, template=name)
        if searched.board == results.searched.board:
            theirs = emitted_pair(searched, emitted_record(searched))
            same_subnet = replace(emitted, pair=replace(emitted.pair, subnet=theirs.pair.subnet))
            sides = {own.name: own.datasheet(same_subnet), name: searched.template.datasheet(theirs)}
            yield comparison_section(theirs, sides)
