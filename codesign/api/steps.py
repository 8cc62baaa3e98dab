"""The steps of a run, each as one call: from training to a report, or to a board."""

from pathlib import Path

from bitstreams.board.target import parse_target
from codesign.commands import pairs, training
from codesign.commands import report as report_command
from codesign.commands.check import CheckResult
from codesign.commands.check import check as check_command
from codesign.commands.deploy import deploy as deploy_command
from codesign.commands.pairs import CsimResult, EmitResult, WinnerResult
from codesign.commands.report import ReportResult
from codesign.progress import Progress, Silent
from codesign.run.folder import Run
from codesign.run.records import DeployRecord
from codesign.run.requests import EmitRequest
from codesign.templates.template import Simulation


def train(
    run: str | Path,
    *,
    space: str | None = None,
    schedule: str | None = None,
    data: str | Path | None = None,
    subnet: str | None = None,
    start_from: str | Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> training.TrainResult | None:
    """Train a supernet by progressive shrinking, or one subnet alone; a later call resumes.

    Args:
        run: folder of the run.
        space: name of a space or path of its TOML file; by default ``digits``, or that of ``start_from``.
        schedule: name of a training schedule or path of its TOML file; by default the one called as the space.
        data: folder of images; by default scikit-learn's digits, which the package embeds.
        subnet: the one subnet to train: ``largest``, ``smallest``, or a JSON file.
        start_from: folder of the run whose weights to start from.
        seed: of weights and draws.
        progress: shows progress.

    Returns:
        The result; None in all but the first of several processes that torchrun started.

    Raises:
        InvalidValueError: unknown space, schedule or subnet, or others than the run began with.
        StorageError: a checkpoint is damaged or cannot be written, or another process works in the run.
    """
    request = training.request_training(
        space,
        schedule,
        seed,
        None if data is None else Path(data),
        subnet,
        None if start_from is None else Path(start_from),
    )
    return training.train(Run(Path(run)), request, progress or Silent())


def fit_predictor(
    run: str | Path, *, samples: int = 300, seed: int = 0, progress: Progress | None = None
) -> training.PredictorResult:
    """Measure subnets with the weights of a run's supernet, and fit the accuracy predictor.

    Args:
        run: folder of a run whose training has finished.
        samples: subnets to measure; a fifth of them is left out to judge the predictor.
        seed: of the draws.
        progress: shows progress.

    Raises:
        InvalidValueError: too few samples, or more than half of the space.
        StorageError: the run has no finished supernet, or something cannot be written.
    """
    return training.fit(Run(Path(run)), samples, seed, progress or Silent())


def winner(
    run: str | Path,
    *,
    max_latency_ms: float | None = None,
    min_accuracy: float | None = None,
    within: float | None = None,
    rule: str | None = None,
    template: str = "engine",
    progress: Progress | None = None,
) -> WinnerResult:
    """Choose the winning pair of a run's search as it stands; by default the fastest within one point of the best.

    Args:
        run: folder of a run that was searched.
        max_latency_ms: choose the most accurate pair within this.
        min_accuracy: choose the fastest pair of at least this, 0 to 1.
        within: choose the fastest pair within this many percentage points of the best accuracy.
        rule: ``within``, or ``knee`` for the knee of the front in accuracy and latency.
        template: name of the kind of hardware.
        progress: shows progress.

    Raises:
        InvalidValueError: two options name different rules, or one is out of range.
        InfeasibleError: no pair meets the limit; says the nearest.
        StorageError: nothing was searched yet.
    """
    request = EmitRequest(max_latency_ms=max_latency_ms, min_accuracy=min_accuracy, within=within, rule=rule)
    return pairs.winner(Run(Path(run)), request, progress or Silent(), template=template)


def emit(
    run: str | Path,
    *,
    max_latency_ms: float | None = None,
    min_accuracy: float | None = None,
    within: float | None = None,
    rule: str | None = None,
    implementation: str | None = None,
    template: str = "engine",
    progress: Progress | None = None,
) -> EmitResult:
    """Measure the front, choose the winning pair as :func:`codesign.winner` does, and write its project.

    Args:
        run: folder of a run that was searched.
        max_latency_ms, min_accuracy, within, rule: as for :func:`codesign.winner`.
        implementation: of the engine, ``hls`` or ``rtl``, if only what was searched for it is to be emitted.
        template: name of the kind of hardware.
        progress: shows progress.

    Raises:
        InvalidValueError: two options name different rules, or one is out of range.
        InfeasibleError: no pair meets the limit; says the nearest.
        StorageError: nothing was searched yet, or the run has no weights.
        ToolError: a tool of the template is missing.
    """
    request = EmitRequest(max_latency_ms=max_latency_ms, min_accuracy=min_accuracy, within=within, rule=rule)
    return pairs.emit(Run(Path(run)), request, progress or Silent(), template=template, implementation=implementation)


def csim(
    run: str | Path,
    *,
    images: int | None = None,
    sanitize: bool = False,
    implementation: str | None = None,
    template: str = "engine",
    progress: Progress | None = None,
) -> CsimResult:
    """Simulate the emitted project, and prove that its results equal the integer reference's bit for bit.

    An engine in C++ is compiled by g++; one in Verilog is simulated clock by clock by Verilator.

    Args:
        run: folder of a run with an emitted project.
        images: number of test images, at least 1; by default all.
        sanitize: whether to run under sanitizers for addresses and undefined behaviour.
        implementation: of the engine, ``hls`` or ``rtl``, if only a project of it is to be simulated.
        template: name of the kind of hardware.
        progress: shows progress.

    Raises:
        StorageError: nothing is emitted yet, or it was changed since.
        InvalidValueError: no image, the project is of another implementation, or sanitizers where it is ``rtl``.
        ToolError: make, g++ or Verilator is missing, or the code does not compile.
        VerificationError: a result differs, or an iteration count from that of the cost model.
    """
    simulation = Simulation(images=images, sanitize=sanitize, implementation=implementation)
    return pairs.csim(Run(Path(run)), progress or Silent(), simulation, template=template)


def check(run: str | Path, *, template: str = "engine", progress: Progress | None = None) -> CheckResult:
    """Check the emitted project as far as that can be done without a board or a vendor's tools.

    A check that fails, or whose tool is not installed, is part of the result; ``require()`` raises where one failed.
    What passed is not checked again until the project changes.

    Args:
        run: folder of a run with an emitted project.
        template: name of the kind of hardware.
        progress: shows progress.

    Raises:
        StorageError: nothing is emitted yet, or it was changed since.
    """
    return check_command(Run(Path(run)), progress or Silent(), template=template)


def report(run: str | Path, *, template: str | None = None, progress: Progress | None = None) -> ReportResult:
    """Draw a run as one HTML page with pictures.

    Args:
        run: folder of a run with an emitted and verified project.
        template: name of the kind of hardware; by default one that was searched.
        progress: shows progress.

    Raises:
        StorageError: an earlier step has not run yet.
    """
    return report_command.report(Run(Path(run)), progress or Silent(), template=template)


def deploy(
    run: str | Path,
    board: str,
    *,
    via: str = "ssh",
    power: str | None = None,
    repetitions: int = 50,
    timeout_s: float = 10.0,
    implementation: str | None = None,
    progress: Progress | None = None,
) -> DeployRecord:
    """Run the emitted project on a board, and return accuracy, latency and energy with the prediction.

    Args:
        run: folder of the run.
        board: ``BOARD@HOST``, or the name of a board alone with ``via="twin"``.
        via: ``ssh``, ``remote`` (PYNQ.remote), ``local``, or ``twin`` for the emitted engine compiled with g++.
        power: where power is read: ``hwmon``, ``rails``, or the path of a meter's CSV; by default nowhere.
        repetitions: how often the timed image is run.
        timeout_s: limit for one start of the engine.
        implementation: of the engine, ``hls`` or ``rtl``, if only a project of it is to be run.
        progress: shows progress.

    Raises:
        InvalidValueError: the board or the implementation is another than the project's, or the board cannot be
            reached in that way.
        StorageError: nothing is emitted yet, or it was changed since.
        BoardError: the board cannot be reached, or stops answering.
        VerificationError: the board's results differ from the integer reference.
    """
    return deploy_command(
        Run(Path(run)),
        parse_target(board, via),
        None,
        progress or Silent(),
        power=power,
        repetitions=repetitions,
        timeout_s=timeout_s,
        implementation=implementation,
    )
