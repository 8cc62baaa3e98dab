"""Tasks of the joint search."""

from dataclasses import dataclass

import optuna

from codesign.search.problem import Problem, SearchSettings
from codesign.search.study import StudyIdentity, StudyLocation, open_study
from codesign.supernet.accuracy.oracle import AccuracyOracle
from hw_templates.foundation.errors import InvalidValueError


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
    def identity(self) -> StudyIdentity:
        """The identity that the task's study must state."""
        return StudyIdentity.of(self.problem, self.accuracy_name)

    def open_study(self) -> optuna.Study:
        """Return the task's study, made where missing.

        Raises:
            StorageError: as :func:`~codesign.search.study.open_study`.
        """
        return open_study(self.location, self.identity)
