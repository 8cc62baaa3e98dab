"""``codesign search``: the joint search, and what it is compared with."""

from collections.abc import Callable

import numpy as np

from codesign.progress import Progress
from codesign.run.choice import say_skipped
from codesign.run.folder import Run, read_json
from codesign.run.records import BaselineRecord, FrontsRecord, as_rows
from codesign.run.requests import Searched, SearchRequest, load_searched
from codesign.search.baselines import random_front, sequential_front
from codesign.search.joint_search import joint_search
from codesign.search.pareto import PricedPairs, ReferencePoint, front_array
from codesign.search.pricing import PairPricer
from cost_models.coefficients.fitted_range import range_of_space
from hw_templates.foundation.arrays import FloatArray
from hw_templates.foundation.json_records import write_record

_BASELINES: dict[str, Callable[..., PricedPairs]] = {"random": random_front, "sequential": sequential_front}


def search(run: Run, request: SearchRequest, baselines: bool, progress: Progress) -> None:
    """Search for a board until as many pairs are priced as requested, or go on searching.

    Raises:
        InvalidValueError: unknown board, or a setting out of range.
        StorageError: an earlier command has not run, another process works in the run, or the storage is damaged or
            holds another study.
        InfeasibleError: no accelerator fits the board.
    """
    if not run.folder.is_dir():
        load_searched(run, request)  # a search that cannot be makes no folder
    with run.claim():
        _search(run, request, baselines, progress)


def _search(run: Run, request: SearchRequest, baselines: bool, progress: Progress) -> None:
    searched = load_searched(run, request)
    searched.task.coefficients.warn_outside(range_of_space(searched.joint.accelerators.choices))
    searched.task.open_study()
    run.configure(request, replace=True)
    with progress.stage("joint search") as update:
        result = joint_search(
            searched.task,
            lambda done: update(done.pairs / request.pairs, f"{done.pairs:,} pairs in {done.rounds} rounds"),
        )
    progress.say(
        f"search     {result.progress.pairs:,} pairs on {result.progress.accelerators:,} accelerators priced for "
        f"{searched.board.title} ({result.progress.candidates:,} mappings), {len(result.front)} on the front"
    )
    say_skipped(result.skipped, progress)
    fronts = {"joint": result.front.values}
    if baselines:
        fronts = {**_baseline_fronts(run, searched, result.progress.pairs, progress), **fronts}
    _write_fronts(run, searched, fronts, progress)


def _baseline_fronts(run: Run, searched: Searched, pairs: int, progress: Progress) -> dict[str, FloatArray]:
    """Front [n, 3] of each baseline at the ``pairs`` of the joint search; read where it was searched before."""
    task = searched.task
    found = {}
    for name, baseline in _BASELINES.items():
        path = run.folder / "baselines" / f"{name}.json"
        record = read_json(path, BaselineRecord) if path.exists() else None
        if record is None or (record.study, record.pairs) != (task.location.name, pairs):
            with progress.stage(f"{name} search") as update:
                update(0.0, f"{pairs:,} pairs")
                front = baseline(PairPricer(searched.joint, task.coefficients), task.oracle, pairs, task.settings.seed)
            record = BaselineRecord(task.location.name, pairs, as_rows(front.values))
            write_record(path, record)
        found[name] = front_array(record.front)
    return found


def _write_fronts(run: Run, searched: Searched, fronts: dict[str, FloatArray], progress: Progress) -> None:
    """Record the fronts and their hypervolumes below the worst value that any of them has.

    Where all accuracies are the same, as those of one subnet are, the volume is that of latency and energy.
    """
    union = np.concatenate(list(fronts.values()))
    accuracy, latency_ms, energy_mj = float(union[:, 0].min()), float(union[:, 1].max()), float(union[:, 2].max())
    reference = ReferencePoint(accuracy if union[:, 0].max() > accuracy else 0.0, latency_ms, energy_mj)
    volumes = {name: reference.hypervolume(values) for name, values in fronts.items()}
    rows = {name: as_rows(values) for name, values in fronts.items()}
    write_record(run.fronts, FrontsRecord(searched.task.location.name, reference, volumes, rows))
    progress.say("           hypervolume: " + ", ".join(f"{name} {volume:.4f}" for name, volume in volumes.items()))
