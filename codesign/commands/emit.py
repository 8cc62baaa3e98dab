"""``codesign emit``: from the front to a winning pair, int8, and an HLS project."""

import numpy as np
import numpy.typing as npt

from codesign.commands.winner import pair_lines, rule_line
from codesign.emit.integer_reference import run_integer
from codesign.emit.project import Design, project_files, write_project
from codesign.emit.quantise import quantise, quantise_image
from codesign.progress import Progress
from codesign.run.choice import choose
from codesign.run.folder import Run, claiming
from codesign.run.records import ComparedRecord, as_rows
from codesign.run.requests import EmitRequest, Searched, Trained, load_searched, load_weights
from codesign.search.winner import Winner, rule_of
from codesign.supernet.accuracy.measured import CALIBRATION_IMAGES, MeasuredAccuracy
from codesign.supernet.data.data_set import Split
from codesign.supernet.lowering.workloads import lower
from codesign.supernet.network.folded_weights import fold
from codesign.supernet.training.threads import one_thread
from cost_models.closed_form.estimate import price
from cost_models.resources import check_fits
from hw_templates.foundation.json_records import write_record
from hw_templates.project.record import Origin, ProjectAccuracy


@claiming
def emit(
    run: Run,
    max_latency_ms: float | None,
    min_accuracy: float | None,
    progress: Progress,
    *,
    within: float | None = None,
    rule: str | None = None,
) -> None:
    """Choose the winner, quantise it and write its project; the options are those of ``rule_of``.

    Raises:
        InvalidValueError: two options name different rules, or one is out of range.
        InfeasibleError: no pair meets the limit; says the nearest.
        StorageError: an earlier command has not run, or something cannot be read or written.
    """
    chosen_by = rule_of(max_latency_ms, min_accuracy, within, rule)
    searched = load_searched(run)
    trained = load_weights(run, searched)
    winner, compared = choose(run, searched, trained, chosen_by, True, progress)
    front = ComparedRecord(searched.task.location.name, as_rows(compared.front.values))
    write_record(run.measured_front, front)
    with progress.stage("emit") as update:
        update(0.1, "quantising")
        design, images, accuracy = quantised_design(trained, searched, winner)
        update(0.7, "writing the project")
        origin = Origin(
            study=searched.task.location.name,
            space=trained.space.name,
            checkpoint=trained.checkpoint.digest,
            subnet=winner.pair.subnet.as_dict(),
            rule=winner.rule,
            validation_accuracy=winner.accuracy,
            test_accuracy=accuracy,
        )
        write_project(run.project, project_files(design, images, origin))
    request = EmitRequest(max_latency_ms=max_latency_ms, min_accuracy=min_accuracy, within=within, rule=rule)
    run.configure(request, replace=True)
    lines = (
        f"emit       winner: {rule_line(winner.rule, compared)}",
        *pair_lines(winner.pair, design.estimate, design.network.workload.macs, searched.task.coefficients),
        f"           test accuracy: float32 {accuracy.float32:.2%}, int8 {accuracy.int8:.2%}",
        f"           {run.project}",
    )
    for line in lines:
        progress.say(line)


@one_thread()
def quantised_design(
    trained: Trained, searched: Searched, winner: Winner
) -> tuple[Design, npt.NDArray[np.int8], ProjectAccuracy]:
    """The winner as a design, the test images as it reads them, and how it does on them."""
    pair = winner.pair
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
    accuracy = ProjectAccuracy(float32=float(float32[0]), int8=float(right.mean()))
    return Design(network, pair.accelerator, searched.board, estimate), images, accuracy
