"""Accuracy oracles: the accuracies that a search asks for, from three sources."""

from pathlib import Path

from codesign.run.folder import Run
from codesign.run.requests import load_accuracies
from codesign.supernet.accuracy.official_predictor import known_space, load_official_predictor
from codesign.supernet.accuracy.oracle import AccuracyOracle
from codesign.supernet.spaces.space import Space


def measured_accuracy(run: str | Path) -> AccuracyOracle:
    """Return the oracle that measures each subnet on the validation images, with the weights of a run's supernet.

    Results are kept in the run folder, so that no subnet is measured twice.

    Args:
        run: folder of a run whose training has finished.

    Raises:
        StorageError: the run has no finished supernet, or a file is damaged.
    """
    return load_accuracies(Run(Path(run)), "measured", None).oracle


def predicted_accuracy(run: str | Path) -> AccuracyOracle:
    """Return the accuracy predictor of a run, which :func:`codesign.fit_predictor` wrote.

    Args:
        run: folder of a run.

    Raises:
        StorageError: the run has no predictor, or a file is damaged.
    """
    return load_accuracies(Run(Path(run)), "predictor", None).oracle


def official_accuracy(space: Space) -> AccuracyOracle:
    """Return the published accuracy predictor of a space, at the resolutions that it was fitted to.

    Args:
        space: OFA-MobileNetV3 of width 1.2 or OFA-ResNet50D; ``codesign fetch`` brings the predictor.

    Raises:
        InvalidValueError: no predictor was published for the space.
        FetchError: it was not fetched yet.
    """
    return load_official_predictor(known_space(space))
