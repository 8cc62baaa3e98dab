"""What verbs read back from a run folder before they begin."""

import hashlib
from dataclasses import dataclass

import optuna

from codesign.run import Run
from codesign.search.joint_search import SearchTask
from codesign.search.joint_space import JointSpace
from codesign.search.study import StudyLocation
from codesign.search.worker import SearchSettings
from codesign.supernet.checkpoint import Checkpoint, read_checkpoint
from codesign.supernet.data import DataSet, load_digits
from codesign.supernet.predictor import read_predictor
from codesign.supernet.space import Space, load_space
from cost_models.coefficients import load_coefficients
from hw_templates.accelerator_space import AcceleratorSpace
from hw_templates.board import Board, load_board
from hw_templates.errors import InvalidValueError, StorageError


@dataclass(frozen=True)
class Trained:
    """A trained supernet with the data that trained it."""

    space: Space
    data: DataSet
    checkpoint: Checkpoint


def load_data(space: Space) -> DataSet:
    """The images that a space is for.

    Raises:
        InvalidValueError: no data set is known for it.
    """
    if space.name != "digits":
        raise InvalidValueError("train.space", space.name, "digits, the one space with a data set")
    return load_digits()


def load_trained(run: Run) -> Trained:
    """The run's finished supernet.

    Raises:
        StorageError: it is not there, not finished, or damaged.
    """
    space = load_space(run.settings("train")["space"])
    checkpoint = read_checkpoint(run.checkpoint, space)
    if not checkpoint.finished:
        raise StorageError(
            f"{run.checkpoint}: training stopped at step {checkpoint.step} of {checkpoint.schedule.steps}; "
            f"run `codesign train {run.folder}` to finish it"
        )
    return Trained(space, load_data(space), checkpoint)


@dataclass(frozen=True)
class Searched:
    """A search as a run asked for it; its study may hold anything from nothing to all of it."""

    trained: Trained
    board: Board
    joint: JointSpace
    task: SearchTask


def load_searched(run: Run) -> Searched:
    """The run's search.

    Raises:
        StorageError: an earlier verb has not run, or its result is damaged.
    """
    # Optuna tells of every study it opens; what the verbs show says more.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    settings = run.settings("search")
    trained = load_trained(run)
    predictor = read_predictor(run.predictor, trained.space, trained.checkpoint.digest)
    board = load_board(settings["board"])
    joint = JointSpace(trained.space, AcceleratorSpace(board))
    # Another predictor makes another study: their accuracies do not compare.
    accuracies = hashlib.sha256(run.predictor.read_bytes()).hexdigest()[:16]
    name = f"{trained.space.name}-{board.name}-{accuracies[:8]}"
    task = SearchTask(
        location=StudyLocation(settings["storage"] or str(run.study), name),
        joint=joint,
        coefficients=load_coefficients(settings["coefficients"]),
        oracle=predictor,
        accuracy_name=f"predictor {accuracies}",
        settings=SearchSettings(settings["pairs"], settings["seed"], settings["workers"]),
    )
    return Searched(trained, board, joint, task)
