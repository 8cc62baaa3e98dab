"""The steps of a run, each as one call: from training to a report, or to a board."""

from pathlib import Path

from codesign.commands import deploy as deploy_command
from codesign.commands import predictor as predictor_command
from codesign.commands import train as train_command
from codesign.progress import Progress, Silent
from codesign.run.folder import Run
from codesign.run.records import DeployRecord


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
) -> train_command.TrainResult | None:
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
    request = train_command.request_training(
        space,
        schedule,
        seed,
        None if data is None else Path(data),
        subnet,
        None if start_from is None else Path(start_from),
    )
    return train_command.train(Run(Path(run)), request, progress or Silent())


def fit_predictor(
    run: str | Path, *, samples: int = 300, seed: int = 0, progress: Progress | None = None
) -> predictor_command.PredictorResult:
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
    return predictor_command.fit(Run(Path(run)), samples, seed, progress or Silent())


def deploy(
    run: str | Path,
    board: str,
    *,
    via: str = "ssh",
    power: str | None = None,
    repetitions: int = 50,
    timeout_s: float = 10.0,
    progress: Progress | None = None,
) -> DeployRecord:
    """Run the emitted project on a board, and return accuracy, latency and energy beside the prediction.

    Args:
        run: folder of the run.
        board: ``BOARD@HOST``, or the name of a board alone with ``via="twin"``.
        via: ``ssh``, ``remote`` (PYNQ.remote), ``local``, or ``twin`` for the emitted engine compiled with g++.
        power: where power is read: ``hwmon``, ``rails``, or the path of a meter's CSV; by default nowhere.
        repetitions: how often the timed image is run.
        timeout_s: limit for one start of the engine.
        progress: shows progress.

    Raises:
        InvalidValueError: the board is another than the project's, or cannot be reached in that way.
        StorageError: nothing is emitted yet, or it was changed since.
        BoardError: the board cannot be reached, or stops answering.
        VerificationError: the board's results differ from the integer reference.
    """
    request = deploy_command.DeployRequest(
        board=board, via=via, power=power, repetitions=repetitions, timeout_s=timeout_s
    )
    return deploy_command.deploy(Run(Path(run)), request, None, progress or Silent())
