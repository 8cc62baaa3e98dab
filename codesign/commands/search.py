"""``codesign search``: the joint search, and what it is compared with."""

from dataclasses import dataclass

import numpy as np

from codesign.progress import Progress
from codesign.run.choices import DEFAULT_TEMPLATE
from codesign.run.folder import Run, read_json
from codesign.run.records import BaselineRecord, FrontsRecord, LossesRecord
from codesign.run.requests import SearchRequest, load_trained
from codesign.run.searched import Searched, load_searched, read_losses
from codesign.search.joint_search import joint_search
from codesign.search.pareto import ReferencePoint
from codesign.search.problem import SearchProgress
from codesign.templates.registry import load_template
from codesign.templates.template import Template, refuse
from hw_templates.board import load_board
from hw_templates.foundation.arrays import FloatArray
from hw_templates.foundation.json_records import write_record


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """Result of a search.

    Attributes:
        template: name of the kind of hardware.
        board: title of the board.
        progress: what was priced, by all calls together.
        front: [n, 3] accuracy, latency_ms and energy_mj of the pairs that none dominates.
        hypervolumes: method to the share of the box below the worst value that its front dominates.
        losses: accuracy (0..1) that the template's arithmetic costs.
        skipped: trials that are no pairs of the search, and why.
    """

    template: str
    board: str
    progress: SearchProgress
    front: FloatArray
    hypervolumes: dict[str, float]
    losses: dict[str, float]
    skipped: tuple[str, ...]


def search(
    run: Run,
    request: SearchRequest,
    progress: Progress,
    *,
    template: str | Template = DEFAULT_TEMPLATE,
    baselines: bool = True,
) -> SearchResult:
    """Search for a board until as many pairs are priced as requested; a later call resumes.

    Args:
        run: the run.
        request: what to search.
        progress: shows progress.
        template: kind of hardware to search.
        baselines: whether to search by simpler methods too, where the template has any.

    Raises:
        InvalidValueError: unknown template or board, a setting out of range or one that the template does not take.
        StorageError: an earlier command has not run, another process works in the run, or the storage is damaged or
            holds another study.
        UnsupportedLayerError: the template cannot run the subnets of the run's space; names a layer and says why.
        InfeasibleError: no accelerator fits the board.
    """
    template = load_template(template)
    refuse(template, request)
    if not run.folder.is_dir():
        load_searched(run, request, template)  # a search that cannot be makes no folder
    with run.claim():
        if template.has_losses:
            trained = load_trained(run)
            load_searched(run, request, template)  # what cannot be searched is not measured
            if not read_losses(run, template):
                with progress.stage("precisions") as update:
                    update(0.0, "measuring what they cost")
                    losses = template.measure_losses(trained)
                record = LossesRecord(trained.checkpoint.digest, losses)
                write_record(run.of_template(template.name).losses, record)
        searched = load_searched(run, request, template)
        task, results = searched.task, searched.results
        if before := results.find(SearchRequest):
            load_board(before.board)  # refuses a board's own file that has changed since
        searched.problem.warn()
        task.open_study()
        results.configure(request, replace=True)
        with progress.stage("joint search") as update:
            found = joint_search(
                task, lambda done: update(done.pairs / request.pairs, f"{done.pairs:,} pairs in {done.rounds} rounds")
            )
        fronts = {"joint": found.front.values}
        if baselines:
            fronts = {**_baseline_fronts(searched, found.progress.pairs, progress), **fronts}
        union = np.concatenate(list(fronts.values()))
        worst, (best, latency_ms, energy_mj) = union[:, 0].min(), union.max(axis=0).tolist()
        # Where all accuracies are the same, as those of one subnet are, the volume is that of latency and energy.
        reference = ReferencePoint(float(worst) if best > worst else 0.0, latency_ms, energy_mj)
        volumes = {name: reference.hypervolume(values) for name, values in fronts.items()}
        write_record(results.fronts, FrontsRecord(searched.study, reference, volumes, fronts))
        return SearchResult(
            template=searched.template.name,
            board=searched.board.title,
            progress=found.progress,
            front=fronts["joint"],
            hypervolumes=volumes,
            losses=dict(searched.problem.losses),
            skipped=found.skipped,
        )


def _baseline_fronts(searched: Searched, pairs: int, progress: Progress) -> dict[str, FloatArray]:
    """Front [n, 3] of each baseline at the ``pairs`` of the joint search; read where it was searched before."""
    task, found = searched.task, {}
    for name, baseline in searched.problem.baselines.items():
        path = searched.results.folder / "baselines" / f"{name}.json"
        record = read_json(path, BaselineRecord) if path.exists() else None
        if record is None or (record.study, record.pairs) != (searched.study, pairs):
            with progress.stage(f"{name} search") as update:
                update(0.0, f"{pairs:,} pairs")
                front = baseline(task.oracle, pairs, task.settings.seed).values
            record = BaselineRecord(searched.study, front, pairs)
            write_record(path, record)
        found[name] = record.front
    return found
