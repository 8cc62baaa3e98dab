"""``codesign search``: the joint search, and what it is compared with."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from codesign.progress import Progress
from codesign.run import Run, read_json, write_json
from codesign.search.baselines import random_front, sequential_front
from codesign.search.joint_search import joint_search
from codesign.search.pareto import FloatArray, PricedPairs, ReferencePoint
from codesign.search.pricing import PairPricer
from codesign.verbs.context import Searched, load_searched
from cost_models.coefficients import load_coefficients
from hw_templates.board import load_board

COEFFICIENTS = "prior"
_BASELINES: dict[str, Callable[..., PricedPairs]] = {"random": random_front, "sequential": sequential_front}


def search(
    run: Run,
    board: str,
    pairs: int,
    workers: int,
    storage: str | None,
    baselines: bool,
    seed: int,
    progress: Progress,
) -> None:
    """Search for the run's board until ``pairs`` pairs are priced, or go on searching.

    Raises:
        InvalidValueError: unknown board, or a setting out of range.
        StorageError: an earlier verb has not run, or the storage is damaged or holds another study.
        InfeasibleError: no accelerator fits the board.
    """
    load_board(board)
    load_coefficients(COEFFICIENTS)
    settings = {"board": board, "pairs": pairs, "workers": workers, "storage": storage, "seed": seed}
    run.configure("search", {**settings, "coefficients": COEFFICIENTS}, replace=True)
    searched = load_searched(run)
    with progress.stage("joint search") as update:
        result = joint_search(
            searched.task,
            lambda done: update(done.pairs / pairs, f"{done.pairs:,} pairs in {done.rounds} rounds"),
        )
    progress.say(
        f"search     {result.progress.pairs:,} pairs priced for {searched.board.title} "
        f"({result.progress.candidates:,} mappings), {len(result.front)} on the front"
    )
    fronts = {"joint": result.front.values}
    if baselines:
        fronts = {**_baseline_fronts(run, searched, progress), **fronts}
    _write_fronts(run, searched, fronts, progress)


def _baseline_fronts(run: Run, searched: Searched, progress: Progress) -> dict[str, FloatArray]:
    """Front [n, 3] of each baseline at the joint search's budget; taken from the run where it was searched before."""
    task = searched.task
    found = {}
    for name, baseline in _BASELINES.items():
        path = run.folder / "baselines" / f"{name}.json"
        key = {"study": task.location.name, "pairs": task.settings.pairs, "seed": task.settings.seed}
        record: dict[str, Any] = read_json(path) if path.exists() else {}
        if record.get("key") != key:
            with progress.stage(f"{name} search") as update:
                update(0.0, f"{task.settings.pairs:,} pairs")
                pricer = PairPricer(searched.joint, task.coefficients)
                front = baseline(pricer, task.oracle, task.settings.pairs, task.settings.seed)
            record = {"key": key, "front": front.values.tolist()}
            write_json(path, record)
        found[name] = np.array(record["front"])
    return found


def _write_fronts(run: Run, searched: Searched, fronts: dict[str, FloatArray], progress: Progress) -> None:
    """Record the fronts and their hypervolumes below the worst value that any of them has."""
    union = np.concatenate(list(fronts.values()))
    reference = ReferencePoint(float(union[:, 0].min()), float(union[:, 1].max()), float(union[:, 2].max()))
    volumes = {name: reference.hypervolume(values) for name, values in fronts.items()}
    write_json(
        run.fronts,
        {
            "study": searched.task.location.name,
            "reference": asdict(reference),
            "hypervolumes": volumes,
            "fronts": {name: values.tolist() for name, values in fronts.items()},
        },
    )
    progress.say("           hypervolume: " + ", ".join(f"{name} {volume:.4f}" for name, volume in volumes.items()))
