"""Subnets and dataflow accelerators searched together on an Optuna study, resumable at any time.

One design holds one subnet, so what a pair needs of the board depends on both, and pairs are bred as they are.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import optuna

from codesign.search.breeding import breed, unique_rows
from codesign.search.joint_search import OnProgress, SearchResult
from codesign.search.joint_space import DataflowJoint
from codesign.search.pareto import PricedPairs, concatenate
from codesign.search.study import StudyIdentity, StudyLocation, make_trials, open_study, storage_errors
from codesign.search.worker import Progress, SearchSettings, read_front, read_progress
from codesign.supernet.accuracy.oracle import AccuracyOracle, checked_accuracy
from codesign.supernet.lowering.workloads import lower
from cost_models.hls4ml.estimate import PRIOR, price_clocks
from cost_models.hls4ml.stages import stages
from cost_models.resources import RESOURCES
from hw_templates.foundation.arrays import IntArray
from hw_templates.foundation.errors import InfeasibleError, InvalidValueError, UnsupportedLayerError

_BATCH = 128
_IMMIGRANTS = 0.2
_RATE = 0.08
_FLUSH_S = 2.0
# Rounds in a row that bring nothing new: the space is small, and ends.
_IDLE_ROUNDS = 20


@dataclass(frozen=True, kw_only=True)
class DataflowTask:
    """What is searched, where it is kept, and how.

    Attributes:
        location: of the study.
        joint: the pairs.
        oracle: accuracies of subnets in floating point.
        losses: what a precision takes of that, by its bits.
        accuracy_name: where accuracies come from; part of the study's identity.
        settings: budget and seed; one worker.
    """

    location: StudyLocation
    joint: DataflowJoint
    oracle: AccuracyOracle
    losses: Mapping[int, float]
    accuracy_name: str
    settings: SearchSettings

    def __post_init__(self) -> None:
        if self.settings.workers != 1:
            raise InvalidValueError("search.workers", self.settings.workers, "1 for template hls4ml")
        # Every subnet has what the smallest has: where that cannot be converted, the space is another template's.
        stages(lower(self.joint.space, self.joint.space.smallest()))

    @property
    def identity(self) -> StudyIdentity:
        """The identity that the task's study must state."""
        losses = ", ".join(f"{bits} bits -{loss:.4f}" for bits, loss in sorted(self.losses.items()))
        return StudyIdentity.of(self.joint, PRIOR.name, f"{self.accuracy_name}; {losses}")

    def open_study(self) -> optuna.Study:
        """The task's study, made where missing.

        Raises:
            StorageError: as :func:`~codesign.search.study.open_study`.
        """
        return open_study(self.location, self.identity)


@dataclass(frozen=True)
class _Batch:
    """Pairs that fit the board, what they need of it, and how many were priced to find them."""

    pairs: PricedPairs
    resources: IntArray
    priced: int


def dataflow_search(task: DataflowTask, on_progress: OnProgress | None = None) -> SearchResult:
    """Search until the study counts ``task.settings.pairs`` priced pairs, or all were; a later call goes on from there.

    Raises:
        StorageError: the storage is damaged, holds another study or cannot be written.
        InfeasibleError: no pair fits the board.
    """
    study, joint = task.open_study(), task.joint
    with storage_errors(task.location):
        skipped = list[str]()
        done, archive = read_progress(study), read_front(study, joint, skipped.append)
    seen: set[bytes] = {row.tobytes() for row in archive.rows}
    stored, needs = set(seen), dict[bytes, IntArray]()
    written, idle = time.monotonic(), 0

    def write() -> None:
        fresh = np.array([row.tobytes() not in stored for row in archive.rows], dtype=bool)
        pairs = archive.take(fresh)
        board = np.array([getattr(joint.board, name) for name in RESOURCES])
        used = np.array([needs[row.tobytes()] for row in pairs.rows], dtype=np.int64).reshape(-1, len(RESOURCES))
        with storage_errors(task.location):
            study.add_trials(make_trials(joint, pairs, used, used - board, {"worker": 0}))
            study.set_user_attr("progress.worker0", asdict(done))
        stored.update(row.tobytes() for row in pairs.rows)

    try:
        while done.pairs < task.settings.pairs and idle < _IDLE_ROUNDS:
            rng = np.random.default_rng([task.settings.seed, done.rounds])
            found = _price(task, _new_rows(joint, archive, rng, seen))
            needs |= {row.tobytes(): used for row, used in zip(found.pairs.rows, found.resources, strict=True)}
            archive = concatenate([archive, found.pairs]).front()
            done = done + Progress(1, found.priced, 0, found.priced)
            idle = 0 if found.priced else idle + 1
            if on_progress is not None:
                on_progress(done)
            if time.monotonic() - written > _FLUSH_S:
                write()
                written = time.monotonic()
    finally:
        write()
    if not len(archive):
        raise InfeasibleError(f"no subnet of {joint.space.name} fits {joint.board.name} as a dataflow accelerator")
    return SearchResult(archive, done, tuple(skipped))


def _new_rows(joint: DataflowJoint, archive: PricedPairs, rng: np.random.Generator, seen: set[bytes]) -> IntArray:
    """Rows [n, G + 4] that are not in ``seen``, drawn and bred; with clock 0, as all clocks are priced at once."""
    sizes = np.array([len(choices) for _, choices in joint.parameters])
    count = _BATCH if not len(archive) else round(_IMMIGRANTS * _BATCH)
    rows = rng.integers(sizes, size=(count, len(sizes)))
    if not len(archive):
        rows[0] = 0
    else:
        parents = archive.rows[rng.integers(len(archive), size=2 * _BATCH)]
        rows = np.concatenate([rows, breed(parents, sizes, rng, _RATE)])
    rows[:, -1] = 0
    rows[:, : joint.gene_count] = joint.space.canonical(rows[:, : joint.gene_count])
    fresh = unique_rows(rows)
    keys = [b"priced" + row.tobytes() for row in fresh]
    new = np.array([key not in seen for key in keys], dtype=bool)
    seen.update(keys)
    chosen: IntArray = fresh[new]
    return chosen


def _price(task: DataflowTask, rows: IntArray) -> _Batch:
    """The pairs of ``rows`` at every clock of the board."""
    joint, clocks = task.joint, task.joint.board.clocks_mhz
    accuracy = checked_accuracy(task.oracle, rows[:, : joint.gene_count]) if len(rows) else np.zeros(0)
    found: list[tuple[IntArray, tuple[float, float, float], list[int]]] = []
    for row, float_accuracy in zip(rows, accuracy, strict=True):
        pair = joint.decode(row)
        try:
            estimates = price_clocks(lower(joint.space, pair.subnet), pair.accelerator, clocks, joint.board)
        except UnsupportedLayerError:
            continue
        used = [int(getattr(estimates[0].resources, name)) for name in RESOURCES]
        if any(need > getattr(joint.board, name) for need, name in zip(used, RESOURCES, strict=True)):
            continue
        kept = max(0.0, float(float_accuracy) - task.losses[pair.accelerator.precision_bits])
        for clock, estimate in enumerate(estimates):
            found.append((np.append(row[:-1], clock), (kept, estimate.latency_ms, estimate.energy_mj), used))
    width = len(joint.parameters)
    pairs = PricedPairs(
        np.array([row for row, _, _ in found], dtype=np.int64).reshape(-1, width),
        np.array([values for _, values, _ in found], dtype=np.float64).reshape(-1, 3),
    )
    resources = np.array([used for _, _, used in found], dtype=np.int64).reshape(-1, len(RESOURCES))
    return _Batch(pairs, resources, len(clocks) * len(rows))
