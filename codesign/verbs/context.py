"""What verbs read back from a run folder before they begin."""

import hashlib
from dataclasses import dataclass

import optuna

from codesign.run import Run, wrong_content
from codesign.search.joint_search import SearchTask
from codesign.search.joint_space import JointSpace
from codesign.search.study import StudyLocation
from codesign.search.worker import SearchSettings
from codesign.supernet.checkpoint import Checkpoint, read_checkpoint
from codesign.supernet.data import DataSet, load_digits
from codesign.supernet.predictor import read_predictor
from codesign.supernet.space import Space
from codesign.supernet.spaces import load_space
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
    settings = run.settings("train")
    with wrong_content(run.configuration):
        space = load_space(settings["space"])
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


@dataclass(frozen=True)
class SearchRequest:
    """What a search is asked for.

    Attributes:
        storage: an Optuna storage URL; None for the journal in the run folder.
    """

    board: str
    pairs: int
    workers: int
    storage: str | None
    seed: int
    coefficients: str = "prior"


def recorded_request(run: Run) -> SearchRequest:
    """What the run's search was last asked for.

    Raises:
        StorageError: it has not searched yet, or its configuration is corrupt.
    """
    settings = run.settings("search")
    with wrong_content(run.configuration):
        request = SearchRequest(**settings)
        for name in ("pairs", "workers", "seed"):
            if not isinstance(settings[name], int):
                raise TypeError(f"search.{name} must be a whole number")
        if not (request.storage is None or isinstance(request.storage, str)):
            raise TypeError("search.storage must be text")
    return request


def load_searched(run: Run, request: SearchRequest | None = None) -> Searched:
    """The run's search, or the one requested; nothing is written.

    Raises:
        InvalidValueError: unknown board or coefficients, or a number out of range.
        StorageError: an earlier verb has not run, or its result is damaged.
    """
    # Optuna tells of every study it opens; what the verbs show says more.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    request = request or recorded_request(run)
    board, coefficients = load_board(request.board), load_coefficients(request.coefficients)
    trained = load_trained(run)
    predictor = read_predictor(run.predictor, trained.space, trained.checkpoint.digest)
    joint = JointSpace(trained.space, AcceleratorSpace(board))
    # Another predictor makes another study, for their accuracies do not compare; another seed does too.
    accuracies = hashlib.sha256(run.predictor.read_bytes()).hexdigest()[:16]
    name = f"{trained.space.name}-{board.name}-{accuracies[:8]}-seed{request.seed}"
    task = SearchTask(
        location=StudyLocation(request.storage or str(run.study), name),
        joint=joint,
        coefficients=coefficients,
        oracle=predictor,
        accuracy_name=f"predictor {accuracies}",
        settings=SearchSettings(request.pairs, request.seed, request.workers),
    )
    return Searched(trained, board, joint, task)
