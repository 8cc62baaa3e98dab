"""``codesign search|emit|csim --template hls4ml``: the run's subnets as dataflow accelerators that hls4ml emits."""

from dataclasses import asdict, dataclass

import numpy as np
import optuna

from codesign.commands.winner import rule_line
from codesign.emit.hls4ml_network import FixedPointNetwork, fixed_point
from codesign.emit.hls4ml_project import Agreement, backend_of, require_hls4ml, simulate, write_hls4ml_project
from codesign.emit.integer_reference import run_integer
from codesign.emit.quantise import quantise_image
from codesign.progress import Progress
from codesign.run.choice import say_skipped
from codesign.run.folder import REMAKE, Run, Settings, claiming, read_json
from codesign.run.records import DataflowAccuracy, DataflowFrontsRecord, DataflowRecord, PredictedCost, as_rows
from codesign.run.requests import Trained, load_accuracies, load_trained
from codesign.search.dataflow_search import DataflowTask, dataflow_search
from codesign.search.joint_space import DataflowJoint, DataflowPair
from codesign.search.pareto import PricedPairs
from codesign.search.study import StudyLocation, find_study, fitting_front, is_feasible, read_pairs, storage_errors
from codesign.search.winner import Compared, Rule, choose_priced, measure_front, pairs_to_measure, rule_of
from codesign.search.worker import SearchSettings
from codesign.supernet.accuracy.measured import CALIBRATION_IMAGES, MeasuredAccuracy
from codesign.supernet.data.data_set import Split
from codesign.supernet.lowering.workloads import lower
from codesign.supernet.network.folded_weights import fold
from codesign.supernet.spaces.space import Genes, Space
from codesign.supernet.training.threads import one_thread
from cost_models.hls4ml.estimate import check_dataflow_fits, price_dataflow
from cost_models.hls4ml.stages import reuse_factors, stages
from cost_models.resources import RESOURCES
from hw_templates.board import Board, load_board
from hw_templates.foundation.arrays import FloatArray, IntArray
from hw_templates.foundation.errors import StorageError
from hw_templates.foundation.json_records import reading, write_record
from hw_templates.hls4ml.parameters import Dataflow, DataflowSpace

SECTION = "dataflow"
RECORD, VERIFICATION, FRONT = "project.json", "verification.json", "front.json"
_LOSS_SUBNETS = 6


@dataclass(frozen=True, kw_only=True)
class DataflowRequest:
    """What a search for dataflow accelerators is asked for; fields as of a search for engines."""

    board: str
    pairs: int
    storage: str | None
    seed: int
    accuracy: str = "predictor"


@dataclass(frozen=True, kw_only=True)
class DataflowSettings(DataflowRequest, Settings):
    """A request as the run records it, with the digest of the supernet and what each precision (bits) costs there."""

    SECTION = SECTION
    COMMAND = "search RUN --template hls4ml"

    checkpoint: str
    losses: dict[str, float]

    @property
    def losses_by_bits(self) -> dict[int, float]:
        """Precision in bits to the accuracy that it costs."""
        return {int(bits): loss for bits, loss in self.losses.items()}


@dataclass(frozen=True, kw_only=True)
class EmittedDataflow:
    """The pair that was emitted, as its record says.

    Attributes:
        pair: subnet and accelerator.
        board: that it is for.
        study: name of the study that it was chosen from.
        rule: by which it was chosen.
        validation_accuracy: measured in float32, less what its precision costs.
        test_float32, test_fixed_point: accuracies on the test part.
    """

    pair: DataflowPair
    board: Board
    study: str
    rule: str
    validation_accuracy: float
    test_float32: float
    test_fixed_point: float


def read_emitted(run: Run, space: Space) -> EmittedDataflow:
    """What was emitted with template hls4ml last.

    Raises:
        StorageError: nothing was, or its record is damaged.
    """
    path = run.folder / SECTION / RECORD
    record = read_json(path, DataflowRecord)
    with reading(path, REMAKE):
        subnet = space.parse_subnet(record.subnet)
        space.check(subnet)
        return EmittedDataflow(
            pair=DataflowPair(subnet, record.accelerator),
            board=load_board(record.board),
            study=record.study,
            rule=record.rule,
            validation_accuracy=record.validation_accuracy,
            test_float32=record.test_accuracy.float32,
            test_fixed_point=record.test_accuracy.fixed_point,
        )


