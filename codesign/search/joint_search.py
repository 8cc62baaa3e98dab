"""Running the joint search on a study, in this process or in several."""

import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.process import BaseProcess
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Event

import optuna
from optuna.trial import TrialState

from codesign.search.pareto import PricedPairs, concatenate, no_pairs
from codesign.search.problem import RoundKey, SearchProgress
from codesign.search.study import (
    SearchTask,
    fitting_front,
    is_feasible,
    make_trials,
    read_front,
    read_pairs,
    storage_errors,
)
from hw_templates.foundation.errors import InfeasibleError, StorageError, ToolError
from hw_templates.foundation.json_records import check_record, reading

_POLL_S = 0.5
# At most this much work is lost to a kill, and other workers' trials are read as often.
_FLUSH_S = 2.0
_PROGRESS = "progress.worker"
# Rounds in a row that price nothing: the space is small, and ends.
_IDLE_ROUNDS = 20

OnProgress = Callable[[SearchProgress], None]


@dataclass(frozen=True)
class JointFront:
    """The content of a study after a search.

    Attributes:
        front: its non-dominated feasible pairs, ascending in latency.
        progress: of all calls and workers together.
        skipped: the trials that are none of the search, and why.
    """

    front: PricedPairs
    progress: SearchProgress
    skipped: tuple[str, ...]


def joint_search(task: SearchTask, report: OnProgress = lambda _: None) -> JointFront:
    """Search until the study counts ``task.settings.pairs`` priced pairs, or nothing new is found.

    A later call resumes where this one ended.

    Finished trials are in the storage within seconds of being found: a kill loses no more than that.

    Args:
        task: what to search.
        report: called after each round (each half second with several workers).

    Raises:
        StorageError: the storage is damaged, holds another study or cannot be written.
        InfeasibleError: no pair fits the board.
    """
    study = task.open_study()
    before = read_progress(study)
    missing = task.settings.pairs - before.pairs
    if missing > 0 and task.settings.workers == 1:
        Worker(task, study, 0).run(missing, lambda new: report(before + new))
    elif missing > 0:
        _search_in_processes(task, study, missing, report)
    with storage_errors(task.location):
        progress = read_progress(study)
        skipped = list[str]()
        front = read_front(study, task.problem, skipped.append)
    if not len(front):
        joint, template = task.problem.joint, task.problem.template
        raise InfeasibleError(f"no subnet of {joint.space.name} with template {template} fits {joint.board.name}")
    return JointFront(front, progress, tuple(skipped))


def _search_in_processes(task: SearchTask, study: optuna.Study, missing: int, report: OnProgress) -> None:
    # Spawned, not forked: threads of numerical libraries do not survive a fork.
    context = multiprocessing.get_context("spawn")
    stop, failures = context.Event(), context.SimpleQueue()
    count = task.settings.workers
    processes = [
        context.Process(target=_work, args=(task, number, -(-missing // count), stop, failures))
        for number in range(count)
    ]
    try:
        for process in processes:
            with _interrupts_held():
                process.start()
        while any(process.is_alive() for process in processes) and failures.empty():
            time.sleep(_POLL_S)
            with storage_errors(task.location):
                report(read_progress(study))
    finally:
        stop.set()
        _join([process for process in processes if process.pid is not None])
    if not failures.empty():
        raise failures.get()
    for number, process in enumerate(processes):
        if process.exitcode:
            raise ToolError(f"search worker {number} ended with exit code {process.exitcode}; run the search again")


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back until the end, and for ever from processes that are started meanwhile.

    Ctrl-C reaches all processes of a terminal. A worker inherits that it is blocked: while it starts it could not
    handle it, and later the parent tells it to write what it has and stop.
    """
    held: list[int] = []
    in_main_thread = threading.current_thread() is threading.main_thread()
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    # Blocked here, it may still come by another thread of this process; Python answers it in the main thread.
    handler = signal.signal(signal.SIGINT, lambda number, _: held.append(number)) if in_main_thread else None
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        if in_main_thread:
            signal.signal(signal.SIGINT, handler)
        if held:
            signal.raise_signal(signal.SIGINT)


def _join(processes: Sequence[BaseProcess]) -> None:
    """Wait for the ends of processes that were told to stop; at another Ctrl-C end them."""
    try:
        for process in processes:
            process.join()
    except KeyboardInterrupt:
        with _interrupts_held():
            for process in processes:
                process.terminate()
                process.join()
        raise


def _work(
    task: SearchTask, number: int, pairs: int, stop: Event, failures: "SimpleQueue[StorageError | InfeasibleError]"
) -> None:
    """Body of a worker process: price ``pairs`` more pairs, or until told to stop or the parent is gone."""
    if stop.is_set():
        return
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    parent = multiprocessing.parent_process()

    def to_stop(_: SearchProgress) -> bool:
        return stop.is_set() or (parent is not None and not parent.is_alive())

    try:
        Worker(task, task.open_study(), number).run(pairs, to_stop)
    except (StorageError, InfeasibleError) as error:
        failures.put(error)


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

    def run(self, pairs: int, to_stop: Callable[[SearchProgress], bool | None]) -> None:
        """Run rounds until this worker has priced ``pairs`` more, nothing new is found, or ``to_stop`` says True.

        ``to_stop`` is asked after each round and given what this call has done. What was found is written every few
        seconds and at the end, also at one by Ctrl-C.

        Raises:
            InfeasibleError: no accelerator fits the board.
            StorageError: the storage cannot be written.
        """
        written, idle, before = time.monotonic(), 0, self.done
        try:
            while self.done.pairs < before.pairs + pairs and idle < _IDLE_ROUNDS:
                key = RoundKey(self._task.settings.seed, self._number, self.done.rounds)
                found = self._evolution.run_round(self.archive, key)
                self.archive, self._misfits = found.archive, concatenate([self._misfits, found.misfits])
                self.done += found.done
                idle = 0 if found.done.pairs else idle + 1
                if to_stop(self.done - before):
                    break
                if time.monotonic() - written > _FLUSH_S:
                    self.write()
                    self._read_new_trials()
                    written = time.monotonic()
        finally:
            self.write()

    def write(self) -> None:
        """Add what is not in the study yet: non-dominated pairs, some that do not fit, and how far this is."""
        if self.done == self._written:
            return
        pairs = concatenate([self.archive.without(self._stored), self._misfits])
        trials = make_trials(self._problem.joint, pairs, self._problem.needs(pairs.rows), self._number)
        with storage_errors(self._task.location):
            self._study.add_trials(trials)
            self._study.set_user_attr(f"{_PROGRESS}{self._number}", asdict(self.done))
        self._stored.update(pairs.keys)
        self._misfits = no_pairs(self._problem.joint)
        self._written = self.done

    def _read_new_trials(self) -> None:
        """Take what others (or an earlier call) added to the study into the archive."""
        with storage_errors(self._task.location):
            trials = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        new = [trial for trial in trials if trial.number not in self._seen and is_feasible(trial)]
        self._seen.update(trial.number for trial in trials)
        pairs = read_pairs(self._problem.joint, new)
        fresh = fitting_front(self._problem, pairs.without(self._stored))
        self._stored.update(pairs.keys)
        self.archive = concatenate([self.archive, fresh]).front()
