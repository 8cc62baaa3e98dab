"""Optuna studies of the joint space: opening one that fits, and pairs as its trials."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning, OptunaError
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from codesign.search.joint_space import JointSpace
from codesign.search.journal import open_journal
from codesign.search.pareto import MAXIMISED, OBJECTIVES, PricedPairs, check_possible, concatenate, no_pairs
from codesign.search.problem import Problem, SearchSettings
from codesign.supernet.accuracy.oracle import AccuracyOracle
from cost_models.resources import RESOURCES
from hw_templates.foundation.arrays import IntArray
from hw_templates.foundation.errors import CodesignError, InvalidValueError, StorageError

FORMAT_VERSION = 1
DIRECTIONS = [StudyDirection.MAXIMIZE if maximised else StudyDirection.MINIMIZE for maximised in MAXIMISED]


Identity = Mapping[str, str | int]
"""Everything that the numbers of a study depend on, by the names of its user attributes."""
_OLDER = {"implementation": "hls"}
"""Attributes that studies lack which are older than a choice of them."""


@dataclass(frozen=True)
class StudyLocation:
    """Place of a study.

    Attributes:
        storage: a URL that Optuna takes (``sqlite:///x.db``, ``postgresql://...``), or the path of a journal file.
        name: the study's name in that storage.
    """

    storage: str
    name: str

    def __post_init__(self) -> None:
        for field in ("storage", "name"):
            if not getattr(self, field):
                raise InvalidValueError(f"study.{field}", getattr(self, field), "not empty")


@dataclass(frozen=True, kw_only=True)
class SearchTask:
    """A problem to search, with the place of its study and the settings.

    Attributes:
        location: of the study.
        problem: the pairs and their prices.
        oracle: accuracies; with several workers it is sent to them, so it must be picklable.
        accuracy_name: where accuracies come from, such as a digest; part of the study's identity.
        settings: budget, seed, workers.
    """

    location: StudyLocation
    problem: Problem
    oracle: AccuracyOracle
    accuracy_name: str
    settings: SearchSettings

    def __post_init__(self) -> None:
        if self.problem.one_process and self.settings.workers != 1:
            raise InvalidValueError("search.workers", self.settings.workers, f"1 for template {self.problem.template}")

    @property
    def identity(self) -> Identity:
        """The identity that the task's study must state."""
        joint = self.problem.joint
        losses = ", ".join(f"{what} -{loss:.4f}" for what, loss in sorted(self.problem.losses.items()))
        return {
            "space": joint.space.name,
            "format_version": FORMAT_VERSION,
            "parameters": joint.digest,
            "board": joint.board.name,
            "coefficients": self.problem.model,
            "implementation": self.problem.implementation.value,
            "accuracy": f"{self.accuracy_name}; {losses}" if losses else self.accuracy_name,
        }

    def open_study(self) -> optuna.Study:
        """Return the task's study, made where missing.

        Raises:
            StorageError: as :func:`open_study`.
        """
        return open_study(self.location, self.identity)


def open_study(location: StudyLocation, identity: Identity) -> optuna.Study:
    """The study at ``location``, made where missing. Nothing in the storage is ever deleted or overwritten.

    A study whose maker was killed before it was complete is completed.

    Raises:
        StorageError: the storage cannot be opened or is damaged, or the study there has another identity.
    """
    with storage_errors(location):
        storage = _open_storage(location)
        try:
            study = optuna.load_study(study_name=location.name, storage=storage)
        except KeyError:
            # Another worker may make it at this moment.
            study = optuna.create_study(
                storage=storage, study_name=location.name, directions=DIRECTIONS, load_if_exists=True
            )
        if _is_unfinished(study, identity):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                study.set_metric_names(list(OBJECTIVES))
            for key, value in identity.items():
                study.set_user_attr(key, value)
        _check_identity(study, location, identity)
    return study


def find_study(location: StudyLocation, identity: Identity) -> optuna.Study | None:
    """The study at ``location``, or None where there is none with an identity yet; none is made.

    Raises:
        StorageError: the storage cannot be opened or is damaged, or the study there has another identity.
    """
    if not _storage_exists(location):
        return None
    with storage_errors(location):
        try:
            study = optuna.load_study(study_name=location.name, storage=_open_storage(location))
        except KeyError:
            return None
        if _is_unfinished(study, identity):
            return None
        _check_identity(study, location, identity)
    return study


def _open_storage(location: StudyLocation) -> BaseStorage:
    if "://" in location.storage:
        return RDBStorage(location.storage)
    return open_journal(Path(location.storage))


def _storage_exists(location: StudyLocation) -> bool:
    """Say whether there is a storage to look into; to open a file that is missing would make it."""
    if "://" not in location.storage:
        return Path(location.storage).exists()
    with storage_errors(location):
        url = make_url(location.storage)
    database = url.database or ""
    return url.get_backend_name() != "sqlite" or database.startswith("file:") or Path(database).exists()


def _is_unfinished(study: optuna.Study, identity: Identity) -> bool:
    """Say whether the maker of a study was killed before its identity and the names of its values were all written.

    Nothing but a part of ``identity`` is there then; trials come later.
    """
    written = study.user_attrs
    if study.directions != DIRECTIONS or not written.items() <= identity.items() or study.get_trials(deepcopy=False):
        return False
    return written != identity or study.metric_names is None


@contextmanager
def storage_errors(location: StudyLocation) -> Iterator[None]:
    """Turns what Optuna and SQLAlchemy raise about a storage into StorageError."""
    try:
        yield
    except (OptunaError, SQLAlchemyError, OSError, ImportError) as error:
        reason = (str(error).splitlines() or [repr(error)])[0]
        raise StorageError(f"study {location.name!r} in {location.storage}: {reason}") from error


def _check_identity(study: optuna.Study, location: StudyLocation, identity: Identity) -> None:
    if study.directions != DIRECTIONS:
        raise StorageError(
            f"study {location.name!r} in {location.storage}: not a study of the joint space "
            f"(it must maximise accuracy and minimise latency and energy); name another study"
        )
    # What differs says more than what is missing.
    attributes = {**_OLDER, **study.user_attrs}
    for key, wanted in sorted(identity.items(), key=lambda item: item[0] not in attributes):
        if attributes.get(key) != wanted:
            found = repr(attributes[key]) if key in attributes else "nothing"
            raise StorageError(
                f"study {location.name!r} in {location.storage}: its {key} is {found}, this search has {wanted!r}; "
                "name another study or storage"
            )


def make_trials(joint: JointSpace[Any], pairs: PricedPairs, needs: IntArray, worker: int) -> list[FrozenTrial]:
    """Return finished trials of ``pairs``, for ``study.add_trials``.

    Args:
        joint: the space of the pairs.
        pairs: n pairs with finite values.
        needs: [n, 5] resources that each accelerator takes, in the order of ``RESOURCES``. They are kept as user
            attributes; the constraints are by how much they exceed the board, and are met where zero or less.
        worker: number of the worker that found the pairs.
    """
    return [
        create_trial(
            params=params,
            distributions={name: joint.distributions[name] for name in params},
            values=values,
            constraints=dict(zip(RESOURCES, over, strict=True)),
            user_attrs={**dict(zip(RESOURCES, needed, strict=True)), "worker": worker},
        )
        for params, values, needed, over in zip(
            joint.params(pairs.rows),
            pairs.values.tolist(),
            needs.tolist(),
            (needs - joint.available).tolist(),
            strict=True,
        )
    ]


def is_feasible(trial: FrozenTrial) -> bool:
    """Say whether a trial is complete and meets the constraints that it states; it need not state any.

    Whether it fits the board follows from its parameters: :meth:`~.problem.Problem.fits`.
    """
    try:
        stated = tuple(trial.constraints.values())
    except (AttributeError, TypeError):
        # Whoever else writes to the study may leave attributes that are none of a trial.
        return False
    return trial.state == TrialState.COMPLETE and all(isinstance(v, int | float) and v <= 0 for v in stated)


def read_pairs(
    joint: JointSpace[Any],
    trials: Iterable[FrozenTrial],
    on_skipped: Callable[[str], None] = lambda _: None,
    *,
    with_own_parameters: bool = False,
) -> PricedPairs:
    """The pairs and values of complete trials, in their order.

    Anyone may add trials to a study: those that are none of ``joint`` or hold impossible values are skipped.

    Args:
        joint: the space of the pairs.
        trials: complete ones.
        on_skipped: hears of each trial that is skipped: its number, and why.
        with_own_parameters: whether trials may have parameters of the user's own in addition to those of ``joint``.
    """
    found = [no_pairs(joint)]
    for trial in trials:
        try:
            params = trial.params
            if with_own_parameters:
                params = {name: params[name] for name in joint.distributions.keys() & params.keys()}
            row, reached = joint.encode_params(params), np.array([trial.values], dtype=np.float64)
            if reached.size != len(OBJECTIVES):
                raise InvalidValueError("values", trial.values, f"{len(OBJECTIVES)}: {', '.join(OBJECTIVES)}")
            check_possible(reached, "values")
            found.append(PricedPairs(row[None], reached))
        except (CodesignError, OverflowError, TypeError, ValueError) as error:
            on_skipped(f"trial {trial.number}: {error}")
    return concatenate(found)


def read_front(
    study: optuna.Study, problem: Problem, on_skipped: Callable[[str], None] = lambda _: None
) -> PricedPairs:
    """Return the non-dominated pairs that fit the board among the trials of ``study``; see :func:`read_pairs`."""
    return fitting_front(problem, read_pairs(problem.joint, feasible_trials(study), on_skipped))


def feasible_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials that are complete and meet the constraints that they state."""
    return [trial for trial in study.get_trials(deepcopy=False) if is_feasible(trial)]


def fitting_front(problem: Problem, pairs: PricedPairs) -> PricedPairs:
    """Return the pairs that fit the board and that no other such pair dominates, ascending in latency."""
    while True:
        front = pairs.front()
        fits = problem.fits(front.rows)
        if fits.all():
            return front
        # Only what is on a front is looked at: to know whether a pair fits may take as long as to price it.
        pairs = pairs.without(front.take(~fits).keys)
