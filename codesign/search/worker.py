"""The joint search on an Optuna study: evolution in memory, finished trials in the storage, resumable at any time."""

import time
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass

import numpy as np
import optuna
from optuna.trial import TrialState

from codesign.search.breeding import RoundPlan
from codesign.search.evolution import RoundKey, no_pairs, run_round
from codesign.search.joint_space import PairSpace
from codesign.search.pareto import PricedPairs, concatenate
from codesign.search.pricing import PairPricer
from codesign.search.study import StudyLocation, fitting_front, is_feasible, make_trials, read_pairs, storage_errors
from codesign.supernet.accuracy.oracle import AccuracyOracle
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.foundation.json_records import check_record, reading

# At most this much work is lost to a kill, and other workers' trials are read as often.
_FLUSH_S = 2.0
_PROGRESS = "progress.worker"


@dataclass(frozen=True)
class SearchSettings:
    """What a search does.

    Attributes:
        pairs: how many pairs to price in all, those of earlier calls included; the last round may add some.
        seed: the same seed gives the same trials with one worker, interrupted or not.
        workers: processes on the one study.
        plan: of each round; None for that of the budget.
    """

    pairs: int = 200_000
    seed: int = 0
    workers: int = 1
    plan: RoundPlan | None = None

    def __post_init__(self) -> None:
        for name in ("pairs", "workers"):
            if getattr(self, name) < 1:
                raise InvalidValueError(f"search.{name}", getattr(self, name), "at least 1")
        if self.seed < 0:
            raise InvalidValueError("search.seed", self.seed, "0 or more")

    @property
    def round_plan(self) -> RoundPlan:
        """The plan that rounds follow."""
        return self.plan or RoundPlan.of_budget(self.pairs)


@dataclass(frozen=True)
class Progress:
    """How far a search is.

    Attributes:
        rounds: done by all workers.
        pairs: priced.
        candidates: (layer, accelerator, mapping) candidates priced.
        accelerators: that they were priced on; one that several workers or calls price counts for each.
    """

    rounds: int = 0
    pairs: int = 0
    candidates: int = 0
    accelerators: int = 0

    def __add__(self, other: "Progress") -> "Progress":
        return Progress(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))

    def __sub__(self, other: "Progress") -> "Progress":
        return Progress(*(mine - theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


def read_progress(study: optuna.Study) -> Progress:
    """How far all workers of ``study`` were when they last wrote.

    Raises:
        StorageError: that is damaged.
    """
    done = [_progress(study, key) for key in study.user_attrs if key.startswith(_PROGRESS)]
    return sum(done, start=Progress())


def _progress(study: optuna.Study, key: str) -> Progress:
    with reading(f"study {study.study_name!r}", "name another study or storage"):
        return check_record(study.user_attrs.get(key, {}), Progress, key)


def read_front(
    study: optuna.Study, joint: PairSpace, on_skipped: Callable[[str], None] = lambda _: None
) -> PricedPairs:
    """The non-dominated pairs that fit the board among the trials of ``study``; see :func:`~.study.read_pairs`."""
    trials = [trial for trial in study.get_trials(deepcopy=False) if is_feasible(trial)]
    return fitting_front(joint, read_pairs(joint, trials, on_skipped))


class Worker:
    """One worker's side of a search: its archive, what of it is in the study, and where its rounds stand.

    Attributes:
        archive: every non-dominated pair known to this worker.
        done: how far this worker is, earlier calls included.
    """

    def __init__(
        self,
        study: optuna.Study,
        location: StudyLocation,
        pricer: PairPricer,
        oracle: AccuracyOracle,
        settings: SearchSettings,
        number: int,
    ) -> None:
        self._study = study
        self._location = location
        self._pricer = pricer
        self._oracle = oracle
        self._settings = settings
        self._number = number
        self._seen: set[int] = set()
        self._stored: set[bytes] = set()
        self._misfits = no_pairs(pricer)
        self.archive = no_pairs(pricer)
        self._read_new_trials()
        self.done = self._written = _progress(study, f"{_PROGRESS}{number}")

    def run(self, pairs: int, after_round: Callable[["Worker"], bool]) -> None:
        """Rounds until this worker has priced ``pairs`` in all, or ``after_round`` answers False.

        What was found is written every few seconds and at the end, also at one by Ctrl-C.

        Raises:
            InfeasibleError: no accelerator fits the board.
            StorageError: the storage cannot be written.
        """
        written = time.monotonic()
        try:
            while self.done.pairs < pairs:
                self._run_round()
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

    def _run_round(self) -> None:
        pricer = self._pricer
        before = Progress(0, pricer.pairs, pricer.candidates, pricer.accelerators)
        key = RoundKey(self._settings.seed, self._number, self.done.rounds)
        found = run_round(pricer, self._oracle, self.archive, key, self._settings.round_plan)
        self.archive, self._misfits = found.archive, concatenate([self._misfits, found.misfits])
        self.done = self.done + Progress(1, pricer.pairs, pricer.candidates, pricer.accelerators) - before

    def write(self) -> None:
        """Add what is not in the study yet: non-dominated pairs, some that do not fit, and how far this is."""
        if self.done == self._written:
            return
        joint = self._pricer.joint
        new = [index for index, row in enumerate(self.archive.rows) if row.tobytes() not in self._stored]
        pairs = concatenate([self.archive.take(np.array(new, dtype=np.int64)), self._misfits])
        columns = joint.columns(pairs.rows)
        resources, excess = self._pricer.resources(columns), self._pricer.excess(columns)
        with storage_errors(self._location):
            self._study.add_trials(make_trials(joint, pairs, resources, excess, {"worker": self._number}))
            self._study.set_user_attr(f"{_PROGRESS}{self._number}", asdict(self.done))
        self._stored.update(row.tobytes() for row in pairs.rows)
        self._misfits = no_pairs(self._pricer)
        self._written = self.done

    def _read_new_trials(self) -> None:
        """Take what others (or an earlier call) added to the study into the archive."""
        with storage_errors(self._location):
            trials = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        joint = self._pricer.joint
        new = [trial for trial in trials if trial.number not in self._seen and is_feasible(trial)]
        pairs = read_pairs(joint, new)
        self._seen.update(trial.number for trial in trials)
        pairs = pairs.take(joint.fits(pairs.rows))
        fresh = np.array([row.tobytes() not in self._stored for row in pairs.rows], dtype=bool)
        self._stored.update(row.tobytes() for row in pairs.rows)
        self.archive = concatenate([self.archive, pairs.take(fresh)]).front()