@claiming
def search_dataflow(run: Run, request: DataflowRequest, progress: Progress) -> None:
    """Search subnets and dataflow accelerators until as many pairs are priced as requested, or go on searching.

    What a precision costs in accuracy is measured first, on a few subnets.

    Raises:
        InvalidValueError: unknown board, or a setting out of range.
        StorageError: an earlier command has not run, or the storage is damaged or holds another study.
        UnsupportedLayerError: hls4ml cannot convert the subnets of the run's space; names a layer and says why.
        InfeasibleError: no pair fits the board.
    """
    trained = load_trained(run)
    stages(lower(trained.space, trained.space.smallest()))
    before = run.find(DataflowSettings)
    losses = {} if before is None else before.losses_by_bits
    if before is None or before.checkpoint != trained.checkpoint.digest:
        with progress.stage("precisions") as update:
            update(0.0, f"measuring what they cost on {_LOSS_SUBNETS} subnets")
            losses = _measure_losses(trained)
    task = _task(run, request, losses)
    task.open_study()
    settings = DataflowSettings(
        **asdict(request),
        checkpoint=trained.checkpoint.digest,
        losses={str(bits): loss for bits, loss in losses.items()},
    )
    run.configure(settings, replace=True)
    with progress.stage("search") as update:
        result = dataflow_search(task, lambda done: update(done.pairs / request.pairs, f"{done.pairs:,} pairs"))
    said = ", ".join(f"{bits} bits cost {loss:.2%}" for bits, loss in losses.items())
    progress.say(
        f"search     {result.progress.pairs:,} pairs priced for {task.joint.board.title} with template hls4ml, "
        f"{len(result.front)} on the front"
    )
    progress.say(f"           accuracy: {said} on {_LOSS_SUBNETS} subnets, measured")
    say_skipped(result.skipped, progress)


@claiming
def emit_dataflow(
    run: Run,
    max_latency_ms: float | None,
    min_accuracy: float | None,
    progress: Progress,
    *,
    within: float | None = None,
    rule: str | None = None,
) -> None:
    """Choose the winner, quantise it to its precision and have hls4ml write its project.

    The options are those of ``rule_of``.

    Raises:
        InvalidValueError: two options name different rules, or one is out of range.
        InfeasibleError: no pair meets the limit; says the nearest.
        StorageError: an earlier command has not run, or something cannot be read or written.
        ToolError: hls4ml is not installed, or fails.
    """
    chosen_by = rule_of(max_latency_ms, min_accuracy, within, rule)
    require_hls4ml()
    request = run.settings(DataflowSettings)
    trained, task = load_trained(run), _task(run, request, request.losses_by_bits)
    found = _found_pairs(run, task, progress)
    compared, winner = _choose(run, task, trained, found, chosen_by)
    measured = compared.front
    pair, validation = task.joint.decode(measured.rows[winner]), float(measured.accuracy[winner])
    workload = lower(trained.space, pair.subnet)
    estimate = price_dataflow(workload, pair.accelerator, task.joint.board)
    check_dataflow_fits(estimate, task.joint.board)
    with progress.stage("emit") as update:
        update(0.1, "quantising")
        fixed, float32, quantised = quantise_pair(trained, pair, Split.TEST)
        update(0.6, "hls4ml writes the project")
        folder = run.folder / SECTION
        for stale in (RECORD, VERIFICATION):
            (folder / stale).unlink(missing_ok=True)
        write_hls4ml_project(folder, fixed, pair.accelerator, task.joint.board)
    network = stages(workload, pair.accelerator.io_type)
    factors = reuse_factors(network, pair.accelerator)
    record = DataflowRecord(
        template="hls4ml",
        board=task.joint.board.name,
        backend=backend_of(task.joint.board),
        study=task.location.name,
        rule=str(chosen_by),
        subnet=pair.subnet.as_dict(),
        accelerator=pair.accelerator,
        reuse_factors=dict(zip((stage.name for stage in network), factors, strict=True)),
        validation_accuracy=validation,
        test_accuracy=DataflowAccuracy(float32, quantised),
        predicted=PredictedCost(estimate.latency_ms, estimate.energy_mj),
        resources={name: getattr(estimate.resources, name) for name in RESOURCES},
    )
    front = fitting_front(task.joint, found)
    fronts = DataflowFrontsRecord(task.location.name, as_rows(front.values), as_rows(measured.values))
    write_record(folder / FRONT, fronts)
    write_record(folder / RECORD, record)
    a, used = pair.accelerator, estimate.resources
    for line in (
        f"emit       winner: {rule_line(str(chosen_by), compared)}, for hls4ml's backend "
        f"{backend_of(task.joint.board)}",
        f"           subnet: resolution {pair.subnet.resolution}, depths {pair.subnet.depths}, {workload.macs:,} MACs",
        f"           accelerator: {a.io_type}, {a.precision_bits} bits, {a.clock_mhz} MHz, at most "
        f"{a.interval_cycles:,} cycles a layer and image",
        f"           predicted: {estimate.latency_ms:.4f} ms and {estimate.energy_mj:.4f} mJ an image; {used.dsp} DSP, "
        f"{used.bram_18k} BRAM18, {used.lut:,} LUT, {used.ff:,} FF",
        f"           test accuracy: float32 {float32:.2%}, {a.precision_bits}-bit fixed point {quantised:.2%}",
        f"           {folder}",
    ):
        progress.say(line)


def _found_pairs(run: Run, task: DataflowTask, progress: Progress) -> PricedPairs:
    """The pairs of the task's study, on a front or not."""
    study, skipped = find_study(task.location, task.identity), list[str]()
    if study is None:
        raise StorageError(
            f"{run.folder}: study {task.location.name} does not exist; "
            f"run `codesign search {run.folder} --template hls4ml` first"
        )
    with storage_errors(task.location):
        trials = [trial for trial in study.get_trials(deepcopy=False) if is_feasible(trial)]
        found = read_pairs(task.joint, trials, skipped.append)
    say_skipped(skipped, progress)
    return found


