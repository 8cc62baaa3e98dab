"""Running the joint search on a study, in this process or in several."""

import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Event

import optuna

from codesign.search.pareto import PricedPairs
from codesign.search.problem import SearchProgress
from codesign.search.study import read_front, storage_errors
from codesign.search.task import SearchTask
from codesign.search.worker import Worker, read_progress
from hw_templates.foundation.errors import InfeasibleError, StorageError, ToolError

_POLL_S = 0.5

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


def joint_search(task: SearchTask, on_progress: OnProgress | None = None) -> JointFront:
    """Search until the study counts ``task.settings.pairs`` priced pairs, or nothing new is found.

    A later call resumes where this one ended.

    Finished trials are in the storage within seconds of being found: a kill loses no more than that.

    Args:
        task: what to search.
        on_progress: called after each round (each half second with several workers).

    Raises:
        StorageError: the storage is damaged, holds another study or cannot be written.
        InfeasibleError: no pair fits the board.
    """
    study = task.open_study()
    report = on_progress or (lambda _: None)
    if task.settings.workers == 1:
        _search_here(task, study, report)
    else:
        _search_in_processes(task, study, report)
    with storage_errors(task.location):
        progress = read_progress(study)
        skipped = list[str]()
        front = read_front(study, task.problem, skipped.append)
    if not len(front):
        joint, template = task.problem.joint, task.problem.template
        raise InfeasibleError(f"no subnet of {joint.space.name} with template {template} fits {joint.board.name}")
    return JointFront(front, progress, tuple(skipped))


def _search_here(task: SearchTask, study: optuna.Study, report: OnProgress) -> None:
    before = read_progress(study)
    worker = Worker(task, study, 0)
    start = worker.done

    def after_round(worker: Worker) -> bool:
        report(before + worker.done - start)
        return True

    worker.run(start.pairs + task.settings.pairs - before.pairs, after_round)


def _search_in_processes(task: SearchTask, study: optuna.Study, report: OnProgress) -> None:
    missing = task.settings.pairs - read_progress(study).pairs
    if missing <= 0:
        return
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

    def after_round(_: Worker) -> bool:
        return not stop.is_set() and (parent is None or parent.is_alive())

    try:
        worker = Worker(task, task.open_study(), number)
        worker.run(worker.done.pairs + pairs, after_round)
    except (StorageError, InfeasibleError) as error:
        failures.put(error)
