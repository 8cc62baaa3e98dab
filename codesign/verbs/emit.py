"""``codesign emit``: from the front to a winning pair, int8, and an HLS project."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.emit.integer_reference import run_integer
from codesign.emit.project import Design, project_files, write_project
from codesign.emit.quantise import quantise, quantise_image
from codesign.progress import Progress
from codesign.run import Run, write_json
from codesign.search.study import storage_errors
from codesign.search.winner import (
    BestAccuracyWithin,
    Knee,
    LeastLatencyAbove,
    Rule,
    Winner,
    choose_winner,
    measure_front,
)
from codesign.search.worker import read_front, read_progress
from codesign.supernet.accuracy import CALIBRATION_IMAGES, MeasuredAccuracy
from codesign.supernet.data import Split
from codesign.supernet.export import fold
from codesign.supernet.lowering import lower
from codesign.supernet.threads import one_thread
from codesign.verbs.context import Searched, load_searched
from cost_models.estimate import price
from cost_models.resources import check_fits
from hw_templates.errors import InvalidValueError, StorageError

MEASURED_PAIRS = 200


@dataclass(frozen=True)
class TestAccuracy:
    """Of the winner on the test images, which nothing before has seen."""

    float32: float
    int8: float


def emit(run: Run, max_latency_ms: float | None, min_accuracy: float | None, progress: Progress) -> None:
    """Choose the winner, quantise it and write its project.

    Raises:
        InvalidValueError: both limits are given, or one is out of range.
        InfeasibleError: no pair meets the limit; says the nearest.
        StorageError: an earlier verb has not run, or something cannot be read or written.
    """
    rule = _rule(max_latency_ms, min_accuracy)
    searched = load_searched(run)
    winner = _choose(run, searched, rule, progress)
    with progress.stage("emit") as update:
        update(0.1, "quantising")
        design, images, accuracy = quantised_design(searched, winner)
        update(0.7, "writing the project")
        origin: dict[str, Any] = {
            "study": searched.task.location.name,
            "space": searched.trained.space.name,
            "checkpoint": searched.trained.checkpoint.digest,
            "subnet": winner.pair.subnet.as_dict(),
            "rule": winner.rule,
            "validation_accuracy": winner.accuracy,
            "test_accuracy": {"float32": accuracy.float32, "int8": accuracy.int8},
        }
        write_project(run.project, project_files(design, images, origin))
    run.configure("emit", {"max_latency_ms": max_latency_ms, "min_accuracy": min_accuracy}, replace=True)
    a, subnet, estimate = winner.pair.accelerator, winner.pair.subnet, design.estimate
    lines = (
        f"emit       winner: {winner.rule}",
        f"           subnet: resolution {subnet.resolution}, depths {subnet.depths}, "
        f"{design.network.workload.macs:,} MACs",
        f"           accelerator: {a.pe_rows} x {a.pe_cols} x {a.pe_pixels} PEs, {a.pack} products a DSP, "
        f"{a.clock_mhz} MHz, buffers {a.ifmap_kib}/{a.weight_kib}/{a.ofmap_kib} KiB",
        f"           predicted: {estimate.latency_ms:.4f} ms and {estimate.energy_mj:.4f} mJ an image",
        f"           test accuracy: float32 {accuracy.float32:.2%}, int8 {accuracy.int8:.2%}",
        f"           {run.project}",
    )
    for line in lines:
        progress.say(line)


def _rule(max_latency_ms: float | None, min_accuracy: float | None) -> Rule:
    if max_latency_ms is not None and min_accuracy is not None:
        raise InvalidValueError("min_accuracy", min_accuracy, "left out where max_latency_ms is given")
    if max_latency_ms is not None:
        return BestAccuracyWithin(max_latency_ms)
    return Knee() if min_accuracy is None else LeastLatencyAbove(min_accuracy)


def _choose(run: Run, searched: Searched, rule: Rule, progress: Progress) -> Winner:
    """The winner of the front once its accuracies are measured and no longer predicted."""
    study = searched.task.open_study()
    with storage_errors(searched.task.location):
        if not read_progress(study).pairs:
            raise StorageError(
                f"{run.folder}: study {searched.task.location.name} holds no search with this predictor yet; "
                f"run `codesign search {run.folder}` first"
            )
        front = read_front(study, searched.joint)
    trained = searched.trained
    oracle = MeasuredAccuracy(trained.checkpoint, trained.data, cache=run.accuracies)
    with progress.stage("measure the front") as update:
        update(0.0, f"{min(len(front), MEASURED_PAIRS)} of {len(front)} pairs")
        measured = measure_front(searched.joint, front, oracle, MEASURED_PAIRS)
    winner = choose_winner(searched.joint, measured, rule)
    write_json(run.measured_front, {"study": searched.task.location.name, "front": measured.values.tolist()})
    return winner


@one_thread()
def quantised_design(searched: Searched, winner: Winner) -> tuple[Design, npt.NDArray[np.int8], TestAccuracy]:
    """The winner as a design, the test images as it reads them, and how it does on them."""
    trained, pair = searched.trained, winner.pair
    check_fits(pair.accelerator, searched.board)
    workload = lower(trained.space, pair.subnet)
    estimate = price(workload, pair.accelerator, searched.board, searched.task.coefficients)
    calibration = trained.data.resized(Split.TRAIN, pair.subnet.resolution)[:CALIBRATION_IMAGES]
    supernet = trained.checkpoint.supernet()
    network = quantise(workload, fold(supernet, pair.subnet, calibration), calibration.numpy())
    test = trained.data.resized(Split.TEST, pair.subnet.resolution)
    labels = trained.data.labels[Split.TEST].numpy()
    images = quantise_image(network, test.numpy())
    right = run_integer(network, images).argmax(axis=1) == labels
    measured = MeasuredAccuracy(trained.checkpoint, trained.data, split=Split.TEST)
    float32 = measured.accuracy(trained.space.encode(pair.subnet)[None])
    accuracy = TestAccuracy(float32=float(float32[0]), int8=float(right.mean()))
    return Design(network, pair.accelerator, searched.board, estimate), images, accuracy