def _choose(run: Run, task: DataflowTask, trained: Trained, found: PricedPairs, rule: Rule) -> tuple[Compared, int]:
    """The pairs that were compared, by measured accuracies less what their precision costs, and the winner's index."""
    joint, oracle = task.joint, MeasuredAccuracy(trained.checkpoint, trained.data, cache=run.accuracies)

    def losses(rows: IntArray) -> FloatArray:
        return np.array([task.losses[joint.decode(row).accelerator.precision_bits] for row in rows], dtype=np.float64)

    def compare(front: PricedPairs) -> Compared:
        chosen = pairs_to_measure(joint, front, oracle)
        return Compared(measure_front(joint, chosen, oracle, losses=losses), "measured")

    def price(row: IntArray) -> tuple[float, float]:
        pair = joint.decode(row)
        estimate = price_dataflow(lower(joint.space, pair.subnet), pair.accelerator, joint.board)
        return estimate.latency_ms, estimate.energy_mj

    return choose_priced(joint, found, rule, compare, price)


@claiming
def csim_dataflow(run: Run, images: int | None, progress: Progress) -> None:
    """Compile the project with hls4ml and compare it with the fixed-point network on the test images.

    Raises:
        StorageError: nothing is emitted yet, or its record is corrupt.
        ToolError: hls4ml is not installed, or the code does not compile.
        VerificationError: a logit differs by more than the precision allows.
    """
    require_hls4ml()
    folder, trained = run.folder / SECTION, load_trained(run)
    emitted = read_emitted(run, trained.space)
    fixed, _, _ = quantise_pair(trained, emitted.pair, Split.TEST)
    test = trained.data.resized(Split.TEST, emitted.pair.subnet.resolution).numpy()[:images]
    with progress.stage("csim") as update:
        update(0.0, "hls4ml compiles and runs")
        model = write_hls4ml_project(folder, fixed, emitted.pair.accelerator, emitted.board)
        agreement = simulate(model, fixed, quantise_image(fixed.network, test, fixed.bits))
    write_record(folder / VERIFICATION, agreement)
    _say_agreement(agreement, progress)


def _say_agreement(agreement: Agreement, progress: Progress) -> None:
    progress.say(
        f"csim       {agreement.images} test images through hls4ml's C++: {agreement.same_class:.1%} of equal class, "
        f"largest difference of a logit {agreement.largest_difference:g} (half a step: {agreement.tolerance:g})"
    )


def _task(run: Run, request: DataflowRequest, losses: dict[int, float]) -> DataflowTask:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    accuracies, board = load_accuracies(run, request.accuracy, None), load_board(request.board)
    name = f"hls4ml-{accuracies.space.name}-{board.name}-{accuracies.digest[:8]}-seed{request.seed}"
    return DataflowTask(
        location=StudyLocation(request.storage or str(run.study), name),
        joint=DataflowJoint(accuracies.space, DataflowSpace(board)),
        oracle=accuracies.oracle,
        losses=losses,
        accuracy_name=f"{accuracies.source} {accuracies.digest}",
        settings=SearchSettings(request.pairs, request.seed),
    )


def _measure_losses(trained: Trained) -> dict[int, float]:
    """What each precision costs in accuracy: mean over a few random subnets, on the validation part, never negative."""
    space = trained.space
    genes: Genes = space.sample_genes(np.random.default_rng(0), _LOSS_SUBNETS)
    (_, precisions), *_ = DataflowSpace(load_board("pynq-z2")).genes
    losses = {}
    for bits in map(int, precisions):
        design = Dataflow.from_dict(
            {"precision_bits": bits, "io_type": "io_stream", "interval_cycles": 4096, "clock_mhz": 100}
        )
        results = [quantise_pair(trained, DataflowPair(space.decode(row), design), Split.VALIDATION) for row in genes]
        losses[bits] = max(0.0, float(np.mean([before - after for _, before, after in results])))
    return losses


@one_thread()
def quantise_pair(trained: Trained, pair: DataflowPair, split: Split) -> tuple[FixedPointNetwork, float, float]:
    """The subnet in fixed point, and the accuracies of both on a part of the data: in floating and in fixed point."""
    workload = lower(trained.space, pair.subnet)
    calibration = trained.data.resized(Split.TRAIN, pair.subnet.resolution)[:CALIBRATION_IMAGES]
    weights = fold(trained.checkpoint.supernet(), pair.subnet, calibration)
    fixed = fixed_point(workload, weights, calibration.numpy(), pair.accelerator.precision_bits)
    images = quantise_image(fixed.network, trained.data.resized(split, pair.subnet.resolution).numpy(), fixed.bits)
    right = run_integer(fixed.network, images).argmax(axis=1) == trained.data.labels[split].numpy()
    measured = MeasuredAccuracy(trained.checkpoint, trained.data, split=split)
    before = float(measured.accuracy(trained.space.encode(pair.subnet)[None])[0])
    return fixed, before, float(right.mean())
