"""One process of a search: evolution in memory, finished trials in the storage, resumable at any time."""

import time
from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import optuna
from optuna.trial import TrialState

from codesign.search.pareto import concatenate, no_pairs
from codesign.search.problem import RoundKey, SearchProgress
from codesign.search.study import fitting_front, is_feasible, make_trials, read_pairs, storage_errors
from codesign.search.task import SearchTask
from hw_templates.foundation.json_records import check_record, reading

# At most this much work is lost to a kill, and other workers' trials are read as often.
_FLUSH_S = 2.0
_PROGRESS = "progress.worker"
# Rounds in a row that price nothing: the space is small, and ends.
_IDLE_ROUNDS = 20


def read_progress(study: optuna.Study) -> SearchProgress:
    """Return how far all workers of ``study`` were when they last wrote.

    Raises:
        StorageError: that is damaged.
    """
    done = [_progress(study, key) for key in study.user_attrs if key.startswith(_PROGRESS)]
    return sum(done, start=SearchProgress())


def _progress(study: optuna.Study, key: str) -> SearchProgress:
    with reading(f"study {study.study_name!r}", "name another study or storage"):
        return check_record(study.user_attrs.get(key, {}), SearchProgress, key)


class Worker:
    """One worker's side of a search: its archive, what of it is in the study, and where its rounds stand.

    Attributes:
        archive: every non-dominated pair known to this worker.
        done: how far this worker is, earlier calls included.
    """

    def __init__(self, task: SearchTask, study: optuna.Study, number: int) -> None:
        self._task, self._study, self._number = task, study, number
        self._problem = task.problem
        self._evolution = task.problem.evolution(task.oracle, task.settings)
        self._seen: set[int] = set()
        self._stored: set[bytes] = set()
        self.archive = self._misfits = no_pairs(self._problem.joint)
        self._read_new_trials()
        self.done = self._written = _progress(study, f"{_PROGRESS}{number}")

    def run(self, pairs: int, after_round: Callable[["Worker"], bool]) -> None:
        """Run rounds until this worker has priced ``pairs`` in all, nothing new is found, or ``after_round`` is False.

        What was found is written every few seconds and at the end, also at one by Ctrl-C.

        Raises:
            InfeasibleError: no accelerator fits the board.
            StorageError: the storage cannot be written.
        """
        written, idle = time.monotonic(), 0
        try:
            while self.done.pairs < pairs and idle < _IDLE_ROUNDS:
                idle = 0 if self._run_round().pairs else idle + 1
                if not after_round(self):
                    break
                if time.monotonic() - written > _FLUSH_S:
                    self.write()
                    self._read_new_trials()
                    written = time.monotonic()
        except KeyboardInterrupt:
            self.write()
            raise
        self.write()

    def _run_round(self) -> SearchProgress:
        key = RoundKey(self._task.settings.seed, self._number, self.done.rounds)
        found = self._evolution.run_round(self.archive, key)
        self.archive, self._misfits = found.archive, concatenate([self._misfits, found.misfits])
        self.done += found.done
        return found.done

    def write(self) -> None:
        """Add what is not in the study yet: non-dominated pairs, some that do not fit, and how far this is."""
        if self.done == self._written:
            return
        new = [index for index, row in enumerate(self.archive.rows) if row.tobytes() not in self._stored]
        pairs = concatenate([self.archive.take(np.array(new, dtype=np.int64)), self._misfits])
        trials = make_trials(self._problem.joint, pairs, self._problem.needs(pairs.rows), self._number)
        with storage_errors(self._task.location):
            self._study.add_trials(trials)
            self._study.set_user_attr(f"{_PROGRESS}{self._number}", asdict(self.done))
        self._stored.update(row.tobytes() for row in pairs.rows)
        self._misfits = no_pairs(self._problem.joint)
        self._written = self.done

    def _read_new_trials(self) -> None:
        """Take what others (or an earlier call) added to the study into the archive."""
        with storage_errors(self._task.location):
            trials = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        new = [trial for trial in trials if trial.number not in self._seen and is_feasible(trial)]
        self._seen.update(trial.number for trial in trials)
        pairs = read_pairs(self._problem.joint, new)
        fresh = np.array([row.tobytes() not in self._stored for row in pairs.rows], dtype=bool)
        self._stored.update(row.tobytes() for row in pairs.rows)
        self.archive = concatenate([self.archive, fitting_front(self._problem, pairs.take(fresh))]).front()
